package storetest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// A modelStore is a minimal store that meets every requirement. With a fault it violates one.
type modelStore struct {
	fault   string
	now     func() time.Time
	mu      sync.Mutex
	entries map[string]*watchword.Entry
	repeats map[string]int         // of entries
	log     map[string][]time.Time // of budgets, the newest first
}

func newModelStore(fault string, now func() time.Time) *modelStore {
	return &modelStore{fault: fault, now: now, entries: map[string]*watchword.Entry{}, repeats: map[string]int{}, log: map[string][]time.Time{}}
}

// lock begins an atomic step and returns the function that ends it. With a fault, race interrupts the step.
func (s *modelStore) lock() func() { s.mu.Lock(); return s.mu.Unlock }

func (s *modelStore) race(fault string) {
	if s.fault == fault {
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		s.mu.Lock()
	}
}

func (s *modelStore) find(id string) *watchword.Entry {
	e := s.entries[id]
	for other := range s.entries {
		if s.fault == "finds every id" && e == nil {
			e = s.entries[other]
		}
	}
	if e == nil || s.fault != "keeps entries for ever" && !s.now().Before(e.KeepUntil) {
		return nil
	}
	return e
}

func (s *modelStore) Create(_ context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	defer s.lock()()
	there := s.find(e.ID) != nil
	s.race("create races")
	if there && s.fault != "create replaces" {
		return watchword.ErrExists
	}
	if s.fault != "create aliases" {
		e = copyEntry(e)
	}
	if s.fault != "create keeps the given state" {
		e.State, e.Used, e.Mark, e.LastTry, e.Version = watchword.StatePending, 0, nil, time.Time{}, 1
	}
	if s.fault == "create loses digests" {
		e.Digests = e.Digests[:min(len(e.Digests), 2)]
	}
	s.entries[e.ID] = &e
	return nil
}

func (s *modelStore) Get(_ context.Context, id string) (watchword.Entry, error) {
	defer s.lock()()
	e := s.find(id)
	if e == nil || s.fault == "get forgets closed" && e.State != watchword.StatePending {
		return watchword.Entry{}, watchword.ErrNotFound
	}
	if s.fault == "get aliases" {
		return *e, nil
	}
	return copyEntry(*e), nil
}

func (s *modelStore) Attempt(_ context.Context, id string, guesses []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	defer s.lock()()
	if s.fault == "charges unknown entries" {
		s.charge(b)
	}
	e := s.find(id)
	if e == nil {
		return watchword.Entry{}, watchword.ErrNotFound
	}
	right := len(guesses) == 1 && slices.ContainsFunc(e.Digests, func(d []byte) bool { return bytes.Equal(d, guesses[0].Digest) })
	if err := s.refusal(e, b); err != nil && !(right && s.fault == "right guesses pass") {
		switch s.fault {
		case "charges refused":
			s.charge(b)
		case "a refusal costs a try":
			e.Tries--
		}
		return copyEntry(*e), err
	}
	s.race("attempt races")
	if b.Repeats > 0 {
		return s.repeat(e, b), nil
	}
	s.charge(b)
	if s.fault != "wrong guesses are free" {
		e.Tries--
	}
	e.Used++
	if s.fault != "forgets last try" {
		e.LastTry = s.now()
	}
	if len(e.Digests) == 0 && s.fault != "compares without digests" {
		return copyEntry(*e), nil
	}
	return s.compare(e, guesses, b)
}

func (s *modelStore) refusal(e *watchword.Entry, b watchword.Budget) error {
	wait := s.wait(b)
	switch {
	case e.State != watchword.StatePending && s.fault != "reopens":
		return watchword.ErrClosed
	case s.fault == "checks the budget first" && wait > 0:
		return &watchword.BudgetError{RetryAfter: wait}
	case !s.now().Before(e.ExpiresAt) && s.fault != "never expires":
		return watchword.ErrExpired
	case b.Repeats > 0:
		return s.repeatRefusal(e, b)
	case e.Tries == 0 && s.fault != "endless tries":
		return watchword.ErrSpent
	case wait > 0 && !(b.FirstFree && e.Used == 0 && s.fault != "no free try") && !(s.fault == "every try free" && b.FirstFree):
		return &watchword.BudgetError{RetryAfter: wait}
	}
	return nil
}

func (s *modelStore) compare(e *watchword.Entry, guesses []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	if s.fault == "reversed guesses" {
		guesses = slices.Clone(guesses)
		slices.Reverse(guesses)
	}
	for _, g := range guesses {
		if s.fault == "stops at empty guesses" && len(g.Digest) == 0 {
			break
		}
		equal := func(d []byte) bool { return bytes.Equal(d, g.Digest) && len(d) > 0 }
		if s.fault == "compares prefixes" {
			equal = func(d []byte) bool { return bytes.HasPrefix(d, g.Digest) }
		}
		if !slices.ContainsFunc(e.Digests, equal) {
			continue
		}
		e.State, e.Mark = g.State, bytes.Clone(g.Mark)
		if s.fault == "guesses approve" {
			e.State = watchword.StateApproved
		}
		if s.fault == "forgets the mark" {
			e.Mark = nil
		}
		if g.State == watchword.StateApproved && s.fault != "approval empties nothing" || s.fault == "locking empties" {
			s.empty(b.Key)
		}
		return copyEntry(*e), nil
	}
	if e.Tries == 0 && s.fault != "never locks" {
		e.State = watchword.StateLocked
	}
	return copyEntry(*e), watchword.ErrMismatch
}

func (s *modelStore) Close(_ context.Context, id string, c watchword.Closing) error {
	defer s.lock()()
	e := s.find(id)
	if e == nil {
		return watchword.ErrNotFound
	}
	if s.fault == "clears always" {
		s.empty(c.Clear)
	}
	closed := e.State != watchword.StatePending
	s.race("close races")
	if closed && s.fault != "closes twice" {
		return watchword.ErrClosed
	}
	if c.State == watchword.StateApproved && !s.now().Before(e.ExpiresAt) && s.fault != "approves expired" {
		return watchword.ErrExpired
	}
	if late := c.State == watchword.StateApproved && !c.Before.IsZero() && !s.now().Before(c.Before); late && s.fault != "approves too late" {
		return watchword.ErrExpired
	}
	if c.Version != 0 && c.Version != e.Version && s.fault != "close ignores the version" {
		return watchword.ErrConflict
	}
	if s.inFlight(e, c) {
		return watchword.ErrInFlight
	}
	e.State, e.Mark = c.State, bytes.Clone(c.Mark)
	if c.Sealed != nil || s.fault == "close always replaces the sealed data" {
		e.Sealed = bytes.Clone(c.Sealed)
		e.Version++
	}
	if s.fault != "clears nothing" {
		s.empty(c.Clear)
	}
	return nil
}

func (s *modelStore) Update(_ context.Context, n watchword.Entry, _ ...watchword.Outgoing) error {
	defer s.lock()()
	e := s.find(n.ID)
	if e == nil {
		return watchword.ErrNotFound
	}
	stale := e.Version != n.Version || e.State != n.State && s.fault != "update ignores the state"
	s.race("update races")
	if stale && s.fault != "update overwrites" || s.fault == "update pending only" && e.State != watchword.StatePending {
		return watchword.ErrConflict
	}
	n = copyEntry(n)
	e.Sealed = n.Sealed
	if s.fault != "update keeps digests" {
		e.Digests = n.Digests
	}
	if s.fault == "update refills" {
		e.Tries = n.Tries
	}
	if s.fault == "update extends" {
		e.ExpiresAt = n.ExpiresAt
	}
	e.Version++
	return nil
}

func copyEntry(e watchword.Entry) watchword.Entry {
	e.Sealed, e.Mark = bytes.Clone(e.Sealed), bytes.Clone(e.Mark)
	e.Digests = slices.Clone(e.Digests)
	for i, d := range e.Digests {
		e.Digests[i] = bytes.Clone(d)
	}
	return e
}
