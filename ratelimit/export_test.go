package ratelimit

// Len is how many windows are kept, those included that have ended and were not swept yet.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.windows)
}

// Len is how many buckets are kept, those included that say nothing any more.
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
