package ratelimit

// Len returns the number of windows, including ended ones that were not removed yet.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.windows)
}

// Len returns the number of buckets, including those whose tokens are all available again.
func (t *Throttle) Len() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, rules := range t.rulesBy {
		for _, r := range rules {
			n += len(r.current) + len(r.previous)
		}
	}
	return n
}
