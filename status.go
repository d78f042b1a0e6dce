package watchword

import (
	"context"
	"errors"
	"time"
)

// Status is what became of a challenge. It is a hint: only a receipt proves. A challenge whose subject has removed what it
// needs is canceled when somebody looks.
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

// readView reads a challenge's status.
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

// lacksPrerequisite reports whether a challenge asks for something that its subject has had and has no more, or enrols by an
// authority that is gone.
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
	return gone && !rec.Decoy // which takes as long
}

// Cancel ends a challenge that is still pending; canceling it again changes nothing.
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

// endingOf reads how a closed challenge ended.
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

// lastReadTimeout bounds how long the first look of a waiting caller may take.
const lastReadTimeout = 2 * time.Second

// How often a waiting caller reads: at first soon, then once a second.
const (
	firstPoll = 200 * time.Millisecond
	lastPoll  = time.Second
)

// Wait returns when the challenge is no longer pending, or its status when the context is done. Answers that this process
// takes in are seen at once, those of other nodes within a second.
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

// What of a challenge ended in this process, for its tombstones.
const (
	endChallenge = 'c' // the challenge itself; how is its Status
	endCollected = 'r' // its receipt was given out
	endRedeemed  = 's' // its receipt was redeemed
	endUnopened  = 'o' // its link was opened for the first time
)
