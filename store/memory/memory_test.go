package memory_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/storetest"
	"pgregory.net/rapid"
)

// smallEntry returns an entry of group n that is kept for a while.
func smallEntry(clock *storetest.Clock, n int, keep time.Duration) watchword.Entry {
	return watchword.Entry{ID: fmt.Sprintf("group%d.x", n), Tries: 100, Digests: [][]byte{digest("right")},
		ExpiresAt: clock.Now().Add(keep), KeepUntil: clock.Now().Add(keep)}
}

func once(n int) watchword.Budget {
	return watchword.Budget{Key: fmt.Sprintf("group%d.any", n), Limits: []watchword.Window{{Max: 1, Per: time.Hour}}}
}

// Live entries are kept, and new ones are accepted again when old ones have expired.
func TestFullStoreRefusesNewEntries(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{MaxEntries: 3, Clock: clock.Now})
	create := func(n int, keep time.Duration) error { return s.Create(t.Context(), smallEntry(clock, n, keep)) }
	for n := range 3 {
		if err := create(n, time.Duration(n+1)*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(3, time.Minute); !errors.Is(err, memory.ErrFull) {
		t.Fatalf("a fourth of three entries: %v", err)
	}
	for n := range 3 {
		if _, err := s.Get(t.Context(), fmt.Sprintf("group%d.x", n)); err != nil {
			t.Errorf("entry %d was lost to a full store: %v", n, err)
		}
	}
	clock.Advance(time.Minute) // the first entry has expired, in another shard than the new one
	if err := create(4, time.Minute); err != nil {
		t.Errorf("the store is full although an entry has expired: %v", err)
	}
	if err := create(5, time.Minute); !errors.Is(err, memory.ErrFull) {
		t.Errorf("one expired entry freed the space of two: %v", err)
	}
}

// Exactly MaxEntries concurrent creates succeed.
func TestConcurrentCreatesStopAtMaxEntries(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{MaxEntries: 50, Clock: clock.Now})
	var made, refused atomic.Int64
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			switch err := s.Create(t.Context(), smallEntry(clock, n, time.Hour)); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, memory.ErrFull):
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if made.Load() != 50 || refused.Load() != 150 {
		t.Errorf("%d made, %d refused", made.Load(), refused.Load())
	}
}

// The number of budgets is limited. Tries that need a new budget are refused until another budget has expired or was
// emptied. Existing budgets still work.
func TestFullStoreRefusesNewBudgets(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{MaxBudgets: 2, Clock: clock.Now})
	for n := range 4 {
		if err := s.Create(t.Context(), smallEntry(clock, n, 48*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	attempt := func(n int, word string, b watchword.Budget) error {
		_, err := s.Attempt(t.Context(), fmt.Sprintf("group%d.x", n), guess(word), b)
		return err
	}
	expect := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	expect("first group", attempt(0, "wrong", once(0)), watchword.ErrMismatch)
	expect("second group", attempt(1, "wrong", once(1)), watchword.ErrMismatch)
	expect("third group", attempt(2, "wrong", once(2)), memory.ErrFull)
	expect("third group, right", attempt(2, "right", once(2)), memory.ErrFull)
	if e, err := s.Get(t.Context(), "group2.x"); err != nil || e.Used != 0 || e.State != watchword.StatePending {
		t.Errorf("after refusals: %+v, %v", e, err)
	}
	var spent *watchword.BudgetError
	if err := attempt(0, "wrong", once(0)); !errors.As(err, &spent) {
		t.Errorf("the first group's budget was given up: %v", err)
	}
	expect("no budget", attempt(2, "wrong", watchword.Budget{}), watchword.ErrMismatch)
	clock.Advance(time.Hour)
	expect("third group, when another budget has expired", attempt(2, "wrong", once(2)), watchword.ErrMismatch)
	expect("fourth group", attempt(3, "wrong", once(3)), watchword.ErrMismatch)
	if err := s.Close(t.Context(), "group3.x", watchword.Closing{State: watchword.StateApproved, Clear: once(3).Key}); err != nil {
		t.Fatal(err)
	}
	expect("first group, when another's was emptied", attempt(0, "wrong", once(0)), watchword.ErrMismatch)
}

// A budget that was charged again expires later.
func TestChargedBudgetIsKeptLonger(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{MaxBudgets: 2, Clock: clock.Now})
	if err := s.Create(t.Context(), smallEntry(clock, 1, 48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	attempt := func(key string) {
		t.Helper()
		b := watchword.Budget{Key: "group1." + key, Limits: []watchword.Window{{Max: 2, Per: time.Hour}}}
		if _, err := s.Attempt(t.Context(), "group1.x", nil, b); !errors.Is(err, watchword.ErrMismatch) {
			t.Fatalf("budget %s: %v", key, err)
		}
	}
	attempt("first")
	clock.Advance(time.Minute)
	attempt("second")
	clock.Advance(30 * time.Minute)
	attempt("first")
	clock.Advance(30 * time.Minute) // the second has expired, the first has not
	attempt("third")
}

// An id may be used again after the entry's retention, even if the entry was not removed yet.
func TestCreateReusesIDOfRemovedEntry(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{MaxEntries: 100, Clock: clock.Now})
	create := func(n int, keep time.Duration) {
		t.Helper()
		e := smallEntry(clock, 1, keep) // all in one shard, which forgets a few with each call
		e.ID = fmt.Sprintf("group1.%d", n)
		if err := s.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		create(n, time.Duration(n+1)*time.Second)
	}
	clock.Advance(time.Hour)
	create(99, time.Hour)
	for n := range 10 {
		create(n, time.Hour)
	}
	if _, err := s.Get(t.Context(), "group1.99"); err != nil {
		t.Errorf("the second entry of an id went with the first: %v", err)
	}
	for n := 10; n < 99; n++ {
		create(n, time.Hour)
	}
	if err := s.Create(t.Context(), smallEntry(clock, 2, time.Hour)); !errors.Is(err, memory.ErrFull) {
		t.Errorf("entry 101 of 100: %v", err)
	}
}

// After everything has expired the counts are 0 again.
func TestExpiredEntriesFreeTheirSpace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := storetest.NewClock()
		s := memory.New(memory.Config{MaxEntries: 20, MaxBudgets: 20, Clock: clock.Now})
		group := rapid.IntRange(0, 9)
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				_ = s.Create(t.Context(), smallEntry(clock, group.Draw(t, "group"), time.Duration(rapid.IntRange(0, 100).Draw(t, "keep"))*time.Second))
			},
			"attempt": func(t *rapid.T) {
				n, word := group.Draw(t, "group"), rapid.SampledFrom([]string{"right", "wrong"}).Draw(t, "word")
				_, _ = s.Attempt(t.Context(), fmt.Sprintf("group%d.x", n), guess(word), once(n))
			},
			"close": func(t *rapid.T) {
				n := group.Draw(t, "group")
				_ = s.Close(t.Context(), fmt.Sprintf("group%d.x", n), watchword.Closing{State: watchword.StateCanceled, Clear: once(n).Key})
			},
			"wait": func(t *rapid.T) {
				clock.Advance(time.Duration(rapid.IntRange(0, 2000).Draw(t, "seconds")) * time.Second)
			},
		})
		clock.Advance(48 * time.Hour)
		for n := range 20 {
			if err := s.Create(t.Context(), smallEntry(clock, 100+n, time.Hour)); err != nil {
				t.Fatalf("entry %d of 20: %v", n, err)
			}
			if _, err := s.Attempt(t.Context(), fmt.Sprintf("group%d.x", 100+n), nil, once(100+n)); !errors.Is(err, watchword.ErrMismatch) {
				t.Fatalf("budget %d of 20: %v", n, err)
			}
		}
		if err := s.Create(t.Context(), smallEntry(clock, 200, time.Hour)); !errors.Is(err, memory.ErrFull) {
			t.Fatalf("entry 21 of 20: %v", err)
		}
	})
}

func TestInvalidArgumentsChangeNothing(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{Clock: clock.Now})
	if err := s.Create(t.Context(), smallEntry(clock, 1, time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attempt(t.Context(), "group1.x", guess("right"), once(2)); err == nil {
		t.Error("an entry was charged to another group's budget")
	}
	if err := s.Close(t.Context(), "group1.x", watchword.Closing{State: watchword.StateApproved, Clear: once(2).Key}); err == nil {
		t.Error("an entry emptied another group's budget")
	}
	for _, state := range []watchword.State{watchword.StatePending, watchword.StateCanceled, 77} {
		bad := guess("right")
		bad[0].State = state
		if _, err := s.Attempt(t.Context(), "group1.x", bad, watchword.Budget{}); err == nil {
			t.Errorf("a guess may lead to state %d", state)
		}
	}
	if err := s.Close(t.Context(), "group1.x", watchword.Closing{}); err == nil {
		t.Error("an entry was closed as pending")
	}
	if e, err := s.Get(t.Context(), "group1.x"); err != nil || e.Used != 0 || e.State != watchword.StatePending {
		t.Errorf("after nothing but refusals: %+v, %v", e, err)
	}
}

// Large entries count several times, when they are created and when they grow, and free their space when they expire.
func TestLargeEntriesCountSeveralTimes(t *testing.T) {
	clock := storetest.NewClock()
	s := memory.New(memory.Config{MaxEntries: 10, Clock: clock.Now})
	large := func(n, size int) watchword.Entry {
		e := smallEntry(clock, n, time.Minute)
		e.Digests, e.Sealed, e.Version = nil, make([]byte, size), 1
		return e
	}
	for range 3 { // after everything has expired the store is empty again
		for n, size := range []int{4096, 1024, 0} { // which count as 4, 1 and 1
			if err := s.Create(t.Context(), large(n, size)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Create(t.Context(), large(3, 4097)); !errors.Is(err, memory.ErrFull) {
			t.Fatalf("an entry that counts as 5 where 4 are left: %v", err)
		}
		if err := s.Update(t.Context(), large(1, 5121)); !errors.Is(err, memory.ErrFull) {
			t.Fatalf("an entry that counts as 1 and grows to 6 where 4 are left: %v", err)
		}
		if err := s.Update(t.Context(), large(1, 5120)); err != nil {
			t.Fatalf("an entry that counts as 1 and grows to 5 where 4 are left: %v", err)
		}
		if err := s.Create(t.Context(), large(3, 0)); !errors.Is(err, memory.ErrFull) {
			t.Fatalf("an entry where nothing is left: %v", err)
		}
		if err := s.Close(t.Context(), large(0, 0).ID, watchword.Closing{State: watchword.StateCanceled, Sealed: make([]byte, 10)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Create(t.Context(), large(3, 3072)); err != nil {
			t.Fatalf("an entry that counts as 3 where one has become smaller by 3: %v", err)
		}
		clock.Advance(time.Minute)
	}
}
