package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// OpenMethod opens a method of a pending verification: it starts the method's challenge, charges the limits as Start does, and
// returns the verification with that challenge. A method that was opened before and is still pending is returned as it is, and
// nothing is sent again. A method that was locked or canceled returns ErrAttemptsExhausted or ErrChallengeCanceled; one that has
// expired is opened again.
func (e *Engine) OpenMethod(ctx context.Context, id, method string) (VerificationView, error) {
	began := time.Now()
	v, err := e.readPending(ctx, id)
	if err != nil {
		return VerificationView{}, err
	}
	if v.method(method) == nil {
		return VerificationView{}, ErrUnknownMethod
	}
	defer e.delayVerification(ctx, began, v.Methods)
	v, opened, err := e.openMethod(ctx, v, method, openRequest{})
	if err != nil {
		return VerificationView{}, err
	}
	return e.verificationView(v, opened), nil
}

// RenewMethod opens a method anew while its challenge is still pending, so that a page that stays open never shows one that has
// expired. It is for keys, whose answers cannot be guessed and whose challenges send nothing: every other method returns
// ErrUnknownMethod. It charges the limits as OpenMethod does. A challenge that has lived less than half of its life, or that lives as
// long as the verification, is returned as it is. An answer to the challenge before is a wrong answer from then on.
func (e *Engine) RenewMethod(ctx context.Context, id, method string) (VerificationView, error) {
	began := time.Now()
	v, err := e.readPending(ctx, id)
	if err != nil {
		return VerificationView{}, err
	}
	if m := v.method(method); m == nil || m.Ask != AskKey {
		return VerificationView{}, ErrUnknownMethod
	}
	defer e.delayVerification(ctx, began, v.Methods)
	v, opened, err := e.openMethod(ctx, v, method, openRequest{renews: true})
	if err != nil {
		return VerificationView{}, err
	}
	return e.verificationView(v, opened), nil
}

// canBeRenewed reports whether a pending challenge of a verification can be replaced by one that lives longer.
func (e *Engine) canBeRenewed(v *verificationRecord, c View) bool {
	half := c.ExpiresAt.Sub(c.CreatedAt) / 2
	return c.ExpiresAt.Before(v.ExpiresAt) && !e.cfg.Clock().Before(c.CreatedAt.Add(half))
}

// readPending reads a verification by its id. If it has ended, the error is that of its state.
func (e *Engine) readPending(ctx context.Context, id string) (*verificationRecord, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return nil, err
	}
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return nil, err
	}
	status := e.verificationStatus(v)
	if status == Expired {
		e.recordVerificationExpired(ctx, v)
	}
	return v, closedError(status)
}

// An openRequest says why a method is opened.
type openRequest struct {
	repeats      bool   // a start with the same seed has opened it before
	renews       bool   // replace a pending challenge; see RenewMethod
	unanswered   bool   // StartRequest.Unanswered
	fallbackFrom string // id of the method whose message did not arrive; empty: a caller opens it
}

// openMethod opens a method, or returns the challenge that was opened for it. It writes the verification before it stores the
// challenge: of two that open a method at the same time, one writes it.
func (e *Engine) openMethod(ctx context.Context, v *verificationRecord, method string, req openRequest) (*verificationRecord, *Started, error) {
	for range maxConflictRetries {
		m := v.method(method)
		current, started, err := e.reopenMethod(ctx, v, m, req)
		if started != nil || err != nil {
			return current, started, err
		}
		p, err := e.prepareMethod(ctx, v, m)
		if err != nil {
			return nil, nil, err
		}
		v.markOpened(m, p)
		if req.fallbackFrom != "" {
			v.Fallback.From, v.Fallback.Ended = req.fallbackFrom, true
		}
		err = e.writeVerification(ctx, v)
		if err == nil {
			started, err = e.storeChallenge(ctx, p)
			return v, started, err
		}
		e.refundStart(ctx, p.charges)
		if !errors.Is(err, ErrConflict) {
			return nil, nil, err
		}
		if v, err = e.readVerification(ctx, v.id); err == nil {
			err = closedError(e.verificationStatus(v))
		}
		if err == nil && req.fallbackFrom != "" && (v.Fallback.Ended || v.Current != req.fallbackFrom) {
			err = ErrClosed
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, unavailable(fmt.Errorf("a verification kept changing: %w", ErrConflict))
}

// reopenMethod returns the pending challenge of a method that was opened before; nil if the method may be opened anew. If the
// challenge was not stored, because its process died, it is stored now.
func (e *Engine) reopenMethod(ctx context.Context, v *verificationRecord, m *verificationMethod, req openRequest) (*verificationRecord, *Started, error) {
	if m.Challenge == "" {
		return v, nil, nil
	}
	if m.Ended != "" {
		return v, nil, closedError(m.Ended)
	}
	id, err := e.parse(m.Challenge)
	if err != nil {
		return v, nil, ErrUnknownMethod // its strategy is not configured any more
	}
	var started *Started
	if req.repeats {
		started, err = e.repeatStart(ctx, id, req.unanswered)
	} else {
		started, err = e.showPending(ctx, id)
	}
	switch {
	case errors.Is(err, ErrChallengeExpired):
		return v, nil, nil
	case errors.Is(err, ErrUnknownChallenge):
		return e.storeMissing(ctx, v, m)
	case err != nil:
		return v, nil, err
	case req.renews && e.canBeRenewed(v, started.View):
		return v, nil, nil
	}
	if v.Current != m.ID && req.fallbackFrom == "" {
		method := m.ID
		v, err = e.updateVerification(ctx, v.id, v, func(v *verificationRecord) error {
			v.Current = method
			return closedError(e.verificationStatus(v))
		})
	}
	return v, started, err
}

// showPending returns a pending challenge as it is. Nothing is sent again, also if its message has failed.
func (e *Engine) showPending(ctx context.Context, id challengeID) (*Started, error) {
	entry, rec, err := e.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if status, _ := e.status(rec, entry); status != Pending {
		return nil, closedError(status)
	}
	return e.showAgain(ctx, rec, entry)
}

// storeMissing stores the challenge of a method whose opening wrote the verification and nothing else, or is about to store it.
func (e *Engine) storeMissing(ctx context.Context, v *verificationRecord, m *verificationMethod) (*verificationRecord, *Started, error) {
	same := *m
	same.Opened--
	p, err := e.prepareMethod(ctx, v, &same)
	if err != nil {
		return v, nil, err
	}
	if p.rec.ID != m.Challenge { // by another configuration than that of the opening
		e.refundStart(ctx, p.charges)
		return v, nil, nil
	}
	started, err := e.storeChallenge(ctx, p)
	return v, started, err
}
