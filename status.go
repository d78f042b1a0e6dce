package watchword

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// Status returns the state of a challenge. It proves nothing: only a receipt does. It cancels a pending challenge whose
// subject has removed the factor that the challenge needs.
func (e *Engine) Status(ctx context.Context, id string) (View, error) {
	v, _, err := e.readStatus(ctx, id)
	return v, err
}

// readStatus is Status, and returns the record that it has read too, which is current while the challenge is pending.
func (e *Engine) readStatus(ctx context.Context, id string) (View, *record, error) {
	began := time.Now()
	v, rec, err := e.readView(ctx, id)
	if err != nil || v.Status != Pending {
		return v, rec, err
	}
	defer e.delayView(ctx, began, rec.id.strategy, rec.Purpose)
	if !e.lacksPrerequisite(ctx, rec) {
		return v, rec, nil
	}
	var canceled View
	if err = e.recordPartCanceled(ctx, rec); err == nil {
		canceled, err = e.cancel(ctx, rec.id, false)
	}
	if err != nil && !errors.Is(err, ErrUnavailable) { // it ended meanwhile
		return e.readView(ctx, id)
	}
	return canceled, rec, err
}

// readView reads the state of a challenge.
func (e *Engine) readView(ctx context.Context, id string) (View, *record, error) {
	parsed, err := e.parse(id)
	if err != nil {
		return View{}, nil, err
	}
	entry, rec, err := e.read(ctx, parsed)
	if err != nil {
		return View{}, nil, err
	}
	v := e.view(rec, entry)
	if v.Status == Expired {
		e.recordExpired(ctx, parsed, &rec.Challenge)
	}
	return v, rec, nil
}

// A View is the public state of a challenge. It contains no secret and no full address.
type View struct {
	ID           string
	Verification string // id of the verification that the challenge is part of; empty: none
	Status       Status
	Strategy     string
	Channel      string
	Purpose      string
	Subject      string
	SentTo       string // masked address; empty if nothing is sent
	Ask          Ask
	Source       Source // StrategyProperties.Source
	LongLived    bool   // Challenge.LongLived
	Locale       string
	ReturnURL    string
	Transaction  map[string]string
	Metadata     map[string]string
	Client       Client
	CreatedAt    time.Time
	ExpiresAt    time.Time
	TriesLeft    int       // tries left
	Sends        bool      // messages are sent; SendsLeft, SentAt, ResendAt and Delivery are set
	SendsLeft    int       // messages left
	SentAt       time.Time // when the last message was queued
	ResendAt     time.Time // earliest time of a resend
	Delivery     Delivery
}

func (e *Engine) view(r *record, entry Entry) View {
	status, _ := e.status(r, entry)
	v := View{ID: r.ID, Verification: r.Verification, Status: status, Strategy: r.Strategy, Channel: r.Channel, Purpose: r.Purpose, Subject: r.Subject,
		SentTo: r.SentTo, Ask: r.Ask, Source: e.sourceOf(r.Strategy), LongLived: r.LongLived, Locale: r.Locale, ReturnURL: r.ReturnURL, Transaction: r.Transaction, Metadata: r.Metadata,
		Client: r.Client, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, TriesLeft: max(entry.Tries, 0)}
	if r.Sends > 0 {
		v.Sends, v.SendsLeft, v.Delivery = true, max(e.cfg.Sends-r.Sends, 0), r.Delivery
		v.SentAt, v.ResendAt = r.SentAt, codec.ClampTime(e.resendAt(&r.Challenge))
	}
	return v
}

// status returns the state of a challenge and, if it was approved, the approval. An approval needs a valid mark, or an approved
// verification; every other state is taken from the store.
func (e *Engine) status(r *record, entry Entry) (Status, approval) {
	if r.subjectRemoved {
		return Canceled, approval{}
	}
	if r.ofVerification != nil {
		return Approved, *r.ofVerification
	}
	switch entry.State {
	case StateApproved:
		approved, ok := r.readMark(entry.Mark)
		if !ok {
			e.log.Error("approved challenge has no valid mark", "challenge", r.ID)
			return Locked, approval{}
		}
		return Approved, approved
	case StateLocked:
		if r.ending() == Expired {
			return Expired, approval{}
		}
		return Locked, approval{}
	case StateCanceled:
		return Canceled, approval{}
	}
	if ending, ok := e.tombstonesOf(r.id).Find(r.id.random, tombstoneChallenge); ok {
		return ending, approval{}
	}
	switch {
	case !e.cfg.Clock().Before(r.ExpiresAt):
		return Expired, approval{}
	case entry.Tries <= 0 && len(r.Digests) > 0:
		return Locked, approval{}
	}
	return Pending, approval{}
}

// closedError returns the error for a challenge that has ended; nil if it is pending.
func closedError(s Status) error {
	switch s {
	case Approved:
		return ErrChallengeApproved
	case Canceled:
		return ErrChallengeCanceled
	case Locked:
		return ErrAttemptsExhausted
	case Expired:
		return ErrChallengeExpired
	}
	return nil
}

// lacksPrerequisite reports whether the subject has removed the factor that a challenge needs, or whether the authority of an
// enrolment has ended.
func (e *Engine) lacksPrerequisite(ctx context.Context, rec *record) bool {
	verifier, ok := rec.id.strategy.(Verifier)
	if !ok || rec.Subject == "" {
		return false
	}
	if rec.Purpose == PurposeEnrol {
		set, err := e.env.factors.readSet(ctx, rec.Subject, e.cfg.Clock())
		return err == nil && errors.Is(e.checkAuthorityValid(ctx, rec, set), ErrProofRequired)
	}
	c := rec.Challenge
	prompt, err := verifier.Begin(ctx, &c)
	gone := err == nil && prompt.Decoy || errors.Is(err, ErrNotEnrolled) || errors.Is(err, ErrUnknownFactor)
	return gone && !rec.Decoy // evaluated after Begin, so that a decoy takes as long
}

// Cancel cancels a pending challenge. It is idempotent. A challenge that ended otherwise returns the error of its state.
func (e *Engine) Cancel(ctx context.Context, id string) (View, error) {
	parsed, err := e.parseWhole(ctx, id)
	if err != nil {
		return View{}, err
	}
	return e.cancel(ctx, parsed, false)
}

// cancel cancels a challenge, also if it is part of a verification, and marks whether the recipient of its link has reported it.
func (e *Engine) cancel(ctx context.Context, parsed challengeID, reported bool) (View, error) {
	entry, rec, err := e.read(ctx, parsed)
	if err != nil {
		return View{}, err
	}
	if status, _ := e.status(rec, entry); status == Canceled {
		return e.view(rec, entry), nil
	} else if status != Pending {
		return View{}, closedError(status)
	}
	err = e.cfg.Store.Close(ctx, parsed.storeID, Closing{State: StateCanceled, Mark: rec.cancelMark(e.cfg.Clock(), reported), Ended: e.endOutgoing(parsed)})
	switch {
	case errors.Is(err, ErrClosed):
		return View{}, e.endingOf(ctx, parsed)
	case errors.Is(err, ErrNotFound):
		return View{}, ErrUnknownChallenge
	case err != nil:
		return View{}, unavailable(err)
	}
	e.tombstonesOf(parsed).Add(parsed.random, tombstoneChallenge, Canceled)
	e.watchers.Wake(parsed.text)
	e.emit(ctx, EventCanceled, &rec.Challenge)
	entry.State = StateCanceled
	return e.view(rec, entry), nil
}

// endingOf returns the error for the state of a closed challenge.
func (e *Engine) endingOf(ctx context.Context, id challengeID) error {
	entry, rec, err := e.read(ctx, id)
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
const firstReadTimeout = 2 * time.Second

// The pauses between the reads of Wait.
const (
	firstPoll = 200 * time.Millisecond
	maxPoll   = time.Second
)

// Wait returns when the challenge is no longer pending, or with its pending status when the context is done. It notices
// changes made by this process at once, and those of other nodes within a second.
func (e *Engine) Wait(ctx context.Context, id string) (View, error) {
	wake, stop := e.watchers.Watch(id)
	defer stop()
	first, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstReadTimeout)
	v, err := e.Status(first, id)
	cancel()
	for pause := firstPoll; err == nil && v.Status == Pending; pause = min(pause*3/2, maxPoll) {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return v, nil
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		var current View
		if current, _, err = e.readView(ctx, id); ctx.Err() != nil {
			return v, nil
		}
		v = current
	}
	return v, err
}

// What a tombstone records of a challenge.
const (
	tombstoneChallenge  = 'c' // the challenge ended; the ending is its Status
	tombstoneCollected  = 'r' // its receipt was collected
	tombstoneRedeemed   = 's' // its receipt was redeemed
	tombstoneLinkOpened = 'o' // its link was opened
)
