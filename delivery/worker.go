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

// An Engine is what a Worker needs of a watchword.Engine.
type Engine interface {
	// ComposeMessage makes the message. ErrClosed, ErrExpired and ErrNotFound: it is not wanted any more.
	ComposeMessage(ctx context.Context, o watchword.Outgoing) (watchword.Message, error)
	// RecordDelivery keeps what became of it.
	RecordDelivery(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error
}

// A WorkerConfig says what a Worker does its work with. Zero values are usable, but for the first three.
type WorkerConfig struct {
	Engine Engine
	Outbox watchword.Outbox
	Sender watchword.Sender

	Concurrency  int           // messages that are sent at a time; zero: 32
	Tries        int           // of one message, by all of its channel's providers each; zero: 8
	Backoff      time.Duration // the longest wait before the second try; it doubles with each, up to 30 seconds; zero: 1 second
	DrainTimeout time.Duration // how long Run goes on after its context has ended; zero: 10 seconds

	Logger *slog.Logger
	Now    func() time.Time                        // the engine's clock; nil: time.Now
	Jitter func(limit time.Duration) time.Duration // a wait from zero up to limit; nil: uniformly random
}

const (
	maxBackoff      = 30 * time.Second
	claimRetryDelay = time.Second // after an outbox could not be reached
)

// A Worker sends what waits in an outbox: it has the engine compose each message, sends it, and has the engine record
// the outcome. What fails is tried again with full jitter, never before its provider wants to be asked and never after
// its code has died; then, or when every provider has refused it for good, it is recorded as failed and buried.
type Worker struct {
	cfg    WorkerConfig
	unsent atomic.Int64 // messages that there was no time left for
}

// NewWorker makes a Worker, or says what is missing.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	if cfg.Engine == nil || cfg.Outbox == nil || cfg.Sender == nil {
		return nil, errors.New("delivery: a worker needs an engine, an outbox and a sender")
	}
	setDefault(&cfg.Concurrency, 32)
	setDefault(&cfg.Tries, 8)
	setDefault(&cfg.Backoff, time.Second)
	setDefault(&cfg.DrainTimeout, 10*time.Second)
	cfg.Logger, cfg.Now, cfg.Jitter = fillDefaults(cfg.Logger, cfg.Now, cfg.Jitter)
	return &Worker{cfg: cfg}, nil
}

// A drainer is an outbox that ends with the process: see Queue.
type drainer interface {
	Drain(until time.Time) (late []watchword.Outgoing)
}

// Run works until the context ends, and then until nothing is left or the time to drain is over: what is being sent is
// finished and, if the outbox ends with the process, what waits in it is still sent. What cannot be sent in time is
// recorded as failed. The error says how much that was. Run a Worker once.
func (w *Worker) Run(ctx context.Context) error {
	settling := context.WithoutCancel(ctx) // outcomes are recorded even when there is no time left to send
	sending, stop := context.WithCancel(settling)
	defer stop()
	queue, ends := w.cfg.Outbox.(drainer)
	claiming := ctx
	if ends {
		claiming = sending
	}
	var workers sync.WaitGroup
	for range w.cfg.Concurrency {
		workers.Go(func() { w.claimAndSend(claiming, sending, settling) })
	}
	<-ctx.Done()
	defer time.AfterFunc(w.cfg.DrainTimeout, stop).Stop()
	if ends {
		w.failUnsent(settling, queue.Drain(w.cfg.Now().Add(w.cfg.DrainTimeout))...)
	}
	workers.Wait()
	if ends {
		w.failRemaining(sending, settling, queue)
	}
	if n := w.unsent.Load(); n > 0 {
		return fmt.Errorf("delivery: %d messages could not be sent before the end", n)
	}
	return nil
}

// failRemaining claims what is still there when the time to drain is over.
func (w *Worker) failRemaining(sending, settling context.Context, queue drainer) {
	w.failUnsent(settling, queue.Drain(time.Time{})...)
	for sending.Err() != nil {
		o, err := w.cfg.Outbox.Claim(sending)
		if err != nil {
			return
		}
		w.failUnsent(settling, o)
	}
}

// failUnsent gives claimed messages up for want of time.
func (w *Worker) failUnsent(ctx context.Context, out ...watchword.Outgoing) {
	w.unsent.Add(int64(len(out)))
	for _, o := range out {
		w.giveUp(ctx, o, "")
	}
}

// claimAndSend is one of the loops that share the outbox.
func (w *Worker) claimAndSend(claiming, sending, settling context.Context) {
	for {
		o, err := w.cfg.Outbox.Claim(claiming)
		switch {
		case err == nil && sending.Err() == nil:
			w.process(sending, settling, o)
		case err == nil: // handed out though the time is over
			w.failUnsent(settling, o)
		case errors.Is(err, ErrDrained), claiming.Err() != nil:
			return
		default:
			w.cfg.Logger.Error("outbox cannot be reached", "error", err)
			sleep(claiming, claimRetryDelay)
		}
	}
}

// process brings one claimed message as far as it comes.
func (w *Worker) process(sending, settling context.Context, o watchword.Outgoing) {
	m, err := w.cfg.Engine.ComposeMessage(sending, o)
	switch {
	case errors.Is(err, watchword.ErrClosed), errors.Is(err, watchword.ErrExpired), errors.Is(err, watchword.ErrNotFound):
		w.logOutboxError("done", w.cfg.Outbox.Done(settling, o), o)
		return
	case err != nil:
		w.retryOrGiveUp(settling, o, watchword.Message{}, &watchword.SendError{Provider: "engine", Cause: err})
		return
	}
	sent, err := w.cfg.Sender.Send(sending, m)
	if err != nil {
		w.retryOrGiveUp(settling, o, m, err)
		return
	}
	// A message that was sent is done, whether or not that could be recorded: it must not be sent twice.
	w.record(settling, o, watchword.Delivery{Status: watchword.DeliverySent, Provider: sent.Provider, Channel: m.Channel})
	w.logOutboxError("done", w.cfg.Outbox.Done(settling, o), o)
}

// retryOrGiveUp gives a message back for later, or up.
func (w *Worker) retryOrGiveUp(ctx context.Context, o watchword.Outgoing, m watchword.Message, err error) {
	failed := asSendError(err, "sender")
	at := w.cfg.Now().Add(failed.RetryAfter + w.cfg.Jitter(min(maxBackoff, w.cfg.Backoff<<min(o.Attempt, 16))))
	hopeless := failed.Permanent || o.Attempt+1 >= w.cfg.Tries || !m.ExpiresAt.IsZero() && !at.Before(m.ExpiresAt)
	w.cfg.Logger.Warn("message not sent", "challenge", o.ChallengeID, "message", m.ID, "channel", m.Channel, "try", o.Attempt+1,
		"given_up", hopeless, "error", failed)
	if hopeless {
		w.giveUp(ctx, o, m.Channel)
		return
	}
	if err = w.cfg.Outbox.Retry(ctx, o, at); errors.Is(err, ErrDrained) {
		w.failUnsent(ctx, o)
		return
	}
	w.logOutboxError("retry", err, o)
}

func (w *Worker) giveUp(ctx context.Context, o watchword.Outgoing, channel string) {
	w.record(ctx, o, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: channel})
	w.logOutboxError("bury", w.cfg.Outbox.Bury(ctx, o), o)
}

func (w *Worker) record(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) {
	if err := w.cfg.Engine.RecordDelivery(ctx, o, d); err != nil {
		w.cfg.Logger.Error("delivery not recorded", "challenge", o.ChallengeID, "status", d.Status, "error", err)
	}
}

func (w *Worker) logOutboxError(step string, err error, o watchword.Outgoing) {
	if err != nil {
		w.cfg.Logger.Error("outbox refused", "step", step, "challenge", o.ChallengeID, "error", err)
	}
}
