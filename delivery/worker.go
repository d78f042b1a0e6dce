package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
)

// Engine is the part of a watchword.Engine that a Worker uses.
type Engine interface {
	// ComposeMessage returns the message. ErrClosed, ErrExpired and ErrNotFound mean that it must not be sent any more.
	ComposeMessage(ctx context.Context, o watchword.Outgoing) (watchword.Message, error)
	// RecordDelivery stores the outcome.
	RecordDelivery(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error
}

// A WorkerConfig configures a Worker. Engine, Outbox and Sender are required. The zero value of each other field selects its
// default.
type WorkerConfig struct {
	Engine Engine
	Outbox watchword.Outbox
	Sender watchword.Sender

	Concurrency  int           // messages that are sent at the same time; zero: 32
	DrainTimeout time.Duration // how long Run continues after its context has ended; zero: 10 seconds

	Logger *slog.Logger
	Now    func() time.Time                        // the engine's clock; nil: time.Now
	Jitter func(limit time.Duration) time.Duration // returns a delay from zero up to limit; nil: uniformly random
}

// claimRetryDelay is the delay after the outbox was unavailable.
const claimRetryDelay = time.Second

// A Worker sends the messages of an outbox. It claims each message, lets the engine compose it, sends it, and lets the engine
// record the outcome. It retries a failed message as long as its code lives, for 24 hours at most: after about 1, 2, 5, 10, 20 and
// 40 seconds, then every minute for ten minutes, then after waits that grow to 15 minutes. The waits have jitter and are at least
// the RetryAfter of the error. While the circuit breaker of a provider is open, its messages wait for the next probe only. A
// message is recorded as failed and buried if every provider has refused it permanently or if its code has expired.
type Worker struct {
	cfg    WorkerConfig
	unsent atomic.Int64 // messages that could not be sent before the shutdown
}

// NewWorker returns a Worker, or an error if a required field is missing.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	if cfg.Engine == nil || cfg.Outbox == nil || cfg.Sender == nil {
		return nil, errors.New("delivery: a worker needs an engine, an outbox and a sender")
	}
	setDefault(&cfg.Concurrency, 32)
	setDefault(&cfg.DrainTimeout, 10*time.Second)
	cfg.Logger, cfg.Now, cfg.Jitter = fillDefaults(cfg.Logger, cfg.Now, cfg.Jitter)
	return &Worker{cfg: cfg}, nil
}

// A drainer is an outbox whose messages are lost when the process ends, such as Queue.
type drainer interface {
	Drain(until time.Time) (late []watchword.Outgoing)
}

// Run sends messages until the context ends. It then finishes the messages that are being sent and, if the outbox is lost with
// the process, sends the messages that are still in it. Messages that cannot be sent within DrainTimeout are recorded as
// failed; the error says how many. Call Run only once.
func (w *Worker) Run(ctx context.Context) error {
	recordCtx := context.WithoutCancel(ctx) // outcomes are recorded even after sendCtx has ended
	sendCtx, stop := context.WithCancel(recordCtx)
	defer stop()
	queue, drains := w.cfg.Outbox.(drainer)
	claimCtx := ctx
	if drains {
		claimCtx = sendCtx
	}
	var workers sync.WaitGroup
	for range w.cfg.Concurrency {
		workers.Go(func() { w.claimAndSend(claimCtx, sendCtx, recordCtx) })
	}
	<-ctx.Done()
	defer time.AfterFunc(w.cfg.DrainTimeout, stop).Stop()
	if drains {
		w.failUnsent(recordCtx, queue.Drain(w.cfg.Now().Add(w.cfg.DrainTimeout))...)
	}
	workers.Wait()
	if drains {
		w.failRemaining(sendCtx, recordCtx, queue)
	}
	if n := w.unsent.Load(); n > 0 {
		return fmt.Errorf("delivery: %d messages not sent before the shutdown", n)
	}
	return nil
}

// failRemaining claims and fails the messages that are still in the queue after DrainTimeout.
func (w *Worker) failRemaining(sendCtx, recordCtx context.Context, queue drainer) {
	w.failUnsent(recordCtx, queue.Drain(time.Time{})...)
	for sendCtx.Err() != nil {
		o, err := w.cfg.Outbox.Claim(sendCtx)
		if err != nil {
			return
		}
		w.failUnsent(recordCtx, o)
	}
}

// failUnsent records claimed messages as failed because the process ends before they can be sent.
func (w *Worker) failUnsent(ctx context.Context, out ...watchword.Outgoing) {
	w.unsent.Add(int64(len(out)))
	for _, o := range out {
		w.giveUp(ctx, o, "")
	}
}

// claimAndSend is one of the loops that share the outbox. It claims with claimCtx, composes and sends with sendCtx, and records
// outcomes with recordCtx.
func (w *Worker) claimAndSend(claimCtx, sendCtx, recordCtx context.Context) {
	for {
		o, err := w.cfg.Outbox.Claim(claimCtx)
		switch {
		case err == nil && sendCtx.Err() == nil:
			w.process(sendCtx, recordCtx, o)
		case err == nil: // claimed after DrainTimeout
			w.failUnsent(recordCtx, o)
		case errors.Is(err, ErrDrained), claimCtx.Err() != nil:
			return
		default:
			w.cfg.Logger.Error("outbox unavailable", "error", err)
			sleep(claimCtx, claimRetryDelay)
		}
	}
}

// process composes and sends one claimed message, and records the outcome.
func (w *Worker) process(sendCtx, recordCtx context.Context, o watchword.Outgoing) {
	m, err := w.cfg.Engine.ComposeMessage(sendCtx, o)
	switch {
	case errors.Is(err, watchword.ErrExpired):
		w.giveUp(recordCtx, o, "")
		return
	case errors.Is(err, watchword.ErrClosed), errors.Is(err, watchword.ErrNotFound):
		w.logOutboxError("done", w.cfg.Outbox.Done(recordCtx, o), o)
		return
	case err != nil:
		w.retryOrGiveUp(recordCtx, o, watchword.Message{}, &watchword.SendError{Provider: "engine", Cause: err})
		return
	}
	sent, err := w.cfg.Sender.Send(sendCtx, m)
	if err != nil {
		w.retryOrGiveUp(recordCtx, o, m, err)
		return
	}
	// A sent message is done even if recording fails, because it must not be sent twice.
	w.record(recordCtx, o, watchword.Delivery{Status: watchword.DeliverySent, Provider: sent.Provider, Channel: m.Channel})
	w.logOutboxError("done", w.cfg.Outbox.Done(recordCtx, o), o)
}

// retryOrGiveUp returns a failed message to the outbox for another try, or gives it up.
func (w *Worker) retryOrGiveUp(ctx context.Context, o watchword.Outgoing, m watchword.Message, err error) {
	failed := asSendError(err, "sender")
	at, giveUp := retrySchedule{now: w.cfg.Now, jitter: w.cfg.Jitter}.next(m, o.Attempt, err)
	w.cfg.Logger.Warn("message delivery failed", "challenge", o.ChallengeID, "message", m.ID, "channel", m.Channel, "try", o.Attempt+1,
		"given_up", giveUp, "fault", failed.Fault.String(), "error", failed)
	if giveUp {
		w.giveUp(ctx, o, m.Channel)
		return
	}
	if !wasCalled(err) {
		o.Attempt-- // Retry adds one
	}
	if err = w.cfg.Outbox.Retry(ctx, o, at); errors.Is(err, ErrDrained) {
		w.failUnsent(ctx, o)
		return
	}
	w.logOutboxError("retry", err, o)
}

// giveUp records a message as failed and buries it.
func (w *Worker) giveUp(ctx context.Context, o watchword.Outgoing, channel string) {
	w.record(ctx, o, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: channel})
	w.logOutboxError("bury", w.cfg.Outbox.Bury(ctx, o), o)
}

func (w *Worker) record(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) {
	if err := w.cfg.Engine.RecordDelivery(ctx, o, d); err != nil {
		w.cfg.Logger.Error("delivery status not recorded", "challenge", o.ChallengeID, "status", d.Status, "error", err)
	}
}

func (w *Worker) logOutboxError(step string, err error, o watchword.Outgoing) {
	if err != nil {
		w.cfg.Logger.Error("outbox update failed", "step", step, "challenge", o.ChallengeID, "error", err)
	}
}
