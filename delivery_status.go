package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// deliveryOrder ensures that a delivery's status is only replaced by a later one.
var deliveryOrder = map[string]int{"": 0, DeliveryQueued: 1, DeliverySent: 2, DeliveryFailed: 3, DeliveryDelivered: 4}

// RecordDelivery stores the outcome of sending a message: DeliverySent or DeliveryFailed. It ignores the outcome of an older send and
// a status that is not later than the stored one. ErrNotFound if the challenge is unknown.
func (e *Engine) RecordDelivery(ctx context.Context, o Outgoing, d Delivery) error {
	return e.changeDelivery(ctx, o, e.outcomeEdit(o, d))
}

// FinishSend is RecordDelivery for a message that was sent, and removes it from the outbox in the same step. Call it at once, because
// the message must not be sent again. After any error the caller calls Outbox.Done and RecordDelivery; what has been done already
// they do not repeat. The error is errors.ErrUnsupported if the store is not the outbox.
func (e *Engine) FinishSend(ctx context.Context, o Outgoing, d Delivery) error {
	if e.direct == nil {
		return errors.ErrUnsupported
	}
	outcome, written := e.outcomeEdit(o, d), false
	err := e.changeDelivery(ctx, o, func(rec *record, entry Entry) (deliveryChange, error) {
		change, err := outcome(rec, entry)
		change.finished, written = &o, err == nil
		return change, err
	})
	if err == nil && !written { // the status is known already
		err = e.direct.Done(ctx, o)
	}
	return err
}

// outcomeEdit returns the edit of a record that stores the outcome of a message.
func (e *Engine) outcomeEdit(o Outgoing, d Delivery) func(*record, Entry) (deliveryChange, error) {
	return func(rec *record, _ Entry) (deliveryChange, error) {
		switch {
		case rec.Sends != o.Send, o.Kind == KindFallback:
			return deliveryChange{}, ErrClosed
		case o.Kind == KindFailover:
			return applyFailoverOutcome(rec, d)
		case d.Status == DeliverySent && rec.Delivery.Status == DeliverySent && rec.Failover.awaitsOutcome():
			return e.applyOutcomeAfterReport(rec, o, d), nil
		case deliveryOrder[d.Status] <= deliveryOrder[rec.Delivery.Status]:
			return deliveryChange{}, ErrClosed
		}
		change := deliveryChange{event: d}
		if rec.Delivery = d; d.Status != DeliveryFailed {
			rec.LastChannel = d.Channel
		}
		if timeout := e.reportTimeout(rec, d); d.Status == DeliverySent && timeout > 0 {
			rec.Failover.DueAt = e.cfg.Clock().Add(timeout).UTC().Truncate(time.Millisecond)
			change.out = []Outgoing{{Kind: KindFailover, ChallengeID: o.ChallengeID, Send: o.Send, Channel: d.Channel, Due: rec.Failover.DueAt}}
			change.done = func() { e.cfg.Failover.CountSent(d.Channel, rec.prefix, rec.CreatedAt) }
		}
		return change, nil
	}
}

// A deliveryChange is what follows from a change of a record's delivery.
type deliveryChange struct {
	event    Delivery   // to send an event about; without a status: none
	out      []Outgoing // to queue in the same step
	finished *Outgoing  // to remove from the store as the outbox in the same step; may be nil
	done     func()     // called after the change was stored; may be nil
}

// changeDelivery edits the record of a challenge. It begins with the content that this process has written, if there is any. An edit
// that returns ErrClosed changes nothing.
func (e *Engine) changeDelivery(ctx context.Context, o Outgoing, edit func(*record, Entry) (deliveryChange, error)) error {
	id, err := e.parse(o.ChallengeID)
	if err != nil {
		return ErrNotFound
	}
	rec := e.freshRecord(o)
	for range maxConflictRetries {
		var entry Entry
		if rec == nil {
			if entry, rec, err = e.read(ctx, id); err != nil {
				return err
			}
		}
		repeated := rec.LastChannel != ""
		change, err := edit(rec, entry)
		if errors.Is(err, ErrClosed) {
			return nil // nothing new
		}
		change.out = append(change.out, e.scheduleFallback(rec, o, change.event)...)
		happened := e.addDeliveryEvent(rec, change.event, repeated)
		e.keepWritten(rec, happened)
		change.out = append(change.out, happened...)
		switch err := e.updateAndQueue(ctx, rec, change); {
		case err == nil:
			challenge := Challenge{ID: o.ChallengeID, Verification: rec.Verification, Channel: change.event.Channel, prefix: rec.prefix, CreatedAt: rec.CreatedAt, SentAt: rec.SentAt}
			e.emitDelivery(ctx, &challenge, change.event, repeated)
			if change.done != nil {
				change.done()
			}
			return nil
		case errors.Is(err, ErrNotFound):
			return ErrUnknownChallenge
		case !errors.Is(err, ErrConflict):
			return unavailable(err)
		}
		rec = nil
	}
	return unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
}

// updateAndQueue writes the record by compare-and-set and queues what is due, in one step if the store is the outbox. An outbox in
// this process may be full; then nothing is queued.
func (e *Engine) updateAndQueue(ctx context.Context, rec *record, change deliveryChange) error {
	switch {
	case change.finished != nil:
		entry, err := rec.updatedEntry()
		if err != nil {
			return err
		}
		return e.direct.UpdateAndFinish(ctx, entry, *change.finished, change.out...)
	case e.cfg.Outbox == nil:
		return e.update(ctx, rec, change.out...)
	}
	err := e.update(ctx, rec)
	if err == nil && len(change.out) > 0 {
		if full := e.cfg.Outbox.Put(ctx, change.out...); full != nil {
			e.log.Warn("failover or fallback not queued", "challenge", rec.ID, "error", full)
		}
	}
	return err
}

// stateOf returns the state of an entry whose challenge has ended in this process.
var stateOf = map[Status]State{Approved: StateApproved, Locked: StateLocked, Canceled: StateCanceled}

// freshRecord returns a copy of the record as this process has written it last; nil if it must be read.
func (e *Engine) freshRecord(o Outgoing) *record {
	if o.fresh == nil {
		return nil
	}
	rec := *o.fresh
	if ending, ended := e.tombstonesOf(rec.id).Find(rec.id.random, tombstoneChallenge); ended {
		rec.state = stateOf[ending] // an end changes nothing else that was read
	}
	return &rec
}

// recordFresh edits the record that this process has just written without reading it; ErrConflict if it has changed.
func (e *Engine) recordFresh(ctx context.Context, o Outgoing, edit func(*record, Entry) error) error {
	rec := e.freshRecord(o)
	if rec == nil {
		return ErrConflict
	}
	if err := edit(rec, Entry{}); err != nil {
		return err
	}
	err := e.update(ctx, rec)
	if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return err
}

func (e *Engine) emitDelivery(ctx context.Context, c *Challenge, d Delivery, repeated bool) {
	eventType := deliveryEventType(d)
	if eventType == "" {
		return
	}
	e.emit(ctx, eventType, c, func(ev *Event) { ev.Provider, ev.RequestedAt, ev.Repeated = d.Provider, c.SentAt, repeated })
}

// deliveryEventType returns the type of the event about a delivery; empty: none.
func deliveryEventType(d Delivery) string {
	switch d.Status {
	case DeliverySent:
		return EventMessageSent
	case DeliveryDelivered:
		return EventMessageDelivered
	case DeliveryFailed:
		return EventMessageFailed
	}
	return ""
}

// keepWritten gives what is queued a copy of the record as it is about to be written, so that it need not be read.
func (e *Engine) keepWritten(rec *record, out []Outgoing) {
	if len(out) == 0 {
		return
	}
	written := *rec
	written.version++
	for i := range out {
		out[i].fresh = &written
	}
}
