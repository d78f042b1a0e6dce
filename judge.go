package watchword

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// spendTries bounds how often an answer is judged again because another node changed the factor meanwhile.
const spendTries = 4

// judge is the ceremony's second half for answers that are no digests. The try is charged already; the strategy
// decides, what is used only once is spent, and only then is the challenge won.
func (e *Engine) judge(ctx context.Context, s Judge, rec *record, entry Entry, a attempt, now time.Time) (*Result, error) {
	if !now.Before(rec.ExpiresAt) {
		return nil, ErrChallengeExpired
	}
	if rec.Approved {
		e.log.ErrorContext(ctx, "the store reopened a challenge that was won", "challenge", rec.ID)
		return nil, ErrChallengeApproved
	}
	if rec.Decoy && rec.Purpose != PurposeEnrol {
		if err := judgeDecoy(ctx, s, rec, a); err != nil {
			return nil, err
		}
	}
	if a.mismatch || rec.Decoy || a.purpose != rec.Purpose || !sameWho(a.who, rec) ||
		a.transaction != nil && !maps.Equal(a.transaction, rec.Transaction) {
		return nil, e.judgedWrong(ctx, rec, entry, a, &wrongAnswer{})
	}
	result, err := e.spend(ctx, s, rec, a, now)
	var wrong *wrongAnswer
	if errors.As(err, &wrong) {
		return nil, e.judgedWrong(ctx, rec, entry, a, wrong)
	}
	if err != nil {
		return nil, err
	}
	return e.win(ctx, rec, a, result, now)
}

// judgeDecoy does as much work as a real answer needs, but for what a failure writes. A store that is out of reach shows
// as with a real one; whatever else is said is not.
func judgeDecoy(ctx context.Context, s Judge, rec *record, a attempt) error {
	_, err := s.Verify(ctx, &rec.Challenge, a.answer.Text)
	if err == nil || errors.Is(err, ErrMismatch) {
		return nil
	}
	if err = factorError(err); errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}

// sameWho compares the caller's word with the challenge. A discoverable passkey's challenge names nobody.
func sameWho(claimed string, rec *record) bool { return claimed == who(rec.Subject, rec.Address) }

// wrongAnswer carries a Judge's mismatch, what it was compared with, and what the app's backend is told.
type wrongAnswer struct {
	compared []Factor
	extra    map[string]any
}

func (*wrongAnswer) Error() string { return ErrMismatch.Error() }

// spend judges and stores what is spent by it, by compare-and-set: if somebody else changed the factor meanwhile, the
// answer is judged again by what it has become, so that two nodes cannot both accept it.
func (e *Engine) spend(ctx context.Context, s Judge, rec *record, a attempt, now time.Time) (*Result, error) {
	for range spendTries {
		result, err := e.judgeOnce(ctx, s, rec, a, now)
		if !errors.Is(err, ErrConflict) {
			return result, err
		}
	}
	return nil, unavailable(fmt.Errorf("a factor kept changing: %w", ErrConflict))
}

func (e *Engine) judgeOnce(ctx context.Context, s Judge, rec *record, a attempt, now time.Time) (*Result, error) {
	if rec.Purpose == PurposeEnrol {
		return e.enrol(ctx, s.(Enroller), rec, a, now)
	}
	proof, err := s.Verify(ctx, &rec.Challenge, a.answer.Text)
	if errors.Is(err, ErrMismatch) {
		return nil, &wrongAnswer{proof.Compared, proof.Extra}
	}
	if err != nil {
		return nil, factorError(err)
	}
	if f := proof.Spend; f != nil {
		f.Failures, f.WaitUntil, f.LastUsedAt = 0, time.Time{}, now.UTC()
		if err := e.env.factors.update(ctx, *f); err != nil {
			return nil, factorError(err)
		}
		rec.Factor = f.ID
		if proof.Low {
			e.emit(ctx, EventFactorLow, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
		}
	}
	claims := e.claims(rec, now)
	if rec.Subject == "" {
		claims.Subject = proof.Subject // the challenge goes on naming nobody, and so does who collects
	}
	claims.AMR, claims.Extra = proof.AMR, proof.Extra
	return &Result{Claims: claims}, nil
}

// factorError keeps the errors that mean something and calls the rest unavailable.
func factorError(err error) error {
	var known *Error
	switch {
	case errors.As(err, &known), errors.Is(err, ErrConflict):
		return err
	case errors.Is(err, ErrNotFound):
		return ErrConflict // removed meanwhile: judge again without it
	}
	return unavailable(err)
}

// enrol stores the new factor before the challenge is won. It is idempotent by challenge: a factor that this very
// challenge has created already is the one.
func (e *Engine) enrol(ctx context.Context, s Enroller, rec *record, a attempt, now time.Time) (*Result, error) {
	if err := e.overtaken(ctx, rec); err != nil {
		return nil, err
	}
	f, err := s.VerifyEnrol(ctx, &rec.Challenge, a.answer.Text)
	if errors.Is(err, ErrMismatch) {
		return nil, &wrongAnswer{}
	}
	if err != nil {
		return nil, factorError(err)
	}
	f.Subject, f.Strategy, f.CreatedBy = rec.Subject, rec.Strategy, rec.ID
	if f.Label == "" {
		f.Label = rec.Label
	}
	created := f.Version == 0
	if created {
		f.CreatedAt, f.Version = now.UTC().Truncate(time.Millisecond), 1
		err = e.env.factors.create(ctx, f)
		if errors.Is(err, ErrExists) {
			err = e.enrolledBefore(ctx, &f)
		}
	} else if err = e.env.factors.update(ctx, f); err == nil {
		f.Version++
	}
	if err != nil {
		return nil, factorError(err)
	}
	rec.Factor = f.ID
	claims := e.claims(rec, now)
	claims.Purpose = PurposeManageFactors
	claims.ExpiresAt = claims.IssuedAt + int64(min(e.cfg.ReceiptLifetime, 5*time.Minute)/time.Second)
	f = e.shown(f)
	return &Result{Claims: claims, Factor: &f, created: created}, nil
}

func (e *Engine) enrolledBefore(ctx context.Context, f *Factor) error {
	before, err := e.env.factors.get(ctx, f.ID)
	if err != nil {
		return err
	}
	if before.CreatedBy != f.CreatedBy {
		return &wrongAnswer{} // somebody else's, a passkey registered twice say
	}
	*f = before
	return nil
}

// win closes the challenge: of any number of right answers one gets here first.
func (e *Engine) win(ctx context.Context, rec *record, a attempt, r *Result, now time.Time) (*Result, error) {
	if rec.Approved = true; a.what == markWaiting {
		rec.Claims = r.Claims
	}
	data, err := rec.seal(rec.version + 1)
	if err != nil {
		return nil, err
	}
	closing := Closing{State: StateApproved, Mark: rec.key.mark(rec.ID, a.what, now, nil), Sealed: data,
		Clear: e.budget(rec.ident, e.strategyOf(rec.ident).Traits()).Key}
	err = e.cfg.Store.Close(ctx, rec.ident.ref, closing)
	if err != nil {
		return nil, e.lost(ctx, rec, r, err)
	}
	if r.Factor != nil {
		e.emit(ctx, EventFactorEnrolled, &rec.Challenge, func(ev *Event) { ev.Factor = r.Factor.ID })
	}
	return e.record(ctx, rec, a, r)
}

// lost says why a right answer did not win. What it had enrolled is taken back, unless another right answer to the same
// challenge has won with it; a set that it replaced cannot be, and the app hears of it.
func (e *Engine) lost(ctx context.Context, rec *record, r *Result, err error) error {
	refusal := unavailable(err)
	switch {
	case errors.Is(err, ErrClosed):
		refusal = e.tooLate(ctx, rec.ident)
	case errors.Is(err, ErrExpired):
		refusal = ErrChallengeExpired
	case errors.Is(err, ErrNotFound):
		refusal = ErrUnknownChallenge
	}
	if r.Factor == nil || errors.Is(refusal, ErrChallengeApproved) {
		return refusal
	}
	if !r.created || errors.Is(refusal, ErrUnavailable) && !e.calledOff(ctx, rec) {
		e.emit(ctx, EventFactorEnrolled, &rec.Challenge, func(ev *Event) { ev.Factor = r.Factor.ID })
		return refusal
	}
	if err := e.cfg.Factors.Delete(ctx, e.cfg.App, r.Factor.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return refusal
}

// lastWord bounds how long an answer waits for a store that has just failed.
const lastWord = 2 * time.Second

// calledOff ends a challenge whose approval may have failed or not. If it does, nobody was or will be told of one.
func (e *Engine) calledOff(ctx context.Context, rec *record) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	return e.cfg.Store.Close(ctx, rec.ident.ref, Closing{State: StateCanceled}) == nil
}

// judgedWrong records a wrong answer: each factor it was compared with has failed once more, and the last try locks.
func (e *Engine) judgedWrong(ctx context.Context, rec *record, entry Entry, a attempt, w *wrongAnswer) error {
	for _, f := range w.compared {
		if err := e.factorFailed(ctx, rec, f); err != nil {
			return err
		}
	}
	if entry.Tries <= 0 {
		err := e.cfg.Store.Close(ctx, rec.ident.ref, Closing{State: StateLocked})
		if err == nil {
			entry.State = StateLocked
		} else if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotFound) {
			return unavailable(err)
		}
	}
	refusal := e.wrong(ctx, rec.ident, a, entry)
	if a.what == markCollected {
		refusal.Extra = w.extra
	}
	return refusal
}
