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
	ErrDrained   = errors.New("delivery: the queue was drained") // Put: no more is taken in; Claim: no more is left
)

// A Queue is the Outbox of a single process: what it holds ends with the process, so whoever works it drains it first.
// It is bounded; Put fails rather than waits. Messages come out in the order in which they went in or became due. It
// hands them over without polling.
type Queue struct {
	now   func() time.Time
	ready chan watchword.Outgoing // has room for all that may be live, so that sending to it never blocks
	empty chan struct{}           // closed when it is draining and nothing is live any more

	mu         sync.Mutex
	unfinished int // put and neither done nor buried, the claimed ones included
	delayed    map[*delayedMessage]struct{}
	draining   bool
	until      time.Time // while draining: nothing waits longer
}

// maxComplete is how many messages that were not tried yet are kept with what the process remembers of them, some kilobytes each.
// Of the others, which wait for a while anyway, the ids are kept: a few hundred bytes.
const maxComplete = 256

// A delayedMessage message becomes ready when its timer fires.
type delayedMessage struct {
	out   watchword.Outgoing
	at    time.Time
	timer *time.Timer
}

// NewQueue makes a Queue for at most capacity messages, those that are being sent included. Its clock is the one by which
// Retry's times are told; nil: time.Now.
func NewQueue(capacity int, now func() time.Time) *Queue {
	if now == nil {
		now = time.Now
	}
	return &Queue{now: now, ready: make(chan watchword.Outgoing, capacity), empty: make(chan struct{}), delayed: map[*delayedMessage]struct{}{}}
}

// Put takes all of the messages in, or none: ErrQueueFull, ErrDrained.
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
		q.ready <- o
	}
	return nil
}

// Claim waits for the next message that is due. A message that is there is handed out even if the context has ended.
func (q *Queue) Claim(ctx context.Context) (watchword.Outgoing, error) {
	select {
	case o := <-q.ready:
		return o, nil
	default:
	}
	select {
	case o := <-q.ready:
		return o, nil
	case <-q.empty:
		return watchword.Outgoing{}, ErrDrained
	case <-ctx.Done():
		return watchword.Outgoing{}, ctx.Err()
	}
}

// Done forgets a claimed message.
func (q *Queue) Done(context.Context, watchword.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unfinished--
	q.closeIfEmpty()
	return nil
}

// Bury forgets a claimed message too: an outbox in memory has no use for the dead.
func (q *Queue) Bury(ctx context.Context, o watchword.Outgoing) error { return q.Done(ctx, o) }

// Retry gives a claimed message back, due at the given time. ErrDrained: the queue ends before that; it is still claimed.
func (q *Queue) Retry(_ context.Context, o watchword.Outgoing, at time.Time) error {
	o.Attempt++
	d := &delayedMessage{out: o.IDs(), at: at}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.draining && at.After(q.until) {
		return ErrDrained
	}
	q.delayed[d] = struct{}{}
	d.timer = time.AfterFunc(at.Sub(q.now()), func() { q.makeReady(d) })
	return nil
}

func (q *Queue) makeReady(d *delayedMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, waits := q.delayed[d]; waits {
		delete(q.delayed, d)
		q.ready <- d.out
	}
}

// Drain ends the queue: Put fails from now on, and Claim does once everything that was taken in is done or buried. It
// returns, as claimed, the messages that would become due only after the given time. It may be called again, with an
// earlier time.
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

// closeIfEmpty tells those who wait in Claim that nothing will come any more.
func (q *Queue) closeIfEmpty() {
	if !q.draining || q.unfinished > 0 {
		return
	}
	select {
	case <-q.empty: // told already
	default:
		close(q.empty)
	}
}
