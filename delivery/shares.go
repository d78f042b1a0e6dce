package delivery

import (
	"context"
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

// channelSlots are places that callers wait for. They are safe for concurrent use.
type channelSlots struct {
	mu     sync.Mutex
	counts channelCounts
	freed  chan struct{} // closed when a place is released
}

func newChannelSlots(places int) *channelSlots {
	return &channelSlots{counts: newChannelCounts(places), freed: make(chan struct{})}
}

// take takes a place for a channel. It waits for one at most the given time, or until the context ends.
func (s *channelSlots) take(ctx context.Context, channel string, wait time.Duration) bool {
	taken, freed := s.tryTake(channel)
	if taken {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-freed:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
		if taken, freed = s.tryTake(channel); taken {
			return true
		}
	}
}

// tryTake takes a place, or returns a channel that is closed when it is worth another try.
func (s *channelSlots) tryTake(channel string) (taken bool, freed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.take(channel), s.freed
}

// release gives back a place.
func (s *channelSlots) release(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.release(channel)
	close(s.freed)
	s.freed = make(chan struct{})
}
