package ratelimit

// recentTakes are the names of takes in the last RefundPeriod, in two generations of at most maxNamesPerGeneration. When the
// current generation is full, or older than RefundPeriod, it replaces the previous one.
type recentTakes struct {
	current, previous map[string]int64 // name to the time of the take in nanoseconds
	since             int64            // start of the current generation
}

const maxNamesPerGeneration = 1 << 14

// has reports whether there was a take with the name that was not refunded. It is false for the empty name.
func (n *recentTakes) has(now int64, name string) bool {
	at, known := n.current[name]
	if !known {
		at, known = n.previous[name]
	}
	return known && now-at < int64(RefundPeriod)
}

func (n *recentTakes) add(now int64, name string) {
	if name == "" {
		return
	}
	if n.current == nil || len(n.current) >= maxNamesPerGeneration || now-n.since >= int64(RefundPeriod) {
		n.previous, n.current, n.since = n.current, map[string]int64{}, now
	}
	n.current[name] = now
}

func (n *recentTakes) remove(name string) {
	delete(n.current, name)
	delete(n.previous, name)
}
