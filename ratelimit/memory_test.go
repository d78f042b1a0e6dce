package ratelimit_test

import (
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/ratelimit/ratelimittest"
)

// A fakeClock is advanced by calls of Advance only.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestMemoryPassesConformanceSuite(t *testing.T) {
	t.Run("fake clock", func(t *testing.T) {
		ratelimittest.Run(t, func(*testing.T) ratelimittest.Fixture {
			clock := newFakeClock()
			store := ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now})
			return ratelimittest.Fixture{Nodes: []ratelimit.Store{store}, Advance: clock.Advance, Unit: time.Nanosecond}
		})
	})
	t.Run("real clock", func(t *testing.T) {
		ratelimittest.Run(t, func(*testing.T) ratelimittest.Fixture {
			return ratelimittest.Fixture{Nodes: []ratelimit.Store{ratelimit.NewMemory(ratelimit.MemoryConfig{})}}
		})
	})
}
