package webhook

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	publishParallel = 64 // of what happened, composed at the same time
	publishTimeout  = 10 * time.Second
	publishRetry    = 5 * time.Second // after what happened could not be read or queued
	maxHandovers    = 64              // of events that are not queued with what happened
)

// publish turns what happened into events in the queues of the endpoints, until ctx ends. What this process has queued for itself is
// finished then. It does not post.
func (d *Dispatcher) publish(ctx context.Context) {
	busy := make(chan struct{}, publishParallel)
	var publishing sync.WaitGroup
	defer publishing.Wait()
	for {
		busy <- struct{}{} // blocks until there is space for one more
		<-busy
		happened, err := d.cfg.Queue.Happened.Claim(ctx, cap(busy)-len(busy))
		for _, o := range happened {
			busy <- struct{}{}
			publishing.Go(func() {
				defer func() { <-busy }()
				d.publishOne(context.WithoutCancel(ctx), o)
			})
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return
		default:
			d.cfg.Environment.Logger.Error("event queue unavailable", "error", err)
			sleep(ctx, queuePause)
		}
	}
}

// publishOne queues the events of an Outgoing for the endpoints, and then finishes it. If the process dies in between, its events are
// queued once more, with the same ids.
func (d *Dispatcher) publishOne(ctx context.Context, o watchword.Outgoing) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	log := d.cfg.Environment.Logger
	events, err := d.cfg.Queue.Engine.ComposeEvents(ctx, o)
	var early *watchword.ClaimedError
	switch {
	case errors.As(err, &early):
		if err := d.cfg.Queue.Happened.Retry(ctx, o, early.Until); err != nil {
			log.Error("event queue update failed", "step", "retry", "error", err)
		}
		return
	case errors.Is(err, watchword.ErrNotFound):
		log.Warn("event lost, because its challenge is gone", "kind", string(o.Kind), "challenge", o.ChallengeID)
	case errors.Is(err, watchword.ErrClosed):
	case err == nil:
		err = d.queueEvents(ctx, events)
	}
	if err != nil && !errors.Is(err, watchword.ErrNotFound) && !errors.Is(err, watchword.ErrClosed) {
		log.Warn("event not queued, retrying", "kind", string(o.Kind), "error", err)
		err = d.cfg.Queue.Happened.Retry(ctx, o, d.cfg.Environment.Now().Add(publishRetry))
	} else {
		err = d.cfg.Queue.Happened.Done(ctx, o)
	}
	if err != nil { // it is claimed again when its lease has ended
		log.Error("event queue update failed", "step", "done", "error", err)
	}
}

// queueEvents puts events into the queue of each endpoint whose types match.
func (d *Dispatcher) queueEvents(ctx context.Context, events []watchword.Event) error {
	for _, ev := range events {
		body, err := EncodeEvent(ev)
		if err != nil {
			return err
		}
		for _, e := range *d.endpoints.Load() {
			if e.types.matches(ev.Type) {
				if err := e.queueEvent(ctx, queuedEvent{ID: ev.ID, Type: ev.Type, At: ev.At, Body: body}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// handOver queues an event that was not queued with what happened, in the background. It returns false if it cannot, now or because
// too many are being queued.
func (d *Dispatcher) handOver(ctx context.Context, ev watchword.Event) bool {
	select {
	case d.handovers <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() { <-d.handovers }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
		defer cancel()
		if err := d.queueEvents(ctx, []watchword.Event{ev}); err != nil {
			d.keepInMemory(ctx, ev)
		}
	}()
	return true
}

// isBestEffort reports whether events of a type wait in memory although there is a queue, because an attacker can cause any number.
func isBestEffort(eventType string) bool {
	switch eventType {
	case watchword.EventFailed, watchword.EventLimitReached, watchword.EventScannerSuspected:
		return true
	}
	return false
}
