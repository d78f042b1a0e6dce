package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// Errors of a Queue.
var (
	ErrQueueFull = errors.New("delivery: the queue is full")
	ErrDrained   = errors.New("delivery: the queue was drained") // Put accepts no messages any more; Claim has none left
)

// A Queue is the outbox of a single process. Its messages are lost when the process ends, so drain it first; Worker.Run does. A
// Queue is bounded: Put fails if it is full and never waits. Claim returns messages in the order in which they were put or
// became due, without polling. A Queue is safe for concurrent use.
type Queue struct {
	now   func() time.Time
	ready chan watchword.Outgoing // its capacity is that of the queue, so that sending never blocks
	empty chan struct{}           // closed when the queue is draining and no message is unfinished

	mu         sync.Mutex
	unfinished int // messages that are neither done nor buried, claimed ones included
	delayed    map[*delayedMessage]struct{}
	draining   bool
	until      time.Time // while draining: latest due time of a retry
}

// maxComplete is the number of untried messages that are kept with all data, some kilobytes each. Of further messages only the
// ids are kept, a few hundred bytes.
const maxComplete = 256

// A delayedMessage becomes ready when its timer fires.
type delayedMessage struct {
	out   watchword.Outgoing
	at    time.Time
	timer *time.Timer
}

// NewQueue returns a Queue for at most capacity messages, including those that are being sent. now is the clock by which
// Retry's times are compared; nil: time.Now.
func NewQueue(capacity int, now func() time.Time) *Queue {
	if now == nil {
		now = time.Now
	}
	return &Queue{now: now, ready: make(chan watchword.Outgoing, capacity), empty: make(chan struct{}), delayed: map[*delayedMessage]struct{}{}}
}

// Put adds all of the messages, or none if it returns ErrQueueFull or ErrDrained. A message with a Due is delayed until then.
func (q *Queue) Put(_ context.Context, out ...watchword.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.draining:
		return ErrDrained
	case q.unfinished+len(out) > cap(q.ready):
		return ErrQueueFull
	}
	for _, o := range out {
		if q.unfinished++; q.unfinished > maxComplete {
			o = o.IDs()
		}
		if o.Due.After(q.now()) {
			q.delay(o, o.Due)
		} else {
			q.ready <- o
		}
	}
	return nil
}

// Claim waits until a message is due, and claims those that are due, at most limit. If one is due already, Claim returns it even if
// the context has ended.
func (q *Queue) Claim(ctx context.Context, limit int) ([]watchword.Outgoing, error) {
	if out := q.claimReady(nil, limit); len(out) > 0 {
		return out, nil
	}
	select {
	case o := <-q.ready:
		return q.claimReady([]watchword.Outgoing{o}, limit), nil
	case <-q.empty:
		return nil, ErrDrained
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// claimReady adds messages that are due, until there are limit.
func (q *Queue) claimReady(out []watchword.Outgoing, limit int) []watchword.Outgoing {
	for len(out) < limit {
		select {
		case o := <-q.ready:
			out = append(out, o)
		default:
			return out
		}
	}
	return out
}

// Done removes a claimed message.
func (q *Queue) Done(context.Context, watchword.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unfinished--
	q.closeIfEmpty()
	return nil
}

// Bury removes a claimed message. A Queue does not keep failed messages.
func (q *Queue) Bury(ctx context.Context, o watchword.Outgoing) error { return q.Done(ctx, o) }

// Retry returns a claimed message to the queue, due at the given time. It fails with ErrDrained if the queue is drained before
// that time; the message then stays claimed.
func (q *Queue) Retry(_ context.Context, o watchword.Outgoing, at time.Time) error {
	o.Attempt++
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.draining && at.After(q.until) {
		return ErrDrained
	}
	q.delay(o, at)
	return nil
}

// delay makes a message ready at a time. The caller holds the lock.
func (q *Queue) delay(o watchword.Outgoing, at time.Time) {
	d := &delayedMessage{out: o.IDs(), at: at}
	q.delayed[d] = struct{}{}
	d.timer = time.AfterFunc(at.Sub(q.now()), func() { q.makeReady(d) })
}

func (q *Queue) makeReady(d *delayedMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.delayed[d]; ok {
		delete(q.delayed, d)
		q.ready <- d.out
	}
}

// Drain shuts the queue down. From then on Put fails with ErrDrained, and so does Claim when all messages are done or buried.
// Drain returns the messages that would become due after the given time; they count as claimed. It may be called again, with
// an earlier time.
func (q *Queue) Drain(until time.Time) (late []watchword.Outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for d := range q.delayed {
		if d.at.After(until) {
			d.timer.Stop()
			delete(q.delayed, d)
			late = append(late, d.out)
		}
	}
	q.draining, q.until = true, until
	q.closeIfEmpty()
	return late
}

// closeIfEmpty wakes waiting Claims if the queue is draining and all messages are finished. The caller holds the lock.
func (q *Queue) closeIfEmpty() {
	if !q.draining || q.unfinished > 0 {
		return
	}
	select {
	case <-q.empty: // closed already
	default:
		close(q.empty)
	}
}
