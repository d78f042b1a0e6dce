package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// precision is the precision with which a store must keep times, and the tolerance for a real clock.
const precision = time.Millisecond

// A harness tests one requirement on one backend.
type harness struct {
	testing.TB
	ctx   context.Context
	nodes []watchword.Store
	clock *Clock
	turn  atomic.Int64
	group string // first part of the ids
}

func newHarness(t testing.TB, b Backend) *harness {
	if len(b.Nodes) == 0 {
		t.Fatal("the backend has no nodes")
	}
	return &harness{TB: t, ctx: t.Context(), nodes: b.Nodes, clock: b.Clock, group: randomText(8)}
}

// node returns the nodes in rotation, so that one node reads what another has written.
func (h *harness) node() watchword.Store {
	return h.nodes[int(h.turn.Add(1))%len(h.nodes)]
}

func (h *harness) now() time.Time {
	if h.clock != nil {
		return h.clock.Now()
	}
	return time.Now()
}

// advance sets the Clock forward by d, or waits for at least d.
func (h *harness) advance(d time.Duration) {
	if h.clock != nil {
		h.clock.Advance(d)
		return
	}
	time.Sleep(d + 2*precision)
}

// entry returns a new entry of the harness's group with two digests: of "right" and of "link".
func (h *harness) entry() watchword.Entry {
	now := h.now().Truncate(precision)
	return watchword.Entry{ID: h.group + "." + randomText(16), Tries: 5, Digests: [][]byte{digest("right"), digest("link")},
		Sealed: randomBytes(500), ExpiresAt: now.Add(10 * time.Minute), KeepUntil: now.Add(25 * time.Minute)}
}

// mustCreate creates an entry with adjustments, or ends the test.
func (h *harness) mustCreate(adjust ...func(e *watchword.Entry)) watchword.Entry {
	h.Helper()
	e := h.entry()
	for _, a := range adjust {
		a(&e)
	}
	if err := h.node().Create(h.ctx, e); err != nil {
		h.Fatalf("Create: %v", err)
	}
	return e
}

// withoutDigests makes an entry whose answers the strategy verifies.
func withoutDigests(e *watchword.Entry) { e.Digests = nil }

func tries(n int) func(e *watchword.Entry) { return func(e *watchword.Entry) { e.Tries = n } }

// mustGet returns an entry, or ends the test.
func (h *harness) mustGet(id string) watchword.Entry {
	h.Helper()
	e, err := h.node().Get(h.ctx, id)
	if err != nil {
		h.Fatalf("Get: %v", err)
	}
	return e
}

// attempt makes an attempt with one guess that approves.
func (h *harness) attempt(id, word string, b watchword.Budget) (watchword.Entry, error) {
	return h.node().Attempt(h.ctx, id, []watchword.Guess{approving(word)}, b)
}

// mustAttempt makes an attempt and ends the test unless its error is want.
func (h *harness) mustAttempt(id, word string, b watchword.Budget, want error) watchword.Entry {
	h.Helper()
	e, err := h.attempt(id, word, b)
	if !errors.Is(err, want) {
		h.Fatalf("Attempt(%s): got %v, want %v", word, err, want)
	}
	return e
}

// mustRefuse makes an attempt that the budget must refuse, and returns the time to wait.
func (h *harness) mustRefuse(id, word string, b watchword.Budget) time.Duration {
	h.Helper()
	_, err := h.attempt(id, word, b)
	var spent *watchword.BudgetError
	if !errors.As(err, &spent) {
		h.Fatalf("Attempt(%s) with a spent budget: got %v, want a *BudgetError", word, err)
	}
	return spent.RetryAfter
}

func (h *harness) mustClose(id string, c watchword.Closing, want error) {
	h.Helper()
	if err := h.node().Close(h.ctx, id, c); !errors.Is(err, want) {
		h.Fatalf("Close: got %v, want %v", err, want)
	}
}

// budget returns a budget of max wrong answers an hour, which is longer than a test takes.
func (h *harness) budget(max int) watchword.Budget {
	return watchword.Budget{Key: h.group + ".any", Limits: []watchword.Window{{Max: max, Per: time.Hour}}}
}

// wantCounters compares the fields that accompany errors too.
func (h *harness) wantCounters(e watchword.Entry, state watchword.State, tries, used int) {
	h.Helper()
	if e.State != state || e.Tries != tries || e.Used != used {
		h.Errorf("state, tries, used: got %d, %d, %d, want %d, %d, %d", e.State, e.Tries, e.Used, state, tries, used)
	}
}

// wantContent compares the other fields of an entry.
func (h *harness) wantContent(got, want watchword.Entry) {
	h.Helper()
	if got.ID != want.ID {
		h.Errorf("id: got %q, want %q", got.ID, want.ID)
	}
	if !bytes.Equal(got.Sealed, want.Sealed) {
		h.Errorf("sealed data: got %d bytes, want %d, or others", len(got.Sealed), len(want.Sealed))
	}
	if !slices.EqualFunc(got.Digests, want.Digests, bytes.Equal) {
		h.Errorf("digests: got %x, want %x", got.Digests, want.Digests)
	}
	if !bytes.Equal(got.Mark, want.Mark) {
		h.Errorf("mark: got %x, want %x", got.Mark, want.Mark)
	}
	if got.Version != want.Version {
		h.Errorf("version: got %d, want %d", got.Version, want.Version)
	}
	for _, times := range []struct {
		name      string
		got, want time.Time
	}{{"expires at", got.ExpiresAt, want.ExpiresAt}, {"keep until", got.KeepUntil, want.KeepUntil}} {
		if off := times.got.Sub(times.want); off <= -precision || off >= precision {
			h.Errorf("%s: got %s, want %s", times.name, times.got, times.want)
		}
	}
}

// race calls f n times concurrently and counts the outcomes. All goroutines start at the same time.
func (h *harness) race(n int, f func(i int, node watchword.Store) error) map[string]int {
	var (
		start    = make(chan struct{})
		done     sync.WaitGroup
		mu       sync.Mutex
		outcomes = map[string]int{}
	)
	for i := range n {
		done.Go(func() {
			node := h.node()
			<-start
			what := outcomeOf(f(i, node))
			mu.Lock()
			defer mu.Unlock()
			outcomes[what]++
		})
	}
	close(start)
	done.Wait()
	return outcomes
}

func (h *harness) wantOutcomes(got, want map[string]int) {
	h.Helper()
	for what := range got {
		if got[what] != want[what] {
			h.Errorf("outcomes: got %v, want %v", got, want)
			return
		}
	}
	if len(got) != len(want) {
		h.Errorf("outcomes: got %v, want %v", got, want)
	}
}

// outcomeOf returns a name for the error of a call.
func outcomeOf(err error) string {
	var spent *watchword.BudgetError
	if errors.As(err, &spent) {
		return "budget"
	}
	for _, known := range []struct {
		err  error
		name string
	}{{watchword.ErrNotFound, "not found"}, {watchword.ErrExists, "exists"}, {watchword.ErrConflict, "conflict"}, {watchword.ErrClosed, "closed"},
		{watchword.ErrExpired, "expired"}, {watchword.ErrSpent, "spent"}, {watchword.ErrMismatch, "mismatch"}, {watchword.ErrInFlight, "in flight"}} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	if err != nil {
		return err.Error()
	}
	return "ok"
}

// approving returns a guess of a word that approves. Its mark identifies the word.
func approving(word string) watchword.Guess {
	return watchword.Guess{Digest: digest(word), State: watchword.StateApproved, Mark: mark(word)}
}

func locking(word string) watchword.Guess {
	return watchword.Guess{Digest: digest(word), State: watchword.StateLocked, Mark: mark(word)}
}

func digest(word string) []byte {
	sum := sha256.Sum256([]byte("digest " + word))
	return sum[:]
}

func mark(word string) []byte {
	sum := sha256.Sum256([]byte("mark " + word))
	return sum[:]
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func randomText(n int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(n)) }
