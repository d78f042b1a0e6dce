package watchword

import (
	"context"
	"errors"
	"time"
)

// Status returns the state of a challenge. It proves nothing: only a receipt does. It cancels a pending challenge whose
// subject has removed the factor that the challenge needs.
func (e *Engine) Status(ctx context.Context, id string) (View, error) {
	began := time.Now()
	v, rec, err := e.readView(ctx, id)
	if err != nil || v.Status != Pending {
		return v, err
	}
	defer e.delayView(ctx, began, rec.id.strategy, rec.Purpose)
	if !e.lacksPrerequisite(ctx, rec) {
		return v, nil
	}
	canceled, err := e.Cancel(ctx, id)
	if err != nil && !errors.Is(err, ErrUnavailable) { // it ended meanwhile
		v, _, err = e.readView(ctx, id)
		return v, err
	}
	return canceled, err
}

// readView reads the state of a challenge.
func (e *Engine) readView(ctx context.Context, id string) (View, *record, error) {
	i, err := e.parse(id)
	if err != nil {
		return View{}, nil, err
	}
	entry, rec, err := e.read(ctx, i)
	if err != nil {
		return View{}, nil, err
	}
	v := e.view(rec, entry)
	if v.Status == Expired {
		e.recordExpired(ctx, i, &rec.Challenge)
	}
	return v, rec, nil
}

// lacksPrerequisite reports whether the subject has removed the factor that a challenge needs, or whether the authority of an
// enrolment has ended.
func (e *Engine) lacksPrerequisite(ctx context.Context, rec *record) bool {
	verifier, ok := rec.id.strategy.(Verifier)
	if !ok || rec.Subject == "" {
		return false
	}
	if rec.Purpose == PurposeEnrol {
		set, err := e.env.factors.set(ctx, rec.Subject, e.cfg.Clock())
		return err == nil && errors.Is(e.checkAuthorityLives(ctx, rec, set), ErrProofRequired)
	}
	c := rec.Challenge
	prompt, err := verifier.Begin(ctx, &c)
	gone := err == nil && prompt.Decoy || errors.Is(err, ErrNotEnrolled) || errors.Is(err, ErrUnknownFactor)
	return gone && !rec.Decoy // evaluated after Begin, so that a decoy takes as long
}

// Cancel cancels a pending challenge. It is idempotent. A challenge that ended otherwise returns the error of its state.
func (e *Engine) Cancel(ctx context.Context, id string) (View, error) {
	i, err := e.parse(id)
	if err != nil {
		return View{}, err
	}
	entry, rec, err := e.read(ctx, i)
	if err != nil {
		return View{}, err
	}
	if status, _ := e.status(rec, entry); status == Canceled {
		return e.view(rec, entry), nil
	} else if status != Pending {
		return View{}, closedError(status)
	}
	err = e.cfg.Store.Close(ctx, i.ref, Closing{State: StateCanceled})
	switch {
	case errors.Is(err, ErrClosed):
		return View{}, e.endingOf(ctx, i)
	case errors.Is(err, ErrNotFound):
		return View{}, ErrUnknownChallenge
	case err != nil:
		return View{}, unavailable(err)
	}
	e.tombstones.Add(i.rand, endChallenge, Canceled)
	e.watchers.Wake(id)
	e.emit(ctx, EventCanceled, &rec.Challenge)
	entry.State = StateCanceled
	return e.view(rec, entry), nil
}

// endingOf returns the error for the state of a closed challenge.
func (e *Engine) endingOf(ctx context.Context, i challengeID) error {
	entry, rec, err := e.read(ctx, i)
	if err != nil {
		return err
	}
	status, _ := e.status(rec, entry)
	if err := closedError(status); err != nil {
		return err
	}
	return ErrAttemptsExhausted
}

// firstReadTimeout bounds the first read of Wait.
const lastReadTimeout = 2 * time.Second

// The pauses between the reads of Wait.
const (
	firstPoll = 200 * time.Millisecond
	lastPoll  = time.Second
)

// Wait returns when the challenge is no longer pending, or with its pending status when the context is done. It notices
// changes made by this process at once, and those of other nodes within a second.
func (e *Engine) Wait(ctx context.Context, id string) (View, error) {
	wake, stop := e.watchers.Watch(id)
	defer stop()
	first, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReadTimeout)
	v, err := e.Status(first, id)
	cancel()
	for pause := firstPoll; err == nil && v.Status == Pending; pause = min(pause*3/2, lastPoll) {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return v, nil
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		var now View
		if now, _, err = e.readView(ctx, id); ctx.Err() != nil {
			return v, nil
		}
		v = now
	}
	return v, err
}

// What a tombstone records of a challenge.
const (
	endChallenge = 'c' // the challenge ended; the ending is its Status
	endCollected = 'r' // its receipt was collected
	endRedeemed  = 's' // its receipt was redeemed
	endUnopened  = 'o' // its link was opened
)
