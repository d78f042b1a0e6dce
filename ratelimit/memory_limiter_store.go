package ratelimit

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"
)

// Get spends one token of the key's window, if there is one. It implements limiter.Store.
func (m *Memory) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return m.Increment(ctx, key, 1, rate)
}

// Increment spends count tokens of the key's window, if there are as many. It implements limiter.Store.
func (m *Memory) Increment(ctx context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	c, err := SingleCharge(key, count, rate)
	if err != nil {
		return limiter.Context{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	charges, now := []Charge{c}, m.elapsed()
	refused := m.findWindows(now, charges) != nil
	if !refused {
		if !m.reserve(now, charges) {
			return limiter.Context{}, ErrFull
		}
		m.spend(now, &charges[0], m.found[0])
	}
	return m.describeWindow(now, c, refused), nil
}

// Peek returns the state of the key's window. It implements limiter.Store.
func (m *Memory) Peek(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	c, err := SingleCharge(key, 1, rate)
	if err != nil {
		return limiter.Context{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.elapsed()
	return m.describeWindow(now, c, m.findWindows(now, []Charge{c}) != nil), nil
}

// Reset removes the key's window. It implements limiter.Store.
func (m *Memory) Reset(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	c, err := SingleCharge(key, 1, rate)
	if err != nil {
		return limiter.Context{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.elapsed()
	if w := m.find(now, &c); w != nil {
		m.remove(w)
	}
	return m.describeWindow(now, c, false), nil
}

// describeWindow returns the state of a charge's window.
func (m *Memory) describeWindow(now int64, c Charge, refused bool) limiter.Context {
	var spent, next int64
	if w := m.find(now, &c); w != nil {
		spent, next = w.total, w.nextDelay(now, int64(c.Rate.Period))
	}
	return NewLimiterContext(c.Rate, spent, m.start.Add(time.Duration(now+next)), refused)
}
