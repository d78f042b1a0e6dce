package ratelimit

// recentTakes are those of what was taken in the last RefundPeriod, at most maxNames in each of two generations: the older one
// is forgotten when the younger is full or as old as that.
type recentTakes struct {
	current, previous map[string]int64 // when it was taken, in nanoseconds
	since             int64            // when the younger generation did
}

const maxNamesPerGeneration = 1 << 14

// has reports whether something was taken under the name and not given back. The empty name is nobody's.
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
