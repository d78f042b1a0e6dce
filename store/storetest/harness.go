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

// precision is how finely a store must keep times, and how closely a real clock is held to them.
const precision = time.Millisecond

// A harness is one promise's test of one backend.
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

// node is each node in turn, so that what one wrote another reads.
func (h *harness) node() watchword.Store {
	return h.nodes[int(h.turn.Add(1))%len(h.nodes)]
}

func (h *harness) now() time.Time {
	if h.clock != nil {
		return h.clock.Now()
	}
	return time.Now()
}

// advance lets at least d pass.
func (h *harness) advance(d time.Duration) {
	if h.clock != nil {
		h.clock.Advance(d)
		return
	}
	time.Sleep(d + 2*precision)
}

// entry is a new entry of the harness's group, with two digests: of "right" and of "link".
func (h *harness) entry() watchword.Entry {
	now := h.now().Truncate(precision)
	return watchword.Entry{ID: h.group + "." + randomText(16), Tries: 5, Digests: [][]byte{digest("right"), digest("link")},
		Sealed: randomBytes(500), ExpiresAt: now.Add(10 * time.Minute), KeepUntil: now.Add(25 * time.Minute)}
}

// mustCreate makes an entry as adjusted, or ends the test.
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

func withoutDigests(e *watchword.Entry) { e.Digests = nil }

func tries(n int) func(e *watchword.Entry) { return func(e *watchword.Entry) { e.Tries = n } }

// mustGet reads an entry, or ends the test.
func (h *harness) mustGet(id string) watchword.Entry {
	h.Helper()
	e, err := h.node().Get(h.ctx, id)
	if err != nil {
		h.Fatalf("Get: %v", err)
	}
	return e
}

// attempt guesses one word, which approves if it is right.
func (h *harness) attempt(id, word string, b watchword.Budget) (watchword.Entry, error) {
	return h.node().Attempt(h.ctx, id, []watchword.Guess{approving(word)}, b)
}

// mustAttempt is an attempt that must end with want; nil: it must win or be charged.
func (h *harness) mustAttempt(id, word string, b watchword.Budget, want error) watchword.Entry {
	h.Helper()
	e, err := h.attempt(id, word, b)
	if !errors.Is(err, want) {
		h.Fatalf("Attempt(%s): got %v, want %v", word, err, want)
	}
	return e
}

// mustRefuse is an attempt that the budget must refuse; it says for how long.
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

// budget allows max wrong answers an hour; a test does not last as long.
func (h *harness) budget(max int) watchword.Budget {
	return watchword.Budget{Key: h.group + ".any", Limits: []watchword.Window{{Max: max, Per: time.Hour}}}
}

// wantCounters compares what comes with an entry whether the call went well or not.
func (h *harness) wantCounters(e watchword.Entry, state watchword.State, tries, used int) {
	h.Helper()
	if e.State != state || e.Tries != tries || e.Used != used {
		h.Errorf("state, tries, used: got %d, %d, %d, want %d, %d, %d", e.State, e.Tries, e.Used, state, tries, used)
	}
}

// wantContent compares what an entry holds.
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

// race calls f n times at once, from goroutines that wait for each other at the start, and counts the outcomes.
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

// outcomeOf names what a call came to.
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

// approving is a guess of a word that approves; its mark says which word.
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
