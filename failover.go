package watchword

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// KindFailover is the question whether a message that a sender has accepted moves to the next sender of its channel, because the
// sender has reported a failure or nothing at all. Whoever can write to the outbox can repeat the question, not change the answer:
// ComposeMessage decides by the encrypted challenge.
const KindFailover OutgoingKind = "failover"

// A FailoverPolicy decides which messages move to the next sender after one has accepted them. Senders have ids, because their order
// may change while a message is under way. It does no I/O and is safe for concurrent use.
type FailoverPolicy interface {
	// ReportTimeout returns how long the report of the sender of a delivery is awaited. Zero: the message does not move, because the
	// sender sends no reports or because the channel has no sender beside it and those that were tried before.
	ReportTimeout(d Delivery) time.Duration
	// ReportsCome reports whether most messages to a prefix get a report. If they do not, silence means nothing.
	ReportsCome(channel, prefix string) bool
	// CountSent counts a message that a sender with a ReportTimeout has accepted, by the time when its challenge was created.
	CountSent(channel, prefix string, created time.Time)
	// CountReport counts the first report of such a message.
	CountReport(channel, prefix string, created time.Time)
}

// A failover is the part of a record about the move of its current send to the next sender. It happens once at most.
type failover struct {
	Undelivered bool      // the first sender has reported that it did not deliver the message
	Begun       bool      // the limits were charged, and the next sender is asked
	Ended       bool      // the next sender has accepted the message, or no sender will
	DueAt       time.Time // when the silence of the first sender has lasted long enough; zero: it does not matter
}

func (f *failover) fields(c *codec.Codec) {
	c.Flag(&f.Undelivered)
	c.Flag(&f.Begun)
	c.Flag(&f.Ended)
	c.Moment(&f.DueAt)
}

// isOpen reports whether the message may still move to the next sender.
func (f *failover) isOpen() bool { return !f.Begun && !f.Ended }

// awaitsOutcome reports whether the sender's report came before the outcome of the try that called it. Until that is known, the same
// try may have asked the next sender.
func (f *failover) awaitsOutcome() bool { return f.Undelivered && f.isOpen() && f.DueAt.IsZero() }

// tryEnds returns when the try in flight of the current send ends at the latest; zero if none is.
func (e *Engine) tryEnds(rec *record) time.Time {
	switch {
	case e.cfg.Outbox != nil: // which needs no claims
		return rec.SentAt.Add(SendLease)
	case rec.SendClaim.Begun > rec.SendClaim.Failed:
		return rec.SendClaim.At.Add(SendLease)
	}
	return time.Time{}
}

// applyOutcomeAfterReport records the outcome of a try whose first sender has reported a failure before. Either the message moves
// now, or the try has moved it already.
func (e *Engine) applyOutcomeAfterReport(rec *record, o Outgoing, d Delivery) deliveryChange {
	rec.Failover.DueAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
	reported := d.Sender == rec.Delivery.Sender
	rec.Delivery, rec.LastChannel = d, d.Channel
	if reported && e.reportTimeout(rec, d) > 0 {
		return deliveryChange{out: []Outgoing{{Kind: KindFailover, ChallengeID: o.ChallengeID, Send: o.Send, Channel: d.Channel}}}
	}
	rec.Failover.Ended = true
	if reported { // by the last sender
		rec.Delivery.Status = DeliveryFailed
	}
	return deliveryChange{event: rec.Delivery}
}

// reportTimeout returns Config.Failover's ReportTimeout for a record; zero for messages that are not really sent.
func (e *Engine) reportTimeout(rec *record, d Delivery) time.Duration {
	if e.cfg.Failover == nil || rec.Decoy {
		return 0
	}
	return e.cfg.Failover.ReportTimeout(d)
}

// composeFailover composes the message for the next sender, if the message has to move to it. The move takes the limits of prefix,
// country, app and all again. ErrClosed: the message does not move.
func (e *Engine) composeFailover(ctx context.Context, o Outgoing) (Message, error) {
	for range maxConflictRetries {
		rec, err := e.readForFailover(ctx, o)
		if err != nil {
			return Message{}, err
		}
		m, err := e.composeRecord(ctx, o, rec)
		if err != nil {
			return Message{}, err
		}
		m.Tried = append(slices.Clone(rec.Delivery.Tried), rec.Delivery.Sender)
		claimed, err := e.claimFailover(ctx, o, rec)
		if !errors.Is(err, ErrConflict) {
			m.claimed = claimed
			return m, err
		}
	}
	return Message{}, unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
}

// readForFailover reads a challenge whose message may move. ErrClosed: it does not. A *ClaimedError: the sender has more time for its
// report.
func (e *Engine) readForFailover(ctx context.Context, o Outgoing) (*record, error) {
	rec, status, err := e.readOutgoing(ctx, o)
	if err != nil {
		return nil, err
	}
	move := rec.Failover
	moves := move.Begun || move.Undelivered || !move.DueAt.IsZero()
	switch {
	case rec.Sends != o.Send, rec.Delivery.Status != DeliverySent, move.Ended, !moves, rec.Decoy:
		return nil, ErrClosed
	case status == Expired:
		return nil, ErrExpired
	case status != Pending:
		return nil, ErrClosed
	case move.awaitsOutcome() && e.cfg.Clock().Before(e.tryEnds(rec)):
		return nil, &ClaimedError{e.tryEnds(rec)}
	case move.Begun || move.Undelivered:
		return rec, nil
	case e.cfg.Clock().Add(retrySlack).Before(move.DueAt):
		return nil, &ClaimedError{move.DueAt}
	case e.cfg.Failover == nil, !e.cfg.Failover.ReportsCome(rec.Delivery.Channel, rec.prefix):
		return nil, ErrClosed
	}
	return rec, nil
}

// claimFailover begins the move, once, or the next try of a move that has begun. It returns the record with the claim, or nil if the
// outbox needs no claims.
func (e *Engine) claimFailover(ctx context.Context, o Outgoing, rec *record) (*record, error) {
	var charges limitCharges
	if !rec.Failover.Begun {
		var err error
		if charges, err = e.chargeFailover(ctx, rec); errors.Is(err, ErrUnavailable) {
			return nil, err
		} else if err != nil {
			return nil, e.refuseFailover(ctx, o)
		}
		rec.Failover.Begun = true
		rec.SendClaim = sendClaim{}
	} else if e.cfg.Outbox != nil {
		return nil, nil
	}
	err := e.claimSend(ctx, rec, nil)
	if errors.Is(err, errTriesUnsettled) {
		return nil, e.refuseFailover(ctx, o)
	}
	if err != nil {
		e.refundStart(ctx, charges)
		return nil, err
	}
	if e.cfg.Outbox != nil {
		return nil, nil
	}
	return rec, nil
}

// chargeFailover charges the limits that protect against costs for one more message. The address policy decides again too.
func (e *Engine) chargeFailover(ctx context.Context, rec *record) (limitCharges, error) {
	to, err := e.addressOf(rec.Channel, rec.Address)
	if err != nil {
		return nil, err
	}
	if to.refusal != nil {
		return nil, to.refusal
	}
	if e.cfg.Starts == nil {
		return nil, nil
	}
	var buckets []Bucket
	for _, b := range e.startBuckets(rec.id.strategy.Properties(), StartRequest{Channel: rec.Channel, Client: Client{Known: rec.Client.Known}}, to) {
		switch b.By {
		case "prefix", "country", "app", "all":
			buckets = append(buckets, b)
		}
	}
	return e.charge(ctx, e.cfg.Starts, buckets...)
}

// refuseFailover ends the move. ErrClosed: the message does not move.
func (e *Engine) refuseFailover(ctx context.Context, o Outgoing) error {
	if err := e.RecordDelivery(ctx, o, Delivery{Status: DeliveryFailed}); err != nil {
		return err
	}
	return ErrClosed
}

// applyFailoverOutcome records how the next sender ended. What the first sender has reported meanwhile stays.
func applyFailoverOutcome(rec *record, d Delivery) (deliveryChange, error) {
	move := &rec.Failover
	if move.Ended || !move.Begun && !move.Undelivered && move.DueAt.IsZero() {
		return deliveryChange{}, ErrClosed
	}
	move.Ended = true
	switch {
	case rec.Delivery.Status != DeliverySent: // the first sender has reported the delivery
		return deliveryChange{}, nil
	case d.Status == DeliverySent:
		rec.Delivery, rec.LastChannel = d, d.Channel
		return deliveryChange{event: d}, nil
	case move.Undelivered:
		rec.Delivery.Status = DeliveryFailed
		return deliveryChange{event: rec.Delivery}, nil
	}
	return deliveryChange{}, nil
}

// RecordReport stores what a provider has reported of a message: DeliveryDelivered or DeliveryFailed. Reports may be repeated and come
// in any order, also before the message is recorded as sent. The status never goes back. With Config.Failover, a message that the
// sender has not delivered moves to the next sender, once, and its status stays DeliverySent until that sender has failed too.
// A report without a Sender is about the sender that has the message. ErrNotFound if the challenge is unknown.
func (e *Engine) RecordReport(ctx context.Context, o Outgoing, d Delivery) error {
	if d.Status != DeliveryDelivered && d.Status != DeliveryFailed {
		return nil
	}
	return e.changeDelivery(ctx, o.IDs(), func(rec *record, entry Entry) (deliveryChange, error) {
		if rec.Sends != o.Send || deliveryOrder[rec.Delivery.Status] >= deliveryOrder[d.Status] {
			return deliveryChange{}, ErrClosed
		}
		var change deliveryChange
		d := d.completed(rec)
		first := !rec.Failover.Undelivered && rec.Failover.isOpen()
		if d.Status == DeliveryDelivered {
			rec.Delivery, rec.LastChannel = d, d.Channel
			change.event = d
		} else if err := e.applyNegativeReport(&change, rec, entry, o, d); err != nil {
			return change, err
		}
		if first && e.reportTimeout(rec, d) > 0 {
			change.done = func() { e.cfg.Failover.CountReport(d.Channel, rec.prefix, rec.CreatedAt) }
		}
		return change, nil
	})
}

// completed returns a report with what the record knows of its sender: which one it is, and which ones were tried before it.
func (d Delivery) completed(rec *record) Delivery {
	if d.Sender == "" {
		d.Sender = rec.Delivery.Sender
	}
	if d.Sender == rec.Delivery.Sender {
		d.Tried = rec.Delivery.Tried
	}
	return d
}

// applyNegativeReport moves the message to the next sender or, if it does not move, records it as failed. A report of a sender
// whose message has moved on is ignored.
func (e *Engine) applyNegativeReport(change *deliveryChange, rec *record, entry Entry, o Outgoing, d Delivery) error {
	move := &rec.Failover
	status, _ := e.status(rec, entry)
	switch {
	case rec.Delivery.Status == DeliverySent && rec.Delivery.Sender != d.Sender:
		return ErrClosed
	case move.isOpen() && !move.Undelivered && status == Pending && e.reportTimeout(rec, d) > 0:
		move.Undelivered = true
		rec.Delivery = Delivery{Status: DeliverySent, Provider: d.Provider, Channel: d.Channel, Sender: d.Sender, Tried: d.Tried} // also if the report was faster than the outcome
		rec.LastChannel = d.Channel
		change.out = []Outgoing{{Kind: KindFailover, ChallengeID: o.ChallengeID, Send: o.Send, Channel: d.Channel}}
	case !move.Ended && (move.Begun || move.Undelivered):
		if move.Undelivered {
			return ErrClosed // repeated
		}
		move.Undelivered = true
	default:
		rec.Delivery = d
		change.event = d
	}
	return nil
}
