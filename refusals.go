package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/wait"
)

// explainRefusal says why an attempt was not won. The repetition of a request that has won, and whose answer was lost, gets its
// receipt.
func (e *Engine) explainRefusal(ctx context.Context, i challengeID, a *attempt, entry Entry, err error) (*Result, error) {
	var spent *BudgetError
	switch {
	case errors.Is(err, ErrMismatch):
		refusal := e.recordWrongAnswer(ctx, i, a, entry)
		refusal.Extra = e.explainUnreadContradiction(ctx, i, a)
		return nil, refusal
	case errors.Is(err, ErrNotFound):
		return nil, ErrUnknownChallenge
	case errors.Is(err, ErrExpired):
		e.recordExpired(ctx, i, &Challenge{ID: i.id, Strategy: i.strategy.Name(), Purpose: a.purpose})
		return nil, ErrChallengeExpired
	case errors.Is(err, ErrSpent):
		return nil, ErrAttemptsExhausted
	case errors.As(err, &spent):
		return nil, &Error{Code: ErrTooManyGuesses.Code, RetryAfter: spent.RetryAfter}
	case errors.Is(err, ErrClosed):
		return e.resolveClosed(ctx, i, a)
	}
	return nil, unavailable(err)
}

// resolveClosed reads how a closed challenge ended.
func (e *Engine) resolveClosed(ctx context.Context, i challengeID, a *attempt) (*Result, error) {
	entry, rec, err := e.read(ctx, i)
	if err != nil {
		return nil, err
	}
	status, won := e.status(rec, entry)
	if status == Approved && won.by == a.id && !won.waits && a.mark == markCollected {
		return e.repeatResult(ctx, rec, won)
	}
	if err := closedError(status); err != nil {
		return nil, err
	}
	return nil, ErrAttemptsExhausted
}

// repeatResult is the receipt of an approval whose answer was lost, for the very request that has won it: the same claims
// with the first expiry, as long as the receipt was not used.
func (e *Engine) repeatResult(ctx context.Context, rec *record, won approval) (*Result, error) {
	r := &Result{Claims: rec.Claims}
	if rec.Claims == nil {
		r.Claims = e.claims(rec, won.at, won.at)
	}
	if rec.Redeemed || e.cfg.Clock().Unix() >= r.Claims.ExpiresAt {
		return nil, ErrChallengeApproved
	}
	if e.tombstones.end(rec.id.rand, endChallenge, Approved) { // this node has sent no event yet
		e.emit(ctx, EventApproved, &rec.Challenge, func(ev *Event) { ev.Repeated = true })
	}
	var err error
	r.Factor, err = e.enrolled(ctx, rec)
	return r, err
}

// recordWrongAnswer records a wrong answer; it was charged before it was compared.
func (e *Engine) recordWrongAnswer(ctx context.Context, i challengeID, a *attempt, entry Entry) *Error {
	about := &Challenge{ID: i.id, Strategy: i.strategy.Name(), Purpose: a.purpose}
	e.emit(ctx, EventFailed, about)
	if entry.State == StateLocked {
		e.recordLocked(ctx, i, about)
	}
	return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0)}
}

func (e *Engine) recordLocked(ctx context.Context, i challengeID, about *Challenge) {
	e.tombstones.end(i.rand, endChallenge, Locked)
	e.watchers.wake(i.id)
	e.emit(ctx, EventLocked, about)
}

// recordExpired sends the event, once, that a challenge's time is over. Nothing waits for that moment: it is noticed when somebody comes.
func (e *Engine) recordExpired(ctx context.Context, i challengeID, about *Challenge) {
	if e.tombstones.end(i.rand, endChallenge, Expired) {
		e.watchers.wake(i.id)
		e.emit(ctx, EventExpired, about)
	}
}

// The least time that a refused answer takes where factors are compared, and whatever shows a challenge that reads them, so that the time does
// not tell whose factor it was, if anybody's, and where its failure was counted.
const (
	minRefusalTime = 40 * time.Millisecond
	minViewTime    = 3 * time.Millisecond

	// what took longer ends whole steps later
	delayStep = 3 * time.Millisecond
)

// delayUntil waits until an answer is as late as each is, or, with stores that are farther away, until the next step after
// that, and by up to a millisecond longer: what a few microseconds more or less of work leave behind drowns in that.
func (e *Engine) delayUntil(ctx context.Context, began time.Time, least time.Duration) {
	random, err := e.random(2)
	if err != nil {
		random = []byte{0, 0}
	}
	extra := time.Duration(binary.BigEndian.Uint16(random)) * (time.Millisecond >> 16)
	if late := time.Since(began) - least; late > 0 {
		least += late.Truncate(delayStep) + delayStep
	}
	wait.Until(ctx, began.Add(least+extra))
}

// delayView holds back a start, a status or a page, where the strategy has decoys.
func (e *Engine) delayView(ctx context.Context, began time.Time, s Strategy, purpose string) {
	if _, makes := s.(DecoyMaker); makes && purpose != PurposeEnrol {
		e.delayUntil(ctx, began, minViewTime)
	}
}
