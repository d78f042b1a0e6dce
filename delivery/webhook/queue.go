package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/codec"
)

// EventComposer is the part of a watchword.Engine that a Dispatcher with a Queue uses.
type EventComposer interface {
	// ComposeEvents returns the events of what happened to a challenge.
	ComposeEvents(ctx context.Context, o watchword.Outgoing) ([]watchword.Event, error)
}

// A Queue is where the events of a Dispatcher wait if they outlive the process. All fields are required.
type Queue struct {
	Engine   EventComposer    // may be set after NewDispatcher, before Run
	Happened watchword.Outbox // of the store: watchword.EventOutbox.Events
	Events   watchword.EventQueue
	Switch   watchword.EndpointSwitch
	Sealer   *watchword.EventSealer
}

const (
	queueParallel  = 8                // events of an endpoint that are posted at the same time; one while it fails
	switchInterval = 10 * time.Second // between two looks whether another process got a 410
	queuePause     = time.Second      // after the queue was unavailable
)

// A queueState is what an endpoint needs to post events of a Queue. Several goroutines use it.
type queueState struct {
	*Queue
	id           string      // in the queue: of the URL without its secrets
	configDigest string      // of the URL with its secrets, and of the types
	off          atomic.Bool // it answered 410
	lookedAt     time.Time   // when postQueue has looked whether another process got a 410
	dropped      atomic.Int64
	forged       atomic.Int64

	mu          sync.Mutex
	pausedUntil time.Time
	failing     bool
}

// newQueueState returns the state of an endpoint. ordinal is the number of endpoints before it with the same URL.
func newQueueState(q *Queue, e *endpoint, ordinal int) *queueState {
	config := e.config.URL.Reveal() + " " + strings.Join(e.config.Types, " ")
	return &queueState{Queue: q, id: q.Sealer.EndpointID(fmt.Sprint(e.target, " ", ordinal)), configDigest: q.Sealer.EndpointID("configuration " + config)}
}

// isPowerOfTwo limits log lines about a counted event to the first, second, fourth, eighth ... one.
func isPowerOfTwo(n int64) bool { return n&(n-1) == 0 }

// A queuedEvent is the encrypted content of an element of the queue.
type queuedEvent struct {
	ID   string
	Type string
	At   time.Time
	Body []byte
}

func (q *queuedEvent) fields(c *codec.Codec) {
	c.Text(&q.ID)
	c.Text(&q.Type)
	c.Moment(&q.At)
	c.Bytes(&q.Body)
}

// openEvent decrypts an element of an endpoint's queue.
func openEvent(sealer *watchword.EventSealer, endpoint string, sealed []byte) (q queuedEvent, err error) {
	plain, err := sealer.Open(endpoint, sealed)
	if err == nil {
		err = codec.Decode(plain, q.fields)
	}
	return q, err
}

// queueEvent puts an event into the queue of an endpoint. An event for which there is no space is dropped.
func (e *endpoint) queueEvent(ctx context.Context, ev queuedEvent) error {
	q := e.queue
	if q.off.Load() {
		return nil
	}
	plain, err := codec.Encode(ev.fields)
	if err != nil {
		return err
	}
	sealed, err := q.Sealer.Seal(q.id, plain)
	if err != nil {
		return err
	}
	err = q.Events.Put(ctx, q.id, sealed)
	if errors.Is(err, watchword.ErrQueueFull) {
		if n := q.dropped.Add(1); isPowerOfTwo(n) {
			e.log.ErrorContext(ctx, "event queue full, event dropped", "dropped", n)
		}
		return nil
	}
	return err
}

// postQueue posts what is due in the endpoint's queue until ctx ends. Requests use postCtx, so that those in progress can finish.
func (e *endpoint) postQueue(ctx, postCtx context.Context) {
	q := e.queue
	busy := make(chan struct{}, queueParallel)
	var posting sync.WaitGroup
	defer posting.Wait()
	for ctx.Err() == nil {
		if pause := e.queuePause(ctx); pause > 0 {
			sleep(ctx, pause)
			continue
		}
		busy <- struct{}{} // blocks until one more event can be posted
		<-busy
		if e.queue.isFailing() {
			posting.Wait()
		}
		claimCtx, cancel := context.WithTimeout(ctx, switchInterval)
		claimed, err := q.Events.Claim(claimCtx, q.id, q.free(len(busy)))
		cancel()
		for _, one := range claimed {
			busy <- struct{}{}
			posting.Go(func() {
				defer func() { <-busy }()
				e.postQueued(postCtx, one)
			})
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			e.log.Error("event queue unavailable", "error", err)
			sleep(ctx, queuePause)
		}
	}
}

// free returns how many events may be claimed while some are being posted.
func (q *queueState) free(busy int) int {
	if q.isFailing() {
		return 1
	}
	return queueParallel - busy
}

func (q *queueState) isFailing() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failing
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// queuePause returns how long nothing is to be posted: after a 410 of this endpoint with this configuration, also to another process,
// or because of a Retry-After. Zero: not at all.
func (e *endpoint) queuePause(ctx context.Context) time.Duration {
	q := e.queue
	if q.off.Load() || time.Since(q.lookedAt) >= switchInterval {
		off, err := q.isTurnedOff(ctx)
		if err != nil {
			return queuePause
		}
		q.lookedAt = time.Now()
		if off && !q.off.Swap(true) {
			lost := len(e.backlog.close())
			e.log.Warn("endpoint has answered 410, no more events until its configuration changes", "lost", lost)
		}
		if q.off.Store(off); off {
			return switchInterval
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pausedUntil.Sub(e.cfg.Environment.Now())
}

// isTurnedOff reports whether the endpoint is off. Only a note that was made with this configuration counts.
func (q *queueState) isTurnedOff(ctx context.Context) (bool, error) {
	note, err := q.Switch.NoteOf(ctx, q.id)
	if err != nil || note == nil {
		return false, err
	}
	plain, err := q.Sealer.Open("off "+q.id, note)
	return err == nil && string(plain) == q.configDigest, nil
}

// turnOff records that the endpoint has answered 410.
func (e *endpoint) turnOff(ctx context.Context) {
	q := e.queue
	if q.off.Swap(true) {
		return
	}
	lost := len(e.backlog.close())
	note, err := q.Sealer.Seal("off "+q.id, []byte(q.configDigest))
	if err == nil {
		err = q.Switch.TurnOff(ctx, q.id, note)
	}
	if err != nil {
		e.log.Error("endpoint not turned off for other processes", "error", err)
	}
	e.log.Error("endpoint answered 410, no more events until its configuration changes", "lost", lost)
}

// postQueued posts one claimed event, and then removes it from the queue, retries it later or moves it to the dead letters.
func (e *endpoint) postQueued(ctx context.Context, claimed watchword.QueuedEvent) {
	q, now := e.queue, e.cfg.Environment.Now()
	recordCtx := context.WithoutCancel(ctx)
	ev, err := openEvent(q.Sealer, q.id, claimed.Sealed)
	if err != nil { // not ours
		if n := q.forged.Add(1); isPowerOfTwo(n) {
			e.log.Error("foreign value in the event queue removed", "removed", n)
		}
		e.logQueueError("done", q.Events.Done(recordCtx, q.id, claimed))
		return
	}
	err = e.post(ctx, e.client, ev.ID, now, ev.Body)
	var failed *watchword.SendError
	switch {
	case err == nil:
		e.setFailing(nil, time.Time{})
		e.logQueueError("done", q.Events.Done(recordCtx, q.id, claimed))
	case errors.Is(err, statusError(http.StatusGone)):
		e.turnOff(recordCtx)
		e.logQueueError("retry", q.Events.Retry(recordCtx, q.id, claimed, now.Add(switchInterval)))
	case errors.As(err, &failed) && failed.Permanent:
		e.logQueueError("bury", q.Events.Bury(recordCtx, q.id, claimed)) // first, so that the event is in the list when the line is read
		e.log.Warn("event refused by endpoint", "type", ev.Type, "event", ev.ID, "error", err)
	default:
		e.retryQueued(recordCtx, claimed, ev, failed, err)
	}
}

// retryQueued returns an event to the queue, or moves it to the dead letters if the next try would be after the retry period.
func (e *endpoint) retryQueued(ctx context.Context, claimed watchword.QueuedEvent, ev queuedEvent, failed *watchword.SendError, err error) {
	q, now := e.queue, e.cfg.Environment.Now()
	var pausedUntil time.Time
	if failed != nil && failed.RetryAfter > 0 {
		pausedUntil = now.Add(failed.RetryAfter)
	}
	e.setFailing(err, pausedUntil)
	due := now.Add(e.cfg.retryDelay(claimed.Attempt + 1))
	if due.After(claimed.QueuedAt.Add(retryPeriod)) {
		e.logQueueError("bury", q.Events.Bury(ctx, q.id, claimed))
		e.log.Error("event delivery given up", "type", ev.Type, "event", ev.ID, "tries", claimed.Attempt+1, "error", err)
		return
	}
	e.logQueueError("retry", q.Events.Retry(ctx, q.id, claimed, due))
}

// setFailing records the outcome of a try, and logs when it changes.
func (e *endpoint) setFailing(failure error, pausedUntil time.Time) {
	q := e.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if pausedUntil.After(q.pausedUntil) {
		q.pausedUntil = pausedUntil
	}
	switch {
	case failure != nil && !q.failing:
		e.log.Warn("event delivery failed, retrying", "error", failure)
	case failure == nil && q.failing:
		e.log.Info("event delivery recovered")
	}
	q.failing = failure != nil
}

func (e *endpoint) logQueueError(step string, err error) {
	if err != nil { // the event is posted again when its lease has ended
		e.log.Error("event queue update failed", "step", step, "error", err)
	}
}

// Subscribes reports whether an endpoint gets the events of a type. Use it as Subscribed of watchword.Config.
func (d *Dispatcher) Subscribes(eventType string) bool {
	return slices.ContainsFunc(*d.endpoints.Load(), func(e *endpoint) bool { return e.types.matches(eventType) })
}
