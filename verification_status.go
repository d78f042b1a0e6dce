package watchword

import (
	"context"
	"errors"
	"sync"
	"time"
)

// verificationStatus returns the state of a verification by its record.
func (e *Engine) verificationStatus(v *verificationRecord) Status {
	switch {
	case v.Answered != "":
		return Approved
	case v.isCanceled():
		return Canceled
	case v.Expiry:
		return Expired
	}
	if ending, ok := e.tombstones.Find(v.id.random, tombstoneChallenge); ok {
		return ending
	}
	if !e.cfg.Clock().Before(v.ExpiresAt) {
		return Expired
	}
	for _, m := range v.Methods {
		if m.Ended == "" {
			return Pending
		}
	}
	return Locked
}

// verificationView returns the public state of a verification. current is the challenge of the method that was opened last, with
// what is shown once; it may be nil.
func (e *Engine) verificationView(v *verificationRecord, current *Started) VerificationView {
	out := VerificationView{ID: v.ID, Status: e.verificationStatus(v), Purpose: v.Purpose, Subject: v.Subject, Method: v.Current,
		Fallback: FallbackView{From: v.Fallback.From}, Require: v.Require, Locale: v.Locale, ReturnURL: v.ReturnURL, Transaction: v.Transaction,
		Metadata: v.Metadata, Client: v.Client, CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt}
	if v.Fallback.From != "" {
		out.Fallback.Method = v.Fallback.Method
	}
	for _, m := range v.Methods {
		view := MethodView{ID: m.ID, Strategy: m.Strategy, Channel: m.Channel, SentTo: m.SentTo, Ask: m.Ask, Source: e.sourceOf(m.Strategy), Factor: m.Factor, Challenge: m.Challenge}
		switch {
		case m.ID == v.Answered:
			view.Status = Approved
		case m.Ended != "":
			view.Status = m.Ended
		case m.Challenge != "" && out.Status == Expired:
			view.Status = Expired
		case m.Challenge != "" && out.Status != Pending:
			view.Status = Canceled // with the verification; the challenge is canceled in the background
		case m.Challenge != "":
			view.Status = Pending
		}
		out.Methods = append(out.Methods, view)
	}
	if current != nil {
		out.Challenge = &MethodChallenge{View: current.View, Public: current.Public}
	}
	return out
}

// sourceOf returns where a person finds the codes of a strategy; empty if it is not configured any more.
func (e *Engine) sourceOf(strategy string) Source {
	if s := e.strategies[strategy]; s != nil {
		return s.Properties().Source
	}
	return ""
}

// VerificationStatus returns the state of a verification. It proves nothing: only a receipt does.
func (e *Engine) VerificationStatus(ctx context.Context, id string) (VerificationView, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return VerificationView{}, err
	}
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return VerificationView{}, err
	}
	view, _, err := e.viewWithChallenges(ctx, v)
	return view, err
}

// viewWithChallenges returns the view of a verification. While it is pending the view has the states of its challenges too, and the
// record of the current one is returned if the view has it and it is pending. A verification with an approved challenge is approved: the
// process that should have recorded it has died.
func (e *Engine) viewWithChallenges(ctx context.Context, v *verificationRecord) (out VerificationView, current *record, err error) {
	out = e.verificationView(v, nil)
	if out.Status == Expired {
		e.recordVerificationExpired(ctx, v)
	}
	if out.Status != Pending {
		return out, nil, nil
	}
	challenges, err := e.readChallenges(ctx, v)
	if err != nil {
		return VerificationView{}, nil, err
	}
	ended := 0
	for i := range out.Methods {
		read, opened := challenges[out.Methods[i].ID]
		if !opened {
			if v.Methods[i].Ended != "" {
				ended++
			}
			continue
		}
		view := read.View
		out.Methods[i].Status = view.Status
		switch view.Status {
		case Approved:
			out.Status = Approved
		case Locked, Canceled:
			ended++
			if v.method(out.Methods[i].ID).Ended == "" {
				e.recordMethodEnded(ctx, v, out.Methods[i].ID, view.ID, view.Status)
			}
		}
		if out.Methods[i].ID == out.Method {
			out.Challenge = &MethodChallenge{View: view}
			if view.Status == Pending {
				current = read.rec
			}
		}
	}
	if ended == len(out.Methods) {
		out.Status = Locked
	}
	if out.Status != Pending {
		out.Challenge, current = nil, nil
	}
	return out, current, nil
}

// A readChallenge is the state of a method's challenge, and the record that it was read from.
type readChallenge struct {
	View
	rec *record
	err error
}

// readChallenges reads the challenges of the opened methods, at the same time, and returns them by method. It cancels those whose
// factor was removed. Of those whose end the verification records it reads only the current one, which is shown.
func (e *Engine) readChallenges(ctx context.Context, v *verificationRecord) (map[string]readChallenge, error) {
	read := make([]readChallenge, len(v.Methods))
	var reading sync.WaitGroup
	for i, m := range v.Methods {
		if m.isOpen() || m.Challenge != "" && m.ID == v.Current {
			reading.Go(func() { read[i].View, read[i].rec, read[i].err = e.readStatus(ctx, m.Challenge) })
		}
	}
	reading.Wait()
	out := map[string]readChallenge{}
	for i, m := range v.Methods {
		switch {
		case errors.Is(read[i].err, ErrUnavailable):
			return nil, read[i].err
		case read[i].rec != nil && read[i].err == nil:
			out[m.ID] = read[i]
		}
	}
	return out, nil
}

// presenceInterval is how often the presence of a waiting caller is recorded, and presenceTime how long it lasts.
const (
	presenceInterval = 10 * time.Second
	presenceTime     = 30 * time.Second
)

// WaitVerification returns when the verification is no longer pending, or with its pending status when the context is done. It
// notices changes made by this process at once, and those of other nodes within a second. While it waits somebody is there, so
// that the fallback may be opened.
func (e *Engine) WaitVerification(ctx context.Context, id string) (VerificationView, error) {
	wake, stop := e.watchers.Watch(id)
	defer stop()
	v, err := e.verificationStatusNow(ctx, id)
	for pause := firstPoll; err == nil && v.Status == Pending; pause = min(pause*3/2, maxPoll) {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return e.verificationStatusNow(ctx, id)
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		var current Status
		if current, err = e.pollVerification(ctx, id); ctx.Err() != nil || err == nil && current != Pending {
			return e.verificationStatusNow(ctx, id)
		}
	}
	return v, err
}

// verificationStatusNow is VerificationStatus, also if the context has ended.
func (e *Engine) verificationStatusNow(ctx context.Context, id string) (VerificationView, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstReadTimeout)
	defer cancel()
	return e.VerificationStatus(ctx, id)
}

// pollVerification reads the state of a verification, and records that somebody waits for it.
func (e *Engine) pollVerification(ctx context.Context, id string) (Status, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return "", err
	}
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return "", err
	}
	e.recordPresence(ctx, v)
	return e.verificationStatus(v), nil
}

// RecordPresence records that a person is at the verification's page: the fallback is opened only while somebody is there. It does
// nothing if the verification has no fallback, and may be called at any rate.
func (e *Engine) RecordPresence(ctx context.Context, id string) error {
	_, err := e.pollVerification(ctx, id)
	return err
}

// recordPresence records that somebody is there, if the fallback needs it. A change by somebody else at the same time is one more
// sign of it, and the next call records it.
func (e *Engine) recordPresence(ctx context.Context, v *verificationRecord) {
	now := e.cfg.Clock()
	if v.Fallback.Method == "" || v.Fallback.Ended || now.Sub(v.SeenAt) < presenceInterval || e.verificationStatus(v) != Pending {
		return
	}
	v.SeenAt = now.UTC().Truncate(time.Millisecond)
	if err := e.writeVerification(ctx, v); err != nil && !errors.Is(err, ErrConflict) {
		e.log.WarnContext(ctx, "presence not recorded", "verification", v.ID, "error", err)
	}
}

// CancelVerification cancels a pending verification and its challenges. It is idempotent.
func (e *Engine) CancelVerification(ctx context.Context, id string) (VerificationView, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return VerificationView{}, err
	}
	already := false
	v, err := e.updateVerification(ctx, parsed, nil, func(v *verificationRecord) error {
		status := e.verificationStatus(v)
		if already = status == Canceled; already {
			return ErrChallengeCanceled
		}
		v.CanceledAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
		return closedError(status)
	})
	if already {
		return e.verificationView(v, nil), nil
	}
	if err != nil {
		return VerificationView{}, err
	}
	e.tombstones.Add(v.id.random, tombstoneChallenge, Canceled)
	e.watchers.Wake(v.ID)
	e.emitVerification(ctx, EventVerificationCanceled, v)
	e.cancelChallenges(ctx, v)
	return e.verificationView(v, nil), nil
}

// cancelChallenges cancels the challenges of a verification that has ended, but for the one that was answered. It works in the
// background, and asks for all of them at the same time. A challenge that stays pending cannot be answered either.
func (e *Engine) cancelChallenges(ctx context.Context, v *verificationRecord) {
	var open []verificationMethod
	for _, m := range v.Methods {
		if m.Challenge != "" && m.ID != v.Answered && m.Ended == "" {
			open = append(open, m)
		}
	}
	if len(open) == 0 {
		return
	}
	e.background.RunUntilDone(ctx, func(ctx context.Context) error {
		errs := make([]error, len(open))
		var canceling sync.WaitGroup
		for i, m := range open {
			canceling.Go(func() { errs[i] = e.cancelChallenge(ctx, m) })
		}
		canceling.Wait()
		return errors.Join(errs...)
	})
}

// cancelChallenge cancels the challenge of a method. One that has ended stays as it is.
func (e *Engine) cancelChallenge(ctx context.Context, m verificationMethod) error {
	id, err := e.parse(m.Challenge)
	if err != nil {
		return nil // its strategy is not configured any more
	}
	if _, err = e.cancel(ctx, id, false); errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}
