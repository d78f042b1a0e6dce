package script

// LanesPerNode and MaxWaiting are constants for tests.
const (
	LanesPerNode = lanesPerNode
	MaxWaiting   = maxWaiting
)

// Waiting returns how many commands wait for a lane.
func (l *Lanes) Waiting() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		n += len(q.waiting)
	}
	return n
}

// Busy returns how many servers have a busy lane.
func (l *Lanes) Busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queues)
}
