package ratelimit

import (
	"container/list"
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// DefaultMaxWindows is the default of MemoryConfig.MaxWindows. A window takes about 300 bytes, and 16 more for each further event.
const DefaultMaxWindows = 1_000_000

// ErrFull is returned by a Memory if an app has MaxWindows windows and needs a new one. It is returned until some windows of the
// app have ended. Other apps are not affected.
var ErrFull = errors.New("ratelimit: the store in memory is full")

// A MemoryConfig configures a Memory. The zero value of each field selects its default.
type MemoryConfig struct {
	Now        func() time.Time // nil: time.Now
	MaxWindows int              // most windows of each app; zero: DefaultMaxWindows
}

// A Memory is a Store in the memory of one process. Its size is bounded for each owner of windows (see Charge.Space), which is an
// app. Adding a window removes up to two that have ended. One lock suffices, because a step takes less than a microsecond.
type Memory struct {
	now        func() time.Time
	start      time.Time // times are relative to it, so that they use the clock's monotonic reading if there is one
	maxWindows int

	mu          sync.Mutex
	windows     map[windowKey]*window
	expiryLists map[time.Duration]*list.List // the windows of each length, ordered by their end
	found       []*window                    // reused by TakeAll
	owners      map[string]*ownerState
}

// An ownerState is the part of a Memory that belongs to one owner.
type ownerState struct {
	windows int
	takes   recentTakes
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(c MemoryConfig) *Memory {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxWindows <= 0 {
		c.MaxWindows = DefaultMaxWindows
	}
	return &Memory{
		now:         c.Now,
		start:       c.Now(),
		maxWindows:  c.MaxWindows,
		windows:     make(map[windowKey]*window),
		expiryLists: make(map[time.Duration]*list.List),
		owners:      make(map[string]*ownerState),
	}
}

// TakeAll implements Store. Its only error is ErrFull.
func (m *Memory) TakeAll(_ context.Context, _, name string, charges []Charge) (*Refusal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, takes := m.elapsed(), &m.ownerOf(&charges[0]).takes
	if takes.has(now, name) {
		return nil, nil
	}
	if r := m.findWindows(now, charges); r != nil {
		return r, nil
	}
	if !m.reserve(now, charges) {
		return nil, ErrFull
	}
	for i, w := range m.found {
		m.spend(now, &charges[i], w)
	}
	takes.add(now, name)
	return nil, nil
}

// Refund implements Store. It never fails.
func (m *Memory) Refund(_ context.Context, _, name string, charges []Charge) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, takes := m.elapsed(), &m.ownerOf(&charges[0]).takes
	if !takes.has(now, name) {
		return nil
	}
	takes.remove(name)
	for i := range charges {
		if w := m.find(now, &charges[i]); w != nil {
			w.refund(charges[i].Cost)
		}
	}
	return nil
}

// findWindows sets m.found to the window of each charge, nil if it has no events that count. It returns a Refusal if a charge does
// not fit.
func (m *Memory) findWindows(now int64, charges []Charge) *Refusal {
	m.found = m.found[:0]
	var longest int64
	var refused int
	for i := range charges {
		w := m.find(now, &charges[i])
		m.found = append(m.found, w)
		if delay := chargeDelay(now, &charges[i], w); delay > longest {
			longest, refused = delay, i
		}
	}
	if longest == 0 {
		return nil
	}
	return &Refusal{Charge: refused, RetryAfter: time.Duration(longest)}
}

// find removes ended events from the window of a charge and returns it, or nil if no event is left.
func (m *Memory) find(now int64, c *Charge) *window {
	w := m.windows[windowKey{c.Space, c.Key}]
	if w == nil {
		return nil
	}
	if w.endsAt <= now {
		m.remove(w)
		return nil
	}
	w.dropExpired(now, int64(c.Rate.Period))
	return w
}

// chargeDelay returns the time until a charge fits; 0 if it fits now.
func chargeDelay(now int64, c *Charge, w *window) int64 {
	if w == nil {
		w = &window{}
	}
	return w.delay(now, int64(c.Rate.Period), c.Rate.Limit, c.Cost)
}

// ownerOf returns the state of the charge's owner.
func (m *Memory) ownerOf(c *Charge) *ownerState {
	owner, _, _ := strings.Cut(c.Space, ":")
	s := m.owners[owner]
	if s == nil {
		s = &ownerState{}
		m.owners[owner] = s
	}
	return s
}

// reserve adds the windows that findWindows did not find to the counts of their owners. It reports false, and adds none, if an
// owner would have too many.
func (m *Memory) reserve(now int64, charges []Charge) bool {
	if m.tryReserve(charges) {
		return true
	}
	for _, expiring := range m.expiryLists {
		m.sweep(now, expiring, expiring.Len())
	}
	return m.tryReserve(charges)
}

// tryReserve is reserve without removing ended windows.
func (m *Memory) tryReserve(charges []Charge) bool {
	for i, w := range m.found {
		if w != nil {
			continue
		}
		if s := m.ownerOf(&charges[i]); s.windows < m.maxWindows {
			s.windows++
			continue
		}
		for n, w := range m.found[:i] {
			if w == nil {
				m.ownerOf(&charges[n]).windows--
			}
		}
		return false
	}
	return true
}

// spend charges a window. It adds the window if w is nil; reserve has counted it.
func (m *Memory) spend(now int64, c *Charge, w *window) {
	if w == nil {
		w = m.addWindow(now, c)
	}
	unit := int64(timeResolution(c.Rate))
	w.add((now+unit-1)/unit*unit, int64(c.Rate.Period), c.Cost)
	w.expiryList.MoveToBack(w.element)
}

// addWindow adds the window of a charge. It removes up to two windows that have ended, so that the store shrinks faster than it
// grows.
func (m *Memory) addWindow(now int64, c *Charge) *window {
	expiring := m.expiryLists[c.Rate.Period]
	if expiring == nil {
		expiring = list.New()
		m.expiryLists[c.Rate.Period] = expiring
	}
	m.sweep(now, expiring, 2)
	w := &window{key: windowKey{c.Space, c.Key}, expiryList: expiring, owner: m.ownerOf(c)}
	w.events = w.first[:0]
	w.element = expiring.PushBack(w)
	m.windows[w.key] = w
	return w
}

// sweep removes up to n windows of a list that have ended.
func (m *Memory) sweep(now int64, expiring *list.List, n int) {
	for ; n > 0 && expiring.Len() > 0; n-- {
		w := expiring.Front().Value.(*window)
		if w.endsAt > now {
			return
		}
		m.remove(w)
	}
}

func (m *Memory) remove(w *window) {
	w.expiryList.Remove(w.element)
	delete(m.windows, w.key)
	w.owner.windows--
}

// elapsed returns the nanoseconds since the store was created.
func (m *Memory) elapsed() int64 { return int64(m.now().Sub(m.start)) }
