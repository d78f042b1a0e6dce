package watchword

import (
	"context"
	"errors"
	"time"
)

// KindFallback is the question whether another method of a verification is opened, because a message has failed or its sender is
// silent. Whoever can write to the outbox can repeat the question, not change the answer: ComposeMessage decides by the encrypted
// challenge and verification. It returns ErrClosed, because the method that it opens queues a message of its own.
const KindFallback OutgoingKind = "fallback"

// fallbackPoll is how soon it is asked again whether somebody is there, after a message has failed at once.
const fallbackPoll = 3 * time.Second

// scheduleFallback returns the question that is due after a change of a delivery: at once if the message has failed, and after
// the time of the verification if its sender gets reports. A decoy is like a message that was delivered.
func (e *Engine) scheduleFallback(rec *record, o Outgoing, d Delivery) []Outgoing {
	if rec.fallbackAfter == 0 || rec.Decoy {
		return nil
	}
	question := Outgoing{Kind: KindFallback, ChallengeID: o.ChallengeID, Send: o.Send}
	switch {
	case d.Status == DeliveryFailed:
		return []Outgoing{question}
	case d.Status == DeliverySent && rec.FallbackDueAt.IsZero() && e.reportsCome(rec, d):
		rec.FallbackDueAt = e.cfg.Clock().Add(rec.fallbackAfter).UTC().Truncate(time.Millisecond)
		question.Due = rec.FallbackDueAt
		return []Outgoing{question}
	}
	return nil
}

// reportsCome reports whether the silence of the sender that accepted a message means something.
func (e *Engine) reportsCome(rec *record, d Delivery) bool {
	return e.cfg.Reports != nil && e.cfg.Reports(d.Channel, d.Sender) && (e.cfg.Failover == nil || e.cfg.Failover.ReportsCome(d.Channel, rec.prefix))
}

// openFallback opens the fallback of the verification that a challenge is part of, once, if the challenge's message did not arrive,
// nobody has answered and somebody is there. ErrClosed: it was opened, or is not opened. A *ClaimedError: it must be asked again.
func (e *Engine) openFallback(ctx context.Context, o Outgoing) error {
	rec, status, err := e.readOutgoing(ctx, o)
	if errors.Is(err, ErrNotFound) || err == nil && (status != Pending || rec.Verification == "") {
		return ErrClosed
	}
	if err != nil {
		return err
	}
	id, err := e.parseVerification(rec.Verification)
	if err != nil {
		return ErrClosed
	}
	v, err := e.readVerification(ctx, id)
	if errors.Is(err, ErrUnknownVerification) {
		return ErrClosed
	}
	if err != nil {
		return err
	}
	from, err := e.fallbackFrom(rec, v, o)
	if err != nil {
		return err
	}
	_, _, err = e.openMethod(ctx, v, v.Fallback.Method, openRequest{fallbackFrom: from.ID})
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		e.log.InfoContext(ctx, "fallback refused", "verification", v.ID, "error", err)
		return e.endFallback(ctx, v)
	}
	return ErrClosed
}

// fallbackFrom returns the method of a challenge, if the fallback has to be opened because of it. A question that is asked again
// after the verification was written stores the fallback's challenge, should the process have died before it did.
func (e *Engine) fallbackFrom(rec *record, v *verificationRecord, o Outgoing) (*verificationMethod, error) {
	from, target := v.methodOf(rec.ID), v.method(v.Fallback.Method)
	now := e.cfg.Clock()
	switch {
	case from == nil, target == nil, rec.Sends != o.Send, e.verificationStatus(v) != Pending:
		return nil, ErrClosed
	case v.Fallback.Ended && v.Fallback.From == from.ID:
		return from, nil
	case v.Fallback.Ended, target.Challenge != "", v.Current != from.ID: // or the person has gone on to another method
		return nil, ErrClosed
	case rec.Delivery.Status == DeliveryFailed:
	case rec.Delivery.Status != DeliverySent, rec.FallbackDueAt.IsZero(), from.isMail() && target.costs(), !e.reportsCome(rec, rec.Delivery):
		return nil, ErrClosed
	case now.Add(retrySlack).Before(rec.FallbackDueAt):
		return nil, &ClaimedError{rec.FallbackDueAt}
	}
	switch {
	case now.Sub(v.SeenAt) <= presenceTime:
		return from, nil
	case now.Sub(rec.SentAt) < presenceTime: // a page may still be loading
		return nil, &ClaimedError{now.Add(fallbackPoll)}
	}
	return nil, ErrClosed
}

// methodOf returns the method whose challenge has the id; nil if there is none.
func (v *verificationRecord) methodOf(challenge string) *verificationMethod {
	for i := range v.Methods {
		if v.Methods[i].Challenge == challenge {
			return &v.Methods[i]
		}
	}
	return nil
}

// isMail reports whether the method's messages go to a mailbox, and costs whether they go to a phone, which is paid for.
func (m *verificationMethod) isMail() bool { return m.Kind == "email" }
func (m *verificationMethod) costs() bool  { return m.Kind != "" && !m.isMail() }

// endFallback records that the fallback is not opened any more, because a limit or an address has refused it. The result is
// ErrClosed, or ErrUnavailable.
func (e *Engine) endFallback(ctx context.Context, v *verificationRecord) error {
	_, err := e.updateVerification(ctx, v.id, nil, func(v *verificationRecord) error {
		if v.Fallback.Ended {
			return ErrClosed
		}
		v.Fallback.Ended = true
		return nil
	})
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return ErrClosed
}
