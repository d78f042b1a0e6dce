package watchword

import (
	"context"
	"errors"
	"fmt"
)

// create stores the entry and queues its message, in one atomic step if the store is the outbox too.
func (e *Engine) create(ctx context.Context, entry Entry, rec *record, out Outgoing) error {
	happened := e.startOutgoing(rec)
	if rec.Sends == 0 {
		return e.cfg.Store.Create(ctx, entry, happened...)
	}
	if err := e.workers.expectMessage(); err != nil {
		e.unreserve(out)
		return err
	}
	if e.cfg.Outbox == nil {
		out.fresh = rec
		err := e.cfg.Store.Create(ctx, entry, append(happened, out)...)
		e.requeueIfUnknown(ctx, out, err)
		return err
	}
	if err := e.cfg.Store.Create(ctx, entry); err != nil {
		return err
	}
	return e.enqueue(ctx, out, rec)
}

// updateAndEnqueue writes the record by compare-and-set and queues a message, in one atomic step if the store is the outbox.
func (e *Engine) updateAndEnqueue(ctx context.Context, rec *record, out Outgoing) error {
	if err := e.workers.expectMessage(); err != nil {
		return err
	}
	if e.cfg.Outbox == nil {
		out.Direct = e.reserveSend()
		if out.Direct {
			rec.SendClaim = newSendClaim(e.cfg.Clock())
		}
		written := *rec // a worker may read it before update returns
		written.version++
		out.fresh = &written
		err := e.update(ctx, rec, out)
		e.requeueIfUnknown(ctx, out, err)
		return err
	}
	if err := e.update(ctx, rec); err != nil {
		return err
	}
	rec.version++
	return e.enqueue(ctx, out, rec)
}

// enqueue puts a message into the outbox. If the outbox refuses it, the delivery is recorded as failed, so that a start with
// the same seed, or a resend, sends it.
func (e *Engine) enqueue(ctx context.Context, out Outgoing, rec *record) error {
	out.fresh = rec
	err := e.cfg.Outbox.Put(ctx, out)
	if err != nil {
		unsent := *rec
		unsent.Delivery.Status = DeliveryFailed
		if also := e.update(ctx, &unsent); also != nil {
			err = fmt.Errorf("%w; nor could that be recorded: %v", err, also)
		}
	}
	return err
}

// reserveSend reports whether the next message of a challenge can be sent by this process at once. Then its send is claimed in the
// step that writes the challenge and queues the message, and the message must have Direct.
func (e *Engine) reserveSend() bool { return e.direct != nil && e.direct.Reserve() }

// unreserve gives back the reservation of a message that is not queued after all.
func (e *Engine) unreserve(o Outgoing) {
	if o.Direct {
		e.direct.Unreserve()
	}
}

// requeueIfUnknown queues a Direct message once more if it was perhaps queued though the reply was lost: nobody sends it before its
// lease ends.
func (e *Engine) requeueIfUnknown(ctx context.Context, o Outgoing, err error) {
	if !o.Direct || !errors.Is(err, ErrOutcomeUnknown) {
		return
	}
	claimed := o.fresh.SendClaim
	e.background.RunUntilDone(ctx, func(ctx context.Context) error {
		err := e.updateRecord(ctx, o.fresh.id, func(rec *record, _ Entry) error {
			if rec.Sends != o.Send || !rec.SendClaim.equal(claimed) {
				return ErrClosed
			}
			rec.SendClaim.Failed++
			return nil
		}, Outgoing{ChallengeID: o.ChallengeID, Send: o.Send})
		if errors.Is(err, ErrClosed) || errors.Is(err, ErrUnknownChallenge) {
			return nil
		}
		return err
	})
}
