package ratelimit

// Len is how many windows are kept, those included that have ended and were not swept yet.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.windows)
}
