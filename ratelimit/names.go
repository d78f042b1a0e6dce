package ratelimit

// names are those of what was taken in the last RefundTime, at most maxNames in each of two generations: the older one
// is forgotten when the younger is full or as old as that.
type names struct {
	young, old map[string]int64 // when it was taken, in nanoseconds
	began      int64            // when the younger generation did
}

const maxNames = 1 << 14

// has reports whether something was taken under the name and not given back. The empty name is nobody's.
func (n *names) has(now int64, name string) bool {
	at, known := n.young[name]
	if !known {
		at, known = n.old[name]
	}
	return known && now-at < int64(RefundTime)
}

func (n *names) add(now int64, name string) {
	if name == "" {
		return
	}
	if n.young == nil || len(n.young) >= maxNames || now-n.began >= int64(RefundTime) {
		n.old, n.young, n.began = n.young, map[string]int64{}, now
	}
	n.young[name] = now
}

func (n *names) remove(name string) {
	delete(n.young, name)
	delete(n.old, name)
}
