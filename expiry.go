package watchword

import (
	"container/heap"
	"context"
	"strings"
	"sync"
	"time"
)

const (
	maxExpiries   = 100_000         // challenges and verifications whose expiry is awaited in this process; that of one more is noticed when it is read
	expiryTimeout = 2 * time.Second // of the read of one
)

// expiryTimers await the expiry of challenges and verifications in this process, for stores that do not queue it. They are safe for concurrent use.
type expiryTimers struct {
	mu      sync.Mutex
	waiting expiryHeap
	timer   *time.Timer // of the first; nil: none waits, or the due ones are being read
}

// An expiringChallenge is a challenge or a verification, by its id.
type expiringChallenge struct {
	id string
	at time.Time
}

// watchExpiry reads a challenge when it expires, which sends EventExpired, if somebody gets that.
func (e *Engine) watchExpiry(c *Challenge) {
	if !e.queuesEvents && e.cfg.Subscribed(EventExpired) {
		e.expiries.add(expiringChallenge{c.ID, c.ExpiresAt}, e)
	}
}

// watchVerificationExpiry reads a verification when it expires, which sends EventVerificationExpired, if somebody gets that.
func (e *Engine) watchVerificationExpiry(v *verificationRecord) {
	if !e.queuesEvents && e.cfg.Subscribed(EventVerificationExpired) {
		e.expiries.add(expiringChallenge{v.ID, v.ExpiresAt}, e)
	}
}

func (t *expiryTimers) add(c expiringChallenge, e *Engine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= maxExpiries {
		return
	}
	heap.Push(&t.waiting, c)
	switch {
	case t.timer == nil:
		t.schedule(e)
	case t.waiting[0] == c:
		t.timer.Reset(c.at.Sub(e.cfg.Clock()))
	}
}

// schedule starts the timer of the first challenge. The caller holds the lock.
func (t *expiryTimers) schedule(e *Engine) {
	t.timer = time.AfterFunc(t.waiting[0].at.Sub(e.cfg.Clock()), func() { t.readExpired(e) })
}

// readExpired reads what has expired.
func (t *expiryTimers) readExpired(e *Engine) {
	for _, c := range t.takeExpired(e.cfg.Clock()) {
		ctx, cancel := context.WithTimeout(context.Background(), expiryTimeout)
		if strings.HasPrefix(c.id, verificationPrefix) { // what cannot be read now is noticed when somebody reads it
			_, _ = e.readPending(ctx, c.id)
		} else {
			_, _, _ = e.readView(ctx, c.id)
		}
		cancel()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer = nil; len(t.waiting) > 0 {
		t.schedule(e)
	}
}

func (t *expiryTimers) takeExpired(now time.Time) (expired []expiringChallenge) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.waiting) > 0 && !now.Before(t.waiting[0].at) {
		expired = append(expired, heap.Pop(&t.waiting).(expiringChallenge))
	}
	return expired
}

// An expiryHeap implements heap.Interface. The challenge that expires first is first.
type expiryHeap []expiringChallenge

// Len is heap.Interface's: the number of challenges.
func (h expiryHeap) Len() int { return len(h) }

// Less is heap.Interface's: what expires earlier comes first.
func (h expiryHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

// Swap is heap.Interface's.
func (h expiryHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's.
func (h *expiryHeap) Push(x any) { *h = append(*h, x.(expiringChallenge)) }

// Pop is heap.Interface's.
func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	*h = (*h)[:last]
	return c
}
