package webhook

import (
	"container/heap"
	"container/list"
	"context"
	"sync"
	"time"
)

// pendingEvent is an event that one endpoint has yet to take.
type pendingEvent struct {
	id, eventType string
	body          []byte // shared by all endpoints, so never changed
	tries         int
	due           time.Time // of the next try
	giveUpAt      time.Time // no try after

	sequence   int           // which of the backlog's events it is, for those that are due at the same time
	ageElement *list.Element // its place in the backlog's byAge
	heapIndex  int           // its place in byDue
}

// backlog is what one endpoint has yet to take: bounded, in the order of age and in that of what is due. One goroutine
// takes from it; any may put into it, and none ever waits for more than its lock.
type backlog struct {
	limit int           // of events
	wake  chan struct{} // holds one element when there is news for whoever awaits it

	mu       sync.Mutex
	byAge    *list.List // of *pending, the oldest first
	byDue    dueHeap
	inFlight *pendingEvent // is being posted
	added    int           // how many were put in since the start
	dropped  int           // and how many of them dropped
	size     int           // bytes of the bodies
	closed   bool
}

func newBacklog(limit int) *backlog {
	return &backlog{limit: limit, wake: make(chan struct{}, 1), byAge: list.New()}
}

// maxBacklogBytes is how many bytes of events wait for one endpoint at most: as many as its default limit of usual events has.
const maxBacklogBytes = 8 << 20

// put adds an event. If it made older ones drop, the count of all that were dropped is returned, else zero. A closed
// backlog takes nothing.
func (b *backlog) put(p pendingEvent) (dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0
	}
	for b.byAge.Len() > 0 && (b.byAge.Len() >= b.limit || b.size+len(p.body) > maxBacklogBytes) {
		oldest := b.byAge.Front()
		if oldest.Value == b.inFlight && oldest.Next() != nil { // it may be arriving right now
			oldest = oldest.Next()
		}
		b.unlink(oldest.Value.(*pendingEvent))
		b.dropped++
		dropped = b.dropped
	}
	b.size += len(p.body)
	b.added++
	p.sequence = b.added
	p.ageElement = b.byAge.PushBack(&p)
	heap.Push(&b.byDue, &p)
	b.signal()
	return dropped
}

// next is the event that is due now, which stays until it is removed or postponed; or nil, and how long nothing will be
// due, which is negative if nothing is there.
func (b *backlog) next(now time.Time) (*pendingEvent, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.byDue) == 0 {
		return nil, -1
	}
	if wait := b.byDue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	b.inFlight = b.byDue[0]
	return b.inFlight, 0
}

// wait returns after a while, with a negative one never; when something was put in; or when the context ends.
func (b *backlog) wait(ctx context.Context, wait time.Duration) {
	var over <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-over:
	}
}

// remove forgets the event that next returned.
func (b *backlog) remove(p *pendingEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight = nil
	b.unlink(p)
}

// postpone keeps the event that next returned for later.
func (b *backlog) postpone(p *pendingEvent, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight = nil
	if p.due = due; p.heapIndex >= 0 {
		heap.Fix(&b.byDue, p.heapIndex)
	}
}

// close ends the backlog and returns what was in it, the oldest first.
func (b *backlog) close() (left []*pendingEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.byAge.Front(); e != nil; e = e.Next() {
		left = append(left, e.Value.(*pendingEvent))
	}
	b.closed, b.byDue, b.inFlight = true, nil, nil
	b.byAge.Init()
	return left
}

func (b *backlog) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// unlink takes an event out, unless it is out already. The lock is held.
func (b *backlog) unlink(p *pendingEvent) {
	if p.heapIndex >= 0 {
		heap.Remove(&b.byDue, p.heapIndex)
		b.byAge.Remove(p.ageElement)
		b.size -= len(p.body)
	}
}

func (b *backlog) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// dueHeap is a container/heap, the earliest first. What was taken out has slot -1.
type dueHeap []*pendingEvent

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].sequence < h[j].sequence
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push is heap.Interface's.
func (h *dueHeap) Push(x any) {
	p := x.(*pendingEvent)
	p.heapIndex = len(*h)
	*h = append(*h, p)
}

// Pop is heap.Interface's.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h, p.heapIndex = (*h)[:last], -1
	return p
}
