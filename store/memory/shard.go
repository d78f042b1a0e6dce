package memory

import (
	"math"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// sweepBatch is how many expired entries and budgets one call removes, so that no call takes long.
const sweepBatch = 16

// A shard holds the entries and budgets of some groups behind one lock. Times in it are nanoseconds since 1970.
type shard struct {
	mu          sync.Mutex
	store       *Store
	entries     map[string]*record
	budgets     map[string]*budget
	entryQueue  queue[*record] // by the end of their retention
	budgetQueue queue[*budget] // by the time when their last charge leaves the longest window
}

func (sh *shard) init(s *Store) {
	sh.store = s
	sh.entries = map[string]*record{}
	sh.budgets = map[string]*budget{}
}

func (sh *shard) create(r *record) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := sh.now()
	sh.removeExpired(now, sweepBatch)
	if sh.findLive(r.id, now) != nil {
		return watchword.ErrExists
	}
	if !reserve(&sh.store.entries, r.weight(), sh.store.maxEntries) {
		return ErrFull
	}
	sh.entries[r.id] = r
	sh.entryQueue.add(r)
	return nil
}

func (sh *shard) get(id string) (watchword.Entry, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.findLive(id, sh.now())
	if r == nil {
		return watchword.Entry{}, watchword.ErrNotFound
	}
	return r.entry(), nil
}

// attempt follows the order that watchword.Store prescribes: refuse, charge, compare.
func (sh *shard) attempt(id string, guesses []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := sh.now()
	r := sh.findLive(id, now)
	if r == nil {
		return watchword.Entry{}, watchword.ErrNotFound
	}
	if err := r.refusal(now, b.Repeats); err != nil {
		return r.summary(), err
	}
	if b.Repeats > 0 {
		r.repeats++
		r.lastTry = now
		return r.entry(), nil
	}
	if wait := sh.retryAfter(now, b); wait > 0 && !(b.FirstFree && r.used == 0) {
		return r.summary(), &watchword.BudgetError{RetryAfter: wait}
	}
	if !sh.charge(now, b) {
		return r.summary(), ErrFull
	}
	r.tries--
	r.used++
	r.lastTry = now
	if len(r.digests) == 0 {
		return r.entry(), nil
	}
	matched := r.match(guesses)
	if matched == nil {
		if r.tries == 0 {
			r.state = watchword.StateLocked
		}
		return r.summary(), watchword.ErrMismatch
	}
	r.state, r.mark = matched.State, clone(matched.Mark)
	if matched.State == watchword.StateApproved {
		sh.clearBudget(b.Key)
	}
	return r.entry(), nil
}

func (sh *shard) close(id string, c watchword.Closing) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := sh.now()
	r := sh.findLive(id, now)
	switch {
	case r == nil:
		return watchword.ErrNotFound
	case r.state != watchword.StatePending:
		return watchword.ErrClosed
	case c.State == watchword.StateApproved && (now >= r.expiresAt || !c.Before.IsZero() && now >= c.Before.UnixNano()):
		return watchword.ErrExpired
	case c.Version != 0 && c.Version != r.version:
		return watchword.ErrConflict
	}
	if c.Settles {
		r.settle()
	}
	if c.Idle > 0 && r.inFlight(now, c.Idle) {
		return watchword.ErrInFlight
	}
	r.state, r.mark = c.State, clone(c.Mark)
	if c.Sealed != nil {
		before := r.weight()
		r.replace(r.digests, c.Sealed)
		r.version++
		sh.store.entries.Add(r.weight() - before) // without a limit: closing never fails for lack of space
	}
	sh.clearBudget(c.Clear)
	return nil
}

func (sh *shard) update(e watchword.Entry) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.findLive(e.ID, sh.now())
	if r == nil {
		return watchword.ErrNotFound
	}
	if r.version != e.Version || r.state != e.State {
		return watchword.ErrConflict
	}
	if !reserve(&sh.store.entries, entryWeight(e.Digests, e.Sealed)-r.weight(), sh.store.maxEntries) {
		return ErrFull
	}
	r.replace(e.Digests, e.Sealed)
	r.version++
	return nil
}

func (sh *shard) now() int64 { return sh.store.clock().UnixNano() }

// findLive returns an entry, or nil if there is none or its retention is over.
func (sh *shard) findLive(id string, now int64) *record {
	r := sh.entries[id]
	if r == nil || now >= r.keepUntil {
		return nil
	}
	return r
}

// retryAfter returns for how long a budget refuses tries; 0 if it does not, or if there is no budget.
func (sh *shard) retryAfter(now int64, b watchword.Budget) time.Duration {
	if b.Key == "" {
		return 0
	}
	return sh.budgets[b.Key].retryAfter(now, b.Limits)
}

// charge adds one unit to the budget. It returns false if a new budget would exceed MaxBudgets.
func (sh *shard) charge(now int64, limits watchword.Budget) bool {
	if limits.Key == "" || len(limits.Limits) == 0 {
		return true
	}
	b := sh.budgets[limits.Key]
	if b != nil {
		b.charge(now, limits.Limits)
		sh.budgetQueue.fix(b)
		return true
	}
	sh.removeExpired(now, sweepBatch)
	if !reserve(&sh.store.budgets, 1, sh.store.maxBudgets) {
		return false
	}
	b = &budget{key: limits.Key}
	b.charge(now, limits.Limits)
	sh.budgets[b.key] = b
	sh.budgetQueue.add(b)
	return true
}

// clearBudget removes a budget.
func (sh *shard) clearBudget(key string) {
	if b := sh.budgets[key]; b != nil {
		sh.budgetQueue.remove(b)
		delete(sh.budgets, key)
		sh.store.budgets.Add(-1)
	}
}

// removeExpired removes at most so many expired entries and so many expired budgets, and reports whether there were any.
func (sh *shard) removeExpired(now int64, most int) (found bool) {
	for range most {
		r, ok := sh.entryQueue.popDue(now)
		if !ok {
			break
		}
		if r == sh.entries[r.id] { // otherwise a new entry has the same id
			delete(sh.entries, r.id)
		}
		sh.store.entries.Add(-r.weight())
		found = true
	}
	for range most {
		b, ok := sh.budgetQueue.popDue(now)
		if !ok {
			break
		}
		delete(sh.budgets, b.key)
		sh.store.budgets.Add(-1)
		found = true
	}
	return found
}

func (sh *shard) sweep() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.removeExpired(sh.now(), math.MaxInt)
}
