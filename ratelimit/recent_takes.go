package ratelimit

// recentTakes are the names of takes in the last RefundPeriod, in two generations of at most maxNamesPerGeneration. When the
// current generation is full, or older than RefundPeriod, it replaces the previous one.
type recentTakes struct {
	current, previous map[string]int64 // name to the time of the take in nanoseconds
	since             int64            // start of the current generation
}

const maxNamesPerGeneration = 1 << 14

// has reports whether there was a take with the name that was not refunded. It is false for the empty name.
func (t *recentTakes) has(now int64, name string) bool {
	at, known := t.current[name]
	if !known {
		at, known = t.previous[name]
	}
	return known && now-at < int64(RefundPeriod)
}

func (t *recentTakes) add(now int64, name string) {
	if name == "" {
		return
	}
	if t.current == nil || len(t.current) >= maxNamesPerGeneration || now-t.since >= int64(RefundPeriod) {
		t.previous, t.current, t.since = t.current, map[string]int64{}, now
	}
	t.current[name] = now
}

func (t *recentTakes) remove(name string) {
	delete(t.current, name)
	delete(t.previous, name)
}
