package delivery

import (
	"context"
	"slices"
	"sync"
	"time"
)

// channelCounts divide a number of places among channels. A channel gets another place while it has fewer than are free. So one
// channel alone takes half of the places at most, several take equal parts, and a place is always left for one more channel. The
// zero value has no places.
type channelCounts struct {
	places int
	taken  int
	of     map[string]int // by channel
}

func newChannelCounts(places int) channelCounts {
	return channelCounts{places: places, of: map[string]int{}}
}

// take takes a place for a channel, if it gets one.
func (c *channelCounts) take(channel string) bool {
	if c.of[channel] >= c.places-c.taken {
		return false
	}
	c.taken++
	c.of[channel]++
	return true
}

// release gives back a place.
func (c *channelCounts) release(channel string) {
	c.taken--
	if c.of[channel]--; c.of[channel] == 0 {
		delete(c.of, channel)
	}
}

// channelSlots are places that callers wait for, in the order in which they came. They are safe for concurrent use.
type channelSlots struct {
	mu      sync.Mutex
	counts  channelCounts
	waiting []slotWaiter
}

// A slotWaiter waits for a place.
type slotWaiter struct {
	channel string
	granted chan struct{} // closed when the place is taken for it
}

func newChannelSlots(places int) *channelSlots {
	return &channelSlots{counts: newChannelCounts(places)}
}

// take takes a place for a channel. It waits for one at most the given time, or until the context ends.
func (s *channelSlots) take(ctx context.Context, channel string, wait time.Duration) bool {
	w := slotWaiter{channel, make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.grant()
	s.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.granted:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return !s.stopWaiting(w)
}

// stopWaiting removes a waiter, and reports whether it still waited.
func (s *channelSlots) stopWaiting(w slotWaiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.waiting)
	s.waiting = slices.DeleteFunc(s.waiting, func(other slotWaiter) bool { return other == w })
	return len(s.waiting) < before
}

// release gives back a place.
func (s *channelSlots) release(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.release(channel)
	s.grant()
}

// grant takes places for those that wait and get one. The caller holds the lock.
func (s *channelSlots) grant() {
	s.waiting = slices.DeleteFunc(s.waiting, func(w slotWaiter) bool {
		taken := s.counts.take(w.channel)
		if taken {
			close(w.granted)
		}
		return taken
	})
}
