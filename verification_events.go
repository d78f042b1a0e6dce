package watchword

import (
	"context"
	"errors"
	"time"
)

// hasEnded reports whether the verification has had its last event, apart from the expiry: its receipt was collected, or it was
// canceled.
func (v *verificationRecord) hasEnded() bool { return v.Collected || v.isCanceled() }

// verificationStartOutgoing returns what is queued in the step that creates a verification. One that a trusted device has answered
// has ended in the same step.
func (e *Engine) verificationStartOutgoing(v *verificationRecord) (out []Outgoing) {
	if e.queuesAny(EventVerificationStarted) {
		written := *v
		out = append(out, Outgoing{Kind: KindStarted, ChallengeID: v.ID, freshVerification: &written})
	}
	if v.hasEnded() {
		return append(out, e.verificationEndOutgoing(v)...)
	}
	if e.queuesAny(EventVerificationExpired) {
		out = append(out, Outgoing{Kind: KindExpiry, ChallengeID: v.ID, Due: v.ExpiresAt.Add(expirySlack)})
	}
	return out
}

// verificationEndOutgoing returns what is queued in the step that ends a verification.
func (e *Engine) verificationEndOutgoing(v *verificationRecord) []Outgoing {
	if !e.queuesAny(EventVerificationApproved, EventVerificationCanceled) {
		return nil
	}
	return []Outgoing{{Kind: KindEnded, ChallengeID: v.ID}}
}

// composeVerificationEvents is ComposeEvents for a verification.
func (e *Engine) composeVerificationEvents(ctx context.Context, o Outgoing) ([]Event, error) {
	v, err := e.readHappenedVerification(ctx, o)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Kind == KindStarted:
		return e.eventsOfVerification(v, EventVerificationStarted, v.CreatedAt), nil
	case o.Kind == KindEnded && v.Collected:
		return e.eventsOfVerification(v, EventVerificationApproved, v.CollectedAt), nil
	case o.Kind == KindEnded && v.isCanceled():
		return e.eventsOfVerification(v, EventVerificationCanceled, v.CanceledAt), nil
	case o.Kind == KindEnded:
		return nil, ErrClosed
	case o.Kind == KindExpiry:
		return e.composeVerificationExpiry(ctx, v)
	}
	return nil, ErrNotFound
}

// readHappenedVerification returns the record of a verification: the one that this process has written, if it is there.
func (e *Engine) readHappenedVerification(ctx context.Context, o Outgoing) (*verificationRecord, error) {
	if o.freshVerification != nil {
		return o.freshVerification, nil
	}
	id, err := e.parseVerification(o.ChallengeID)
	if err != nil {
		return nil, ErrNotFound
	}
	v, err := e.readVerification(ctx, id)
	if errors.Is(err, ErrUnknownVerification) {
		err = ErrNotFound
	}
	return v, err
}

// composeVerificationExpiry returns the event of a verification that nobody has answered or canceled in time.
func (e *Engine) composeVerificationExpiry(ctx context.Context, v *verificationRecord) ([]Event, error) {
	switch e.verificationStatus(v) {
	case Pending, Locked: // what is locked expires too, because it has no other event
		return nil, &ClaimedError{v.ExpiresAt.Add(expirySlack)}
	case Expired:
		if err := e.recordVerificationExpired(ctx, v); err != nil {
			return nil, err
		}
		return e.eventsOfVerification(v, EventVerificationExpired, v.ExpiresAt), nil
	}
	return nil, ErrClosed
}

// recordVerificationExpired records an expiry in the verification, so that an answer that is on its way approves it no more, and
// sends its event, once of all processes. ErrClosed: it has ended otherwise meanwhile. ErrUnavailable: it is recorded when the
// verification is read again.
func (e *Engine) recordVerificationExpired(ctx context.Context, v *verificationRecord) error {
	first := false
	if !v.Expiry {
		_, err := e.updateVerification(ctx, v.id, v, func(v *verificationRecord) error {
			switch {
			case v.Expiry:
				return ErrExpired
			case e.verificationStatus(v) != Expired:
				return ErrClosed
			}
			v.Expiry = true
			return nil
		})
		switch first = err == nil; {
		case errors.Is(err, ErrUnknownVerification):
			return ErrNotFound
		case !first && !errors.Is(err, ErrExpired):
			return err
		}
	}
	if e.tombstones.Add(v.id.random, tombstoneChallenge, Expired) {
		e.watchers.Wake(v.ID)
	}
	if first {
		e.emitVerification(ctx, EventVerificationExpired, v)
	}
	return nil
}

// newVerificationEvent returns an event of now. That of an approval names the challenge that was answered.
func (e *Engine) newVerificationEvent(eventType string, v *verificationRecord) Event {
	ev := e.newEvent(eventType, &Challenge{Verification: v.ID, Purpose: v.Purpose, Subject: v.Subject, Metadata: v.Metadata, CreatedAt: v.CreatedAt})
	if eventType == EventVerificationApproved {
		ev.ChallengeID, ev.Strategy, ev.Channel, ev.Factor = v.Claims.ID, v.Claims.Strategy, v.Claims.Channel, v.Claims.Factor
		if m := v.method(v.Answered); m != nil {
			ev.Prefix, ev.StartedAt = m.Prefix, m.OpenedAt
		}
	}
	return ev
}

// eventsOfVerification returns an event about a verification that was read, unless nobody gets it.
func (e *Engine) eventsOfVerification(v *verificationRecord, eventType string, at time.Time) []Event {
	ev := e.newVerificationEvent(eventType, v)
	ev.At = at.UTC().Truncate(time.Millisecond)
	return e.identifyEvents(0, ev)
}

// emitVerification sends an event of a verification to Config.Events.
func (e *Engine) emitVerification(ctx context.Context, eventType string, v *verificationRecord) {
	if e.cfg.Events != nil {
		e.cfg.Events(ctx, e.newVerificationEvent(eventType, v))
	}
}

// emitVerificationApproved sends the event of a collected receipt. repeated: an earlier request has collected it.
func (e *Engine) emitVerificationApproved(ctx context.Context, v *verificationRecord, repeated bool) {
	if e.cfg.Events != nil {
		ev := e.newVerificationEvent(EventVerificationApproved, v)
		ev.Repeated = repeated
		e.cfg.Events(ctx, ev)
	}
}
