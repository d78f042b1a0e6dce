package watchword

import (
	"context"
	"errors"
	"time"
)

// An undecidedAnswer is a right answer to the challenge of a method whose strategy evaluates answers itself. What it spends is spent,
// and the challenge is still open. The one step that writes it into the verification decides whether it approves; the challenge is
// closed after the answer. Until then, and if that never happens, the challenge's state is that of the verification: see
// followVerification.
type undecidedAnswer struct {
	rec         *record // with what the challenge is closed with
	attempt     *attempt
	at          time.Time // when it was right
	limit       time.Time // from then on it approves nothing: its try may be over, or the challenge has expired
	spentFactor *Factor   // Result.spentFactor
}

// checkUndecided refuses a right answer whose try or challenge has ended before the verification was approved.
func (e *Engine) checkUndecided(v *verificationRecord, method string, u *undecidedAnswer) error {
	m, now := v.method(method), e.cfg.Clock()
	switch {
	case !now.Before(u.rec.ExpiresAt), m == nil, m.Challenge != u.rec.ID: // or it was opened again since
		return ErrChallengeExpired
	case m.Ended != "":
		return closedError(m.Ended)
	case !now.Before(u.limit):
		return unavailable(ErrExpired)
	}
	return nil
}

// recordPartCanceled records in its verification that the challenge of a method is about to be canceled, because its factor was removed:
// an answer that is on its way has approved the verification before, which is ErrClosed, or finds its method ended. It does nothing for
// a challenge of its own.
func (e *Engine) recordPartCanceled(ctx context.Context, rec *record) error {
	id, err := e.parseVerification(rec.Verification)
	if err != nil {
		return nil
	}
	v, err := e.readVerification(ctx, id)
	if errors.Is(err, ErrUnknownVerification) {
		return nil
	}
	if err != nil {
		return err
	}
	m := v.methodOf(rec.ID)
	if m == nil {
		return nil // it was opened again, so this challenge approves nothing
	}
	return e.endMethod(ctx, v, m.ID, rec.ID, Canceled)
}

// closeAnswered closes the challenge of the right answer that has approved a verification, in the background. It then removes the note
// of that answer: while the challenge is open, the note is what a copy of the answer is recognized by.
func (e *Engine) closeAnswered(ctx context.Context, u *undecidedAnswer) {
	e.watchers.Wake(u.rec.ID)
	e.background.RunUntilDone(ctx, func(ctx context.Context) error {
		err := e.closeApproved(ctx, u.rec, u.attempt, u.at, time.Time{})
		if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrExpired) && !errors.Is(err, ErrNotFound) {
			return err
		}
		e.tombstonesOf(u.rec.id).Add(u.rec.id.random, tombstoneChallenge, Approved)
		e.scheduleNoteRemoval(ctx, u.spentFactor)
		return nil
	})
}

// followVerification marks the record as approved if its verification is approved by an answer to it, and the challenge is not closed
// yet, because its process is about to do so or has died. Only a try that is not settled can have approved the verification, so others
// are spared the reading.
func (e *Engine) followVerification(ctx context.Context, rec *record, entry Entry) error {
	if rec.Verification == "" || len(rec.Digests) > 0 || entry.State == StateApproved || entry.Settled >= entry.Used {
		return nil
	}
	id, err := e.parseVerification(rec.Verification)
	if err != nil {
		return nil // without the verification the challenge cannot be answered
	}
	v, err := e.readVerification(ctx, id)
	if errors.Is(err, ErrUnknownVerification) {
		return nil
	}
	if err != nil {
		return err
	}
	if v.Answered == "" || v.Claims.ID != rec.ID {
		return nil
	}
	rec.ofVerification = &approval{at: time.Unix(v.Claims.AuthTime, 0).UTC(), uncollected: true, browser: v.Page.CookieDigest}
	if v.Collected {
		rec.ofVerification.requestID = v.CollectedBy
	}
	rec.Approved, rec.Claims, rec.Factor, rec.FactorEnrolledBy = true, v.Claims, v.Claims.Factor, v.EnrolledBy
	return nil
}
