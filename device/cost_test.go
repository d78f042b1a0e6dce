package device_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// A callCounter counts the calls to the stores, by name.
type callCounter struct {
	mu    sync.Mutex
	calls []string
}

func (c *callCounter) count(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

// take returns the calls so far, sorted, and forgets them.
func (c *callCounter) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.calls)
	out := strings.Join(c.calls, " ")
	c.calls = nil
	return out
}

type countingStore struct {
	watchword.Store
	*callCounter
}

func (s countingStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.count("create")
	return s.Store.Create(ctx, e, out...)
}

func (s countingStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	s.count("get")
	return s.Store.Get(ctx, id)
}

func (s countingStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.count("update")
	return s.Store.Update(ctx, e, out...)
}

func (s countingStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	s.count("close")
	return s.Store.Close(ctx, id, c)
}

func (s countingStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	s.count("attempt")
	return s.Store.Attempt(ctx, id, g, b)
}

type countingFactors struct {
	watchword.Factors
	*callCounter
}

func (f countingFactors) List(ctx context.Context, app, subject string) ([]watchword.SealedFactor, error) {
	f.count("list")
	return f.Factors.List(ctx, app, subject)
}

func (f countingFactors) Get(ctx context.Context, app, id string) (watchword.SealedFactor, error) {
	f.count("get-factor")
	return f.Factors.Get(ctx, app, id)
}

func (f countingFactors) Update(ctx context.Context, s watchword.SealedFactor) error {
	f.count("update-factor")
	return f.Factors.Update(ctx, s)
}

// A start that a device answers needs three steps of the store, one read and one write of the factors. Within a minute it writes
// nothing. A token that is not valid needs one read, whatever is wrong with it.
func TestStepsOfStartWithToken(t *testing.T) {
	counter := &callCounter{}
	k := newKit(t, "shop", countingFactors{&memory.Factors{}, counter}, func(c *watchword.Config) { c.Store = countingStore{c.Store, counter} })
	token, foreign := k.remember(ann), k.remember("user_43")
	counter.take()
	want := func(what, calls string) {
		t.Helper()
		if got := counter.take(); got != calls {
			t.Errorf("%s: %s, want %s", what, got, calls)
		}
	}
	next := k.wantApproved("first", ann, token)
	want("the first use", "close create create list update-factor")
	k.wantApproved("again", ann, token)
	want("the same token within a minute", "close create create list")
	k.wantApproved("the successor", ann, next)
	want("the successor", "close create create list update-factor")
	k.wantIgnored("none", ann, watchword.Code{})
	want("no token", "create create")
	text := next.Reveal()
	for what, invalid := range map[string]watchword.Code{"garbage": watchword.NewCode("x"), "another secret": watchword.NewCode(changeEnd(text)), "of another subject": foreign} {
		k.wantIgnored(what, ann, invalid)
		want(what, "create create list")
	}
	k.advance(month)
	k.wantIgnored("expired", ann, next)
	want("expired", "create create list")
}

// On a quiet machine: WATCHWORD_TIMING=1 go test -run TestInvalidTokensTakeTheSameTime -v ./device
func TestInvalidTokensTakeTheSameTime(t *testing.T) {
	if os.Getenv("WATCHWORD_TIMING") == "" {
		t.Skip("measures time: WATCHWORD_TIMING=1")
	}
	k := newKit(t, "shop", &memory.Factors{})
	text, foreign := k.remember(ann).Reveal(), k.remember("user_43")
	medians := map[string]time.Duration{}
	for what, token := range map[string]watchword.Code{"garbage": watchword.NewCode("x"), "another secret": watchword.NewCode(changeEnd(text)), "of another subject": foreign} {
		var took []time.Duration
		for range 301 {
			began := time.Now()
			k.wantIgnored(what, ann, token)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		medians[what] = took[len(took)/2]
	}
	t.Log(medians)
	for what, median := range medians {
		if difference := (median - medians["garbage"]).Abs(); difference > 500*time.Microsecond {
			t.Errorf("%s differs by %s", what, difference)
		}
	}
}
