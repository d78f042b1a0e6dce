package delivery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
)

// Errors of a Queue.
var (
	ErrQueueFull = errors.New("delivery: the queue is full")
	ErrDrained   = errors.New("delivery: the queue was drained") // Put accepts no messages any more; Claim has none left
)

// A Queue is the outbox of a single process. Its messages are lost when the process ends, so drain it first; Worker.Run does. A
// Queue is bounded: Put fails if it is full and never waits. Each channel has a share of it, so that messages of a channel that
// cannot be sent leave places for those of the others. Claim takes channels in turn, and the messages of one channel in the order in
// which they were put or became due, without polling. A Queue is safe for concurrent use.
type Queue struct {
	now   func() time.Time
	wake  chan struct{} // holds an element if a message may be ready that no Claim has been woken for
	empty chan struct{} // closed when the queue is draining and no message is unfinished

	claimed atomic.Bool // Claim was called

	mu         sync.Mutex
	ready      readyMessages
	unfinished channelCounts // of messages that are neither done nor buried, claimed ones included
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

// NewQueue returns a Queue for at most capacity messages of one channel, including those that are being sent, and twice as many of
// all channels. A channel may add a message while it has fewer in the Queue than there are free places. now is the clock by which
// Retry's times are compared; nil: time.Now.
func NewQueue(capacity int, now func() time.Time) *Queue {
	if now == nil {
		now = time.Now
	}
	return &Queue{now: now, unfinished: newChannelCounts(2 * capacity), wake: make(chan struct{}, 1), empty: make(chan struct{}), delayed: map[*delayedMessage]struct{}{}}
}

// Put adds all of the messages, or none if it returns ErrQueueFull or ErrDrained. A message with a Due is delayed until then.
func (q *Queue) Put(_ context.Context, out ...watchword.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.draining {
		return ErrDrained
	}
	for i, o := range out {
		if !q.unfinished.take(o.Channel) {
			for _, earlier := range out[:i] {
				q.unfinished.release(earlier.Channel)
			}
			return ErrQueueFull
		}
	}
	complete := maxComplete - (q.unfinished.taken - len(out))
	for i, o := range out {
		if i >= complete {
			o = o.IDs()
		}
		if o.Due.After(q.now()) {
			q.delay(o, o.Due)
		} else {
			q.addReady(o)
		}
	}
	return nil
}

// addReady adds a message to those that are due, and wakes a Claim. The caller holds the lock.
func (q *Queue) addReady(o watchword.Outgoing) {
	q.ready.add(o, q.now())
	q.wakeClaim()
}

// wakeClaim wakes a waiting Claim, or the next one. A Claim that finds more messages wakes another.
func (q *Queue) wakeClaim() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Claim waits until a message is due, and claims those that are due, at most limit. If one is due already, Claim returns it even if
// the context has ended.
func (q *Queue) Claim(ctx context.Context, limit int) ([]watchword.Outgoing, error) {
	q.claimed.Store(true)
	for {
		if out := q.takeReady(limit); len(out) > 0 {
			return out, nil
		}
		select {
		case <-q.wake:
		case <-q.empty:
			return nil, ErrDrained
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// HasWorker implements watchword.WorkerReporter: it reports whether Claim was called.
func (q *Queue) HasWorker() bool { return q.claimed.Load() }

// takeReady removes messages that are due, at most limit. If there are more, it wakes another Claim.
func (q *Queue) takeReady(limit int) (out []watchword.Outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(out) < limit && q.ready.count > 0 {
		out = append(out, q.ready.take())
	}
	if q.ready.count > 0 {
		q.wakeClaim()
	}
	return out
}

// Done removes a claimed message.
func (q *Queue) Done(_ context.Context, o watchword.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unfinished.release(o.Channel)
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
		q.addReady(d.out)
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
	if !q.draining || q.unfinished.taken > 0 {
		return
	}
	select {
	case <-q.empty: // closed already
	default:
		close(q.empty)
	}
}

// Backlog returns how many messages are due, those that are being sent included, and how many are due later; and since when the
// oldest one that waits has been due, by the clock of the Queue. It is zero if none waits.
func (q *Queue) Backlog() (due, later int, oldest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.unfinished.taken - len(q.delayed), len(q.delayed), q.ready.oldest()
}
