package ratelimit

import (
	"container/list"
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// DefaultMaxWindows is how many windows a Memory keeps for an app unless it is told otherwise. A window takes about 300
// bytes, and 16 more for each further event that counts in it.
const DefaultMaxWindows = 1_000_000

// ErrFull is returned by a Memory that would have to forget what still counts: it keeps as many windows for the app as it
// may, and takes no new ones for it until some have ended. Other apps are not concerned.
var ErrFull = errors.New("ratelimit: the store in memory is full")

// A MemoryConfig says how a Memory works. The zero value is fine.
type MemoryConfig struct {
	Now        func() time.Time // the clock; nil: time.Now
	MaxWindows int              // how many windows are kept for each app at most; 0: DefaultMaxWindows
}

// A Memory is a Store in the process's memory. It is bounded for each app (each owner of windows, see Charge.Space), and
// windows leave when they have ended: each new one takes two of those with it. One lock is enough: a step takes less than a
// microsecond.
type Memory struct {
	now        func() time.Time
	start      time.Time // times are counted from here, so that the clock's monotonic reading is used where it has one
	maxWindows int

	mu          sync.Mutex
	windows     map[windowKey]*window
	expiryLists map[time.Duration]*list.List // windows of one length, by their end
	found       []*window                    // scratch of TakeAll
	owners      map[string]*ownerState       // by owner
}

// A ownerState is what one owner of windows has of a Memory.
type ownerState struct {
	windows int
	takes   recentTakes
}

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
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

// TakeAll implements Store. The error is ErrFull, if any.
func (m *Memory) TakeAll(_ context.Context, _, name string, charges []Charge) (*Refusal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, names := m.elapsed(), &m.ownerOf(&charges[0]).takes
	if names.has(now, name) {
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
	names.add(now, name)
	return nil, nil
}

// Refund implements Store. It cannot fail.
func (m *Memory) Refund(_ context.Context, _, name string, charges []Charge) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, names := m.elapsed(), &m.ownerOf(&charges[0]).takes
	if !names.has(now, name) {
		return nil
	}
	names.remove(name)
	for i := range charges {
		if w := m.find(now, &charges[i]); w != nil {
			w.refund(charges[i].Cost)
		}
	}
	return nil
}

// findWindows finds the window of each charge (nil: it has none that still counts) and the charge that waits longest, if any
// has to wait.
func (m *Memory) findWindows(now int64, charges []Charge) *Refusal {
	m.found = m.found[:0]
	var longest int64
	var refused int
	for i := range charges {
		w := m.find(now, &charges[i])
		m.found = append(m.found, w)
		if wait := chargeDelay(now, &charges[i], w); wait > longest {
			longest, refused = wait, i
		}
	}
	if longest == 0 {
		return nil
	}
	return &Refusal{Charge: refused, RetryAfter: time.Duration(longest)}
}

// find returns the window of a charge without what has ended in it; nil if nothing is left.
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

// chargeDelay is how long a charge has to wait; 0: it fits.
func chargeDelay(now int64, c *Charge, w *window) int64 {
	if w == nil {
		w = &window{}
	}
	return w.delay(now, int64(c.Rate.Period), c.Rate.Limit, c.Cost)
}

// ownerOf is that of the charge's owner.
func (m *Memory) ownerOf(c *Charge) *ownerState {
	owner, _, _ := strings.Cut(c.Space, ":")
	s := m.owners[owner]
	if s == nil {
		s = &ownerState{}
		m.owners[owner] = s
	}
	return s
}

// reserve counts the windows that look did not find for their owners, unless those would have too many.
func (m *Memory) reserve(now int64, charges []Charge) bool {
	if m.tryReserve(charges) {
		return true
	}
	for _, lane := range m.expiryLists {
		m.sweep(now, lane, lane.Len())
	}
	return m.tryReserve(charges)
}

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

// spend charges a window, which is made if there is none; reserve has counted it.
func (m *Memory) spend(now int64, c *Charge, w *window) {
	if w == nil {
		w = m.addWindow(now, c)
	}
	unit := int64(timeResolution(c.Rate))
	w.add((now+unit-1)/unit*unit, int64(c.Rate.Period), c.Cost)
	w.expiryList.MoveToBack(w.element)
}

// addWindow makes the window of a charge and lets two go that have ended, so that the store shrinks faster than it grows.
func (m *Memory) addWindow(now int64, c *Charge) *window {
	lane := m.expiryLists[c.Rate.Period]
	if lane == nil {
		lane = list.New()
		m.expiryLists[c.Rate.Period] = lane
	}
	m.sweep(now, lane, 2)
	w := &window{key: windowKey{c.Space, c.Key}, expiryList: lane, owner: m.ownerOf(c)}
	w.events = w.first[:0]
	w.element = lane.PushBack(w)
	m.windows[w.key] = w
	return w
}

// sweep removes at most n windows of a lane that have ended.
func (m *Memory) sweep(now int64, lane *list.List, n int) {
	for ; n > 0 && lane.Len() > 0; n-- {
		w := lane.Front().Value.(*window)
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

// elapsed is the time in nanoseconds since the store began.
func (m *Memory) elapsed() int64 { return int64(m.now().Sub(m.start)) }
