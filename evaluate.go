package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// evaluateAnswer is the second half of the ceremony for answers that are no digests. The try is charged already; the strategy
// decides, what is single-use is spent, and only then is the challenge won. What is spent leaves a note in its factor, so
// a copy of this answer that comes too late for spending goes on by the note, and one of them wins.
func (e *Engine) evaluateAnswer(ctx context.Context, s Verifier, rec *record, entry Entry, a *attempt) (*Result, error) {
	if err := e.checkNotEnded(ctx, rec); err != nil {
		return nil, err
	}
	if contradicts(rec, a) || rec.Decoy && rec.Purpose == PurposeEnrol {
		return e.settleWrongAnswer(ctx, rec, entry, a, &wrongAnswer{extra: e.explainContradiction(ctx, rec, a)})
	}
	if rec.Decoy && rec.Purpose != PurposeEnrol {
		return e.evaluateDecoy(ctx, s, rec, entry, a)
	}
	// Only a try of this challenge can have left its note: the first one needs not look.
	look := entry.Used > 1
	for range casTries {
		result, err := e.evaluateOnce(ctx, s, rec, a, look)
		if errors.Is(err, ErrConflict) {
			look = true
			continue
		}
		var wrong *wrongAnswer
		if errors.As(err, &wrong) {
			result, err := e.settleWrongAnswer(ctx, rec, entry, a, wrong)
			return result, rec.faultOr(err)
		}
		if err != nil {
			return nil, e.settleRefusal(ctx, rec, err)
		}
		return e.win(ctx, rec, a, result, entry.LastTry.Add(tryTime))
	}
	return nil, unavailable(fmt.Errorf("a factor kept changing: %w", ErrConflict))
}

// checkNotEnded refuses what has ended by what is known here, whatever the store says.
func (e *Engine) checkNotEnded(ctx context.Context, rec *record) error {
	if !e.cfg.Clock().Before(rec.ExpiresAt) {
		return ErrChallengeExpired
	}
	if rec.Approved {
		e.log.ErrorContext(ctx, "the store reopened a challenge that was won", "challenge", rec.ID)
		return ErrChallengeApproved
	}
	return e.endedError(rec)
}

// wrongAnswer carries a Verifier's mismatch, what it was compared with, and what the error holds for the app's backend.
type wrongAnswer struct {
	compared []Factor
	extra    map[string]any
}

// Error is the text of ErrMismatch.
func (*wrongAnswer) Error() string { return ErrMismatch.Error() }

// evaluateOnce evaluates and spends, by compare-and-set: ErrConflict if somebody else changed the factor meanwhile, so
// that the answer is evaluated again by what it has become, and two nodes cannot both accept it.
func (e *Engine) evaluateOnce(ctx context.Context, s Verifier, rec *record, a *attempt, look bool) (*Result, error) {
	rec.reads = &factorReads{}
	if look {
		if f, n, err := e.findNote(ctx, s, rec, a); err != nil {
			return nil, err
		} else if n != nil && n.matchesDigest(rec.answerDigest(a)) {
			return e.resultOfNote(ctx, rec, n, f)
		}
	}
	if rec.Purpose == PurposeEnrol {
		return e.enrol(ctx, s.(Enroller), rec, a)
	}
	proof, err := s.Verify(ctx, &rec.Challenge, a.answer.Text)
	if err != nil {
		// It may have been spent by a copy of this answer, between two looks at the factor.
		if f, n := e.noteIn(rec.reads.factors, rec); n != nil && n.matchesDigest(rec.answerDigest(a)) {
			return e.resultOfNote(ctx, rec, n, f)
		}
		if errors.Is(err, ErrMismatch) {
			return nil, &wrongAnswer{proof.Compared, proof.Extra}
		}
		return nil, factorError(err)
	}
	return e.spend(ctx, rec, a, proof)
}

// faultOr is the refusal of a wrong answer, unless a factor that it may be of cannot be read because a key is missing: nobody
// can say then that it is wrong. It was charged all the same.
func (r *record) faultOr(refusal error) error {
	if refusal == nil || r.reads == nil || r.Purpose == PurposeEnrol {
		return refusal
	}
	for _, f := range r.reads.factors {
		if f.keyless != nil && (r.Factor == "" || r.Factor == f.ID) {
			return unavailable(f.keyless)
		}
	}
	return refusal
}

// spend stores what the answer is paid with, with its note.
func (e *Engine) spend(ctx context.Context, rec *record, a *attempt, proof Proof) (*Result, error) {
	now := e.cfg.Clock()
	f := proof.Spend
	n := note{challenge: rec.id.rand, digest: rec.answerDigest(a), amr: proof.AMR, subject: proof.Subject}
	if err := n.setExtra(proof.Extra); err != nil {
		return nil, err
	}
	if f != nil {
		n.at = f.readTime(now)
		f.Failures, f.WaitUntil, f.LastUsedAt = 0, time.Time{}, now.UTC()
		e.addNote(f, n)
		if err := e.env.factors.update(ctx, *f); err != nil {
			return nil, factorError(err)
		}
		f.Version++
		if proof.Low {
			e.emit(ctx, EventFactorLow, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
		}
	}
	result := e.resultOfProof(rec, proof, f)
	result.Claims.extra = n.extra
	return result, nil
}

// resultOfProof is what a right answer earns. The challenge of a discoverable passkey goes on naming nobody.
func (e *Engine) resultOfProof(rec *record, proof Proof, f *Factor) *Result {
	now := e.cfg.Clock()
	if f != nil {
		rec.Factor, rec.FactorOf = f.ID, f.CreatedBy
	}
	claims := e.claims(rec, now, now)
	if rec.Subject == "" {
		claims.Subject = proof.Subject
	}
	claims.AMR, claims.Extra = proof.AMR, proof.Extra
	return &Result{Claims: claims, noted: f}
}

// factorError keeps the errors that mean something and calls the rest unavailable.
func factorError(err error) error {
	var known *Error
	switch {
	case errors.As(err, &known), errors.Is(err, ErrConflict):
		return err
	case errors.Is(err, ErrNotFound):
		return ErrConflict // removed meanwhile: evaluate again without it
	}
	return unavailable(err)
}

// win closes the challenge: of any number of right answers one gets here first. After the deadline, by the store's clock,
// it is too late.
func (e *Engine) win(ctx context.Context, rec *record, a *attempt, r *Result, deadline time.Time) (*Result, error) {
	rec.Approved, rec.Claims = true, r.Claims
	data, err := rec.seal(rec.version + 1)
	if err != nil {
		return nil, err
	}
	closing := Closing{State: StateApproved, Mark: rec.key.mark(rec.ID, a, e.cfg.Clock(), nil), Sealed: data, Before: deadline,
		Clear: e.budget(rec.id).Key}
	if err := e.cfg.Store.Close(ctx, rec.id.ref, closing); err != nil {
		return e.explainLostWin(ctx, rec, a, r, err)
	}
	if r.Factor != nil {
		e.emit(ctx, EventFactorEnrolled, &rec.Challenge, func(ev *Event) { ev.Factor = r.Factor.ID })
	}
	won, err := e.recordApproval(ctx, rec, a, r)
	e.scheduleNoteRemoval(ctx, r.noted)
	return won, err
}

// explainLostWin says why a right answer did not win.
func (e *Engine) explainLostWin(ctx context.Context, rec *record, a *attempt, r *Result, err error) (*Result, error) {
	var before *Result
	refusal := unavailable(err)
	switch {
	case errors.Is(err, ErrClosed):
		before, refusal = e.resolveClosed(ctx, rec.id, a)
	case errors.Is(err, ErrExpired) && !e.cfg.Clock().Before(rec.ExpiresAt):
		refusal = ErrChallengeExpired
	case errors.Is(err, ErrNotFound):
		refusal = ErrUnknownChallenge
	}
	if before != nil {
		return before, nil
	}
	return nil, e.removeUnwonFactor(ctx, rec, r, refusal)
}

// removeUnwonFactor removes what an answer that did not win had enrolled, unless another right answer to the same challenge has won
// with it. Where it is not known whether one has, or will, it stays: the same answer goes on with it, and the app hears of
// it; and so it is with a set that was replaced.
func (e *Engine) removeUnwonFactor(ctx context.Context, rec *record, r *Result, refusal error) error {
	if r.Factor == nil || errors.Is(refusal, ErrChallengeApproved) {
		return refusal
	}
	if !r.created || errors.Is(refusal, ErrUnavailable) {
		e.emit(ctx, EventFactorEnrolled, &rec.Challenge, func(ev *Event) { ev.Factor = r.Factor.ID })
		return refusal
	}
	if err := e.cfg.Factors.Delete(ctx, e.cfg.App, r.Factor.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return refusal
}
