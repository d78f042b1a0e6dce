package webhook

import (
	"container/heap"
	"container/list"
	"context"
	"sync"
	"time"
)

// A pendingEvent is an event that an endpoint has not accepted yet.
type pendingEvent struct {
	id, eventType string
	body          []byte // shared by all endpoints; must not be changed
	tries         int
	due           time.Time // time of the next try
	giveUpAt      time.Time // no try is made later

	sequence   int           // number of the event in the backlog; orders events that are due at the same time
	ageElement *list.Element // position in backlog.byAge
	heapIndex  int           // position in backlog.byDue; -1: not in it
}

// A backlog holds the pending events of one endpoint, ordered both by age and by due time. It is bounded. One goroutine calls
// next, remove and postpone; put may be called by any goroutine and never blocks for long.
type backlog struct {
	limit int           // most events
	space *Space        // bounds all backlogs together; may be nil
	wake  chan struct{} // holds one element after an event was added

	mu       sync.Mutex
	byAge    *list.List // of *pendingEvent, oldest first
	byDue    dueHeap
	inFlight *pendingEvent // event that is being posted
	added    int           // events added since the start
	dropped  int           // events dropped since the start
	size     int           // bytes of all bodies
	closed   bool
}

func newBacklog(limit int, space *Space) *backlog {
	if space != nil {
		space.endpoints.Add(1)
	}
	return &backlog{limit: limit, space: space, wake: make(chan struct{}, 1), byAge: list.New()}
}

// maxBacklogBytes is the largest total size of the bodies in a backlog. About 10,000 usual events have this size.
const maxBacklogBytes = 8 << 20

// put adds an event. If it drops older events to stay within its bounds, it returns the number of all events dropped since the start, else
// zero. A closed backlog ignores the event.
func (b *backlog) put(p pendingEvent) (dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0
	}
	for b.byAge.Len() > 0 && (b.byAge.Len() >= b.limit || b.size+len(p.body) > maxBacklogBytes || !b.space.canAdd(b.size, len(p.body))) {
		oldest := b.byAge.Front()
		if oldest.Value == b.inFlight && oldest.Next() != nil { // the endpoint may be receiving it
			oldest = oldest.Next()
		}
		b.unlink(oldest.Value.(*pendingEvent))
		b.dropped++
		dropped = b.dropped
	}
	b.resize(len(p.body))
	b.added++
	p.sequence = b.added
	p.ageElement = b.byAge.PushBack(&p)
	heap.Push(&b.byDue, &p)
	b.signal()
	return dropped
}

// next returns the event that is due now. The event stays in the backlog until it is removed or postponed. If no event is due,
// next returns nil and the time until one will be, negative if the backlog is empty.
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

// wait returns when an event is added, when the context ends, or after d if d is not negative.
func (b *backlog) wait(ctx context.Context, d time.Duration) {
	var expired <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-expired:
	}
}

// remove removes the event that next returned.
func (b *backlog) remove(p *pendingEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight = nil
	b.unlink(p)
}

// postpone sets a later due time of the event that next returned.
func (b *backlog) postpone(p *pendingEvent, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight = nil
	if p.due = due; p.heapIndex >= 0 {
		heap.Fix(&b.byDue, p.heapIndex)
	}
}

// close closes the backlog and returns its events, oldest first.
func (b *backlog) close() (left []*pendingEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.byAge.Front(); e != nil; e = e.Next() {
		left = append(left, e.Value.(*pendingEvent))
	}
	b.closed, b.byDue, b.inFlight = true, nil, nil
	b.byAge.Init()
	b.resize(-b.size)
	return left
}

func (b *backlog) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// unlink removes an event from the backlog, unless it was removed before. The caller holds the lock.
func (b *backlog) unlink(p *pendingEvent) {
	if p.heapIndex >= 0 {
		heap.Remove(&b.byDue, p.heapIndex)
		b.byAge.Remove(p.ageElement)
		b.resize(-len(p.body))
	}
}

// resize adds to the size. The caller holds the lock.
func (b *backlog) resize(more int) {
	b.size += more
	if b.space != nil {
		b.space.used.Add(int64(more))
	}
}

func (b *backlog) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// A dueHeap implements heap.Interface. The event with the earliest due time is first.
type dueHeap []*pendingEvent

// Len is heap.Interface's: the number of events.
func (h dueHeap) Len() int { return len(h) }

// Less is heap.Interface's: events that are due earlier come first.
func (h dueHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].sequence < h[j].sequence
}

// Swap is heap.Interface's; each event keeps its index.
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	p := x.(*pendingEvent)
	p.heapIndex = len(*h)
	*h = append(*h, p)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h, p.heapIndex = (*h)[:last], -1
	return p
}
