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
	// ComposeMessage returns the message. ErrClosed, ErrExpired and ErrNotFound mean that it must not be sent any more, and a
	// *ClaimedError that it must not be sent now.
	ComposeMessage(ctx context.Context, o watchword.Outgoing) (watchword.Message, error)
	// RecordDelivery stores the outcome.
	RecordDelivery(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error
	// FinishSend stores that a message was sent and removes it from the outbox, in one step. After any error the Worker does both
	// by itself.
	FinishSend(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error
	// AllowRetry records that a try has failed, so that another one may begin at the given time.
	AllowRetry(ctx context.Context, o watchword.Outgoing, at time.Time) error
}

// A WorkerConfig configures a Worker. Engine, Outbox and Sender are required. The zero value of each other field selects its
// default.
type WorkerConfig struct {
	Engine Engine
	Outbox watchword.Outbox
	Sender watchword.Sender

	Concurrency  int           // messages of one channel that are sent at the same time, and half of those of all channels; zero: 32
	DrainTimeout time.Duration // how long Run continues after its context has ended; zero: 10 seconds

	Logger *slog.Logger
	Now    func() time.Time                        // the engine's clock; nil: time.Now
	Jitter func(limit time.Duration) time.Duration // returns a delay from zero up to limit; nil: uniformly random
}

const (
	claimRetryDelay = time.Second     // after the outbox was unavailable
	slotWait        = time.Second     // longest wait of a message while its channel sends as many as it may
	slotRetryDelay  = 4 * time.Second // after that wait; up to as much again is random
)

// A Worker sends the messages of an outbox. It claims each message, lets the engine compose it, sends it, and lets the engine
// record the outcome. It retries a failed message as long as its code lives, for 24 hours at most: after about 1, 2, 5, 10, 20 and
// 40 seconds, then every minute for ten minutes, then after waits that grow to 15 minutes. The waits have jitter and are at least
// the RetryAfter of the error. While the circuit breaker of a provider is open, its messages wait for the next probe only. A
// message is recorded as failed and buried if every provider has refused it permanently or if its code has expired.
//
// Each channel has a share of the messages that are sent at the same time, so that a provider that hangs does not hold up the other
// channels. A message of a channel that has used up its share is returned to the outbox for some seconds, which is no try.
type Worker struct {
	cfg      WorkerConfig
	slots    *channelSlots    // messages that are being sent
	ending   atomic.Bool      // the context of Run has ended
	outcomes *outcomeRecorder // set by Run
	unsent   atomic.Int64     // messages that could not be sent before the shutdown
}

// NewWorker returns a Worker, or an error if a required field is missing.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	if cfg.Engine == nil || cfg.Outbox == nil || cfg.Sender == nil {
		return nil, errors.New("delivery: a worker needs an engine, an outbox and a sender")
	}
	setDefault(&cfg.Concurrency, 32)
	setDefault(&cfg.DrainTimeout, 10*time.Second)
	cfg.Logger, cfg.Now, cfg.Jitter = fillDefaults(cfg.Logger, cfg.Now, cfg.Jitter)
	return &Worker{cfg: cfg, slots: newChannelSlots(2 * cfg.Concurrency)}, nil
}

// A drainer is an outbox whose messages are lost when the process ends, such as Queue.
type drainer interface {
	Drain(until time.Time) (late []watchword.Outgoing)
}

// Run sends messages until the context ends. It then finishes the messages that are being sent. If the outbox is lost with the
// process, Run also sends the messages that are still in it, and records those that cannot be sent within DrainTimeout as failed;
// the error says how many. An outbox that other processes share keeps them. Call Run only once.
func (w *Worker) Run(ctx context.Context) error {
	recordCtx := context.WithoutCancel(ctx) // outcomes are recorded even after sendCtx has ended
	sendCtx, stop := context.WithCancel(recordCtx)
	defer stop()
	w.outcomes = newOutcomeRecorder(recordCtx, w.cfg.Engine, w.cfg.Logger)
	defer w.outcomes.flush()
	queue, drains := w.cfg.Outbox.(drainer)
	claimCtx := ctx
	if drains {
		claimCtx = sendCtx
	}
	var claiming sync.WaitGroup
	claiming.Go(func() { w.claimAndSend(claimCtx, sendCtx, recordCtx) })
	<-ctx.Done()
	w.ending.Store(true)
	defer time.AfterFunc(w.cfg.DrainTimeout, stop).Stop()
	if drains {
		w.failUnsent(recordCtx, queue.Drain(w.cfg.Now().Add(w.cfg.DrainTimeout))...)
	}
	claiming.Wait()
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
		out, err := w.cfg.Outbox.Claim(sendCtx, w.cfg.Concurrency)
		if err != nil {
			return
		}
		w.failUnsent(recordCtx, out...)
	}
}

// failUnsent records claimed messages as failed because the process ends before they can be sent. Those of an outbox that other
// processes share are left to them.
func (w *Worker) failUnsent(ctx context.Context, out ...watchword.Outgoing) {
	if _, drains := w.cfg.Outbox.(drainer); !drains {
		return
	}
	for _, o := range out {
		if o.Kind == watchword.KindMessage {
			w.unsent.Add(1)
		}
		w.giveUp(ctx, o, "")
	}
}

// claimAndSend claims as many messages as can be sent at the same time, with claimCtx, and starts a goroutine for each. These
// compose and send with sendCtx, and record outcomes with recordCtx. claimAndSend returns when they have ended.
func (w *Worker) claimAndSend(claimCtx, sendCtx, recordCtx context.Context) {
	busy := make(chan struct{}, 2*w.cfg.Concurrency)
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		busy <- struct{}{} // blocks until one more message can be sent
		<-busy
		out, err := w.cfg.Outbox.Claim(claimCtx, cap(busy)-len(busy))
		for _, o := range out {
			busy <- struct{}{}
			sending.Go(func() {
				defer func() { <-busy }()
				w.process(claimCtx, sendCtx, recordCtx, o)
			})
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrDrained), claimCtx.Err() != nil:
			return
		default:
			w.cfg.Logger.Error("outbox unavailable", "error", err)
			sleep(claimCtx, claimRetryDelay)
		}
	}
}

// process composes and sends one claimed message, and records the outcome. What is claimed after DrainTimeout is not sent.
//
// A message that waits for its channel when claimCtx ends is returned to the outbox.
func (w *Worker) process(claimCtx, sendCtx, recordCtx context.Context, o watchword.Outgoing) {
	if sendCtx.Err() != nil {
		w.failUnsent(recordCtx, o)
		return
	}
	sendCtx, cancel := context.WithTimeout(sendCtx, watchword.SendTimeout)
	defer cancel()
	m, err := w.cfg.Engine.ComposeMessage(sendCtx, o)
	var claimed *watchword.ClaimedError
	switch {
	case isUnwanted(err):
		w.drop(recordCtx, o, "", err)
		return
	case errors.As(err, &claimed):
		w.logOutboxError("retry", w.cfg.Outbox.Retry(recordCtx, o, claimed.Until), o)
		return
	case err != nil:
		w.retryOrGiveUp(recordCtx, o, watchword.Message{}, &watchword.SendError{Provider: "engine", Cause: err})
		return
	}
	o = o.Composed(m)
	if !w.slots.take(claimCtx, m.Channel, slotWait) {
		o.Attempt-- // Retry adds one
		w.retryAt(recordCtx, o, w.slotRetryTime(claimCtx))
		return
	}
	sent, err := w.cfg.Sender.Send(sendCtx, m)
	w.slots.release(m.Channel)
	var unwanted *unwantedError
	switch {
	case errors.As(err, &unwanted):
		w.drop(recordCtx, o, m.Channel, unwanted)
	case err != nil:
		w.retryOrGiveUp(recordCtx, o, m, err)
	default:
		w.finishSent(recordCtx, o, watchword.Delivery{Status: watchword.DeliverySent, Provider: sent.Provider, Channel: m.Channel, Sender: sent.Sender, Tried: sent.Tried})
	}
}

// drop ends a message that is not wanted any more. One that has expired counts as failed.
func (w *Worker) drop(ctx context.Context, o watchword.Outgoing, channel string, err error) {
	if errors.Is(err, watchword.ErrExpired) {
		w.giveUp(ctx, o, channel)
		return
	}
	w.logOutboxError("done", w.cfg.Outbox.Done(ctx, o), o)
}

// finishSent finishes a message that was sent, at once and whether or not its status is recorded, because it must not be sent twice.
func (w *Worker) finishSent(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) {
	if w.cfg.Engine.FinishSend(ctx, o, d) != nil {
		w.outcomes.add(o, d)
		w.logOutboxError("done", w.cfg.Outbox.Done(ctx, o), o)
	}
}

// slotRetryTime returns when a message is due again whose channel sends as many as it may. At the shutdown the messages of other
// channels come first, but no time is lost.
func (w *Worker) slotRetryTime(claimCtx context.Context) time.Time {
	if w.ending.Load() || claimCtx.Err() != nil {
		return w.cfg.Now()
	}
	return w.cfg.Now().Add(slotRetryDelay + w.cfg.Jitter(slotRetryDelay))
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
	w.retryAt(ctx, o, at)
}

// retryAt returns a message to the outbox for another try.
func (w *Worker) retryAt(ctx context.Context, o watchword.Outgoing, at time.Time) {
	if err := w.cfg.Engine.AllowRetry(ctx, o, at); err != nil {
		w.cfg.Logger.Error("retry not recorded", "challenge", o.ChallengeID, "error", err)
	}
	err := w.cfg.Outbox.Retry(ctx, o, at)
	if errors.Is(err, ErrDrained) {
		w.failUnsent(ctx, o)
		return
	}
	w.logOutboxError("retry", err, o)
}

// giveUp records a message as failed and buries it.
func (w *Worker) giveUp(ctx context.Context, o watchword.Outgoing, channel string) {
	w.outcomes.add(o, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: channel})
	w.logOutboxError("bury", w.cfg.Outbox.Bury(ctx, o), o)
}

func (w *Worker) logOutboxError(step string, err error, o watchword.Outgoing) {
	if err != nil {
		w.cfg.Logger.Error("outbox update failed", "step", step, "challenge", o.ChallengeID, "error", err)
	}
}
