package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/wait"
)

// refused says why an attempt was not won. The repetition of a request that has won, and whose answer was lost, gets its
// receipt.
func (e *Engine) refused(ctx context.Context, i ident, a *attempt, entry Entry, err error) (*Result, error) {
	var spent *BudgetError
	switch {
	case errors.Is(err, ErrMismatch):
		refusal := e.wrong(ctx, i, a, entry)
		refusal.Extra = e.explainUnread(ctx, i, a)
		return nil, refusal
	case errors.Is(err, ErrNotFound):
		return nil, ErrUnknownChallenge
	case errors.Is(err, ErrExpired):
		e.expired(ctx, i, &Challenge{ID: i.id, Strategy: e.strategyOf(i).Name(), Purpose: a.purpose})
		return nil, ErrChallengeExpired
	case errors.Is(err, ErrSpent):
		return nil, ErrAttemptsExhausted
	case errors.As(err, &spent):
		return nil, &Error{Code: ErrTooManyGuesses.Code, RetryAfter: spent.RetryAfter}
	case errors.Is(err, ErrClosed):
		return e.tooLate(ctx, i, a)
	}
	return nil, unavailable(err)
}

// tooLate reads how a closed challenge ended.
func (e *Engine) tooLate(ctx context.Context, i ident, a *attempt) (*Result, error) {
	entry, rec, err := e.read(ctx, i)
	if err != nil {
		return nil, err
	}
	status, won := e.status(rec, entry)
	if status == Approved && won.by == a.id && !won.waits && a.what == markCollected {
		return e.wonBefore(ctx, rec, won)
	}
	if err := closedError(status); err != nil {
		return nil, err
	}
	return nil, ErrAttemptsExhausted
}

// wonBefore is the receipt of an approval whose answer was lost, for the very request that has won it: the same claims
// with the first expiry, as long as the receipt was not used.
func (e *Engine) wonBefore(ctx context.Context, rec *record, won approval) (*Result, error) {
	r := &Result{Claims: rec.Claims}
	if rec.Claims == nil {
		r.Claims = e.claims(rec, won.at, won.at)
	}
	if rec.Redeemed || e.cfg.Clock().Unix() >= r.Claims.ExpiresAt {
		return nil, ErrChallengeApproved
	}
	if e.closed.end(rec.ident.rand, endChallenge, Approved) { // this node has sent no event yet
		e.emit(ctx, EventApproved, &rec.Challenge, func(ev *Event) { ev.Repeated = true })
	}
	var err error
	r.Factor, err = e.enrolled(ctx, rec)
	return r, err
}

// wrong records a wrong answer; it was charged before it was compared.
func (e *Engine) wrong(ctx context.Context, i ident, a *attempt, entry Entry) *Error {
	about := &Challenge{ID: i.id, Strategy: e.strategyOf(i).Name(), Purpose: a.purpose}
	e.emit(ctx, EventFailed, about)
	if entry.State == StateLocked {
		e.locked(ctx, i, about)
	}
	return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0)}
}

func (e *Engine) locked(ctx context.Context, i ident, about *Challenge) {
	e.closed.end(i.rand, endChallenge, Locked)
	e.watchers.wake(i.id)
	e.emit(ctx, EventLocked, about)
}

// expired sends the event, once, that a challenge's time is over. Nothing waits for that moment: it is noticed when somebody comes.
func (e *Engine) expired(ctx context.Context, i ident, about *Challenge) {
	if e.closed.end(i.rand, endChallenge, Expired) {
		e.watchers.wake(i.id)
		e.emit(ctx, EventExpired, about)
	}
}

// The least time that a refused answer takes where factors are compared, and whatever shows a challenge that reads them, so that the time does
// not tell whose factor it was, if anybody's, and where its failure was counted.
const (
	leastRefusal = 40 * time.Millisecond
	leastShown   = 3 * time.Millisecond

	// what took longer ends whole steps later
	laterStep = 3 * time.Millisecond
)

// holdBack waits until an answer is as late as each is, or, with stores that are farther away, until the next step after
// that, and by up to a millisecond longer: what a few microseconds more or less of work leave behind drowns in that.
func (e *Engine) holdBack(ctx context.Context, began time.Time, least time.Duration) {
	random, err := e.random(2)
	if err != nil {
		random = []byte{0, 0}
	}
	extra := time.Duration(binary.BigEndian.Uint16(random)) * (time.Millisecond >> 16)
	if late := time.Since(began) - least; late > 0 {
		least += late.Truncate(laterStep) + laterStep
	}
	wait.Until(ctx, began.Add(least+extra))
}

// showAlike holds back a start, a status or a page, where the strategy has decoys.
func (e *Engine) showAlike(ctx context.Context, began time.Time, s Strategy, purpose string) {
	if _, makes := s.(DecoyMaker); makes && purpose != PurposeEnrol {
		e.holdBack(ctx, began, leastShown)
	}
}
