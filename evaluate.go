package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checkWithVerifier checks an answer that the strategy evaluates after the try was charged.
func (e *Engine) checkWithVerifier(ctx context.Context, id challengeID, s Verifier, a *attempt) (*Result, error) {
	entry, err := e.cfg.Store.Attempt(ctx, id.storeID, nil, e.budget(id))
	var budgetErr *BudgetError
	if errors.Is(err, ErrSpent) || errors.As(err, &budgetErr) {
		_, refusal := e.explainRefusal(ctx, id, a, entry, err)
		return e.checkWithoutTry(ctx, id, s, a, entry, refusal)
	}
	if err != nil {
		return e.explainRefusal(ctx, id, a, entry, err)
	}
	rec, err := e.open(ctx, id, entry)
	if err != nil {
		return nil, err
	}
	return e.evaluateAnswer(ctx, s, rec, entry, a)
}

// evaluateAnswer checks an answer with its Verifier after the try was charged. The strategy decides, the engine spends what
// can be used once, and only then closes the challenge. Spending leaves a note in the factor. A copy of the answer that comes
// too late to spend continues with the note, and one of the copies closes the challenge.
func (e *Engine) evaluateAnswer(ctx context.Context, s Verifier, rec *record, entry Entry, a *attempt) (*Result, error) {
	if err := e.checkNotEnded(ctx, rec); err != nil {
		return nil, err
	}
	if contradicts(rec, a) || rec.Decoy && rec.Purpose == PurposeEnrol {
		return e.settleWrongAnswer(ctx, rec, entry, a, &wrongAnswerError{extra: e.explainContradiction(ctx, rec, a)})
	}
	if rec.Decoy && rec.Purpose != PurposeEnrol {
		return e.evaluateDecoy(ctx, s, rec, entry, a)
	}
	// Only an earlier try of this challenge can have left its note, so the first try does not look for one.
	checkNote := entry.Used > 1
	for range maxConflictRetries {
		result, err := e.evaluateOnce(ctx, s, rec, a, checkNote)
		if errors.Is(err, ErrConflict) {
			checkNote = true
			continue
		}
		var wrong *wrongAnswerError
		if errors.As(err, &wrong) {
			result, err := e.settleWrongAnswer(ctx, rec, entry, a, wrong)
			return result, rec.unreadableOr(err)
		}
		if err != nil {
			return nil, e.settleRefusal(ctx, rec, err)
		}
		return e.approve(ctx, rec, a, result, entry.LastTry.Add(tryTimeout))
	}
	return nil, unavailable(fmt.Errorf("a factor kept changing: %w", ErrConflict))
}

// checkNotEnded refuses a challenge that has ended by the encrypted record, the clock or what this process knows, whatever
// the store returns.
func (e *Engine) checkNotEnded(ctx context.Context, rec *record) error {
	if !e.cfg.Clock().Before(rec.ExpiresAt) {
		return ErrChallengeExpired
	}
	if rec.Approved {
		e.log.ErrorContext(ctx, "store reopened an approved challenge", "challenge", rec.ID)
		return ErrChallengeApproved
	}
	return e.endedError(rec)
}

// A wrongAnswerError is a Verifier's ErrMismatch with the compared factors and the details for the app's backend.
type wrongAnswerError struct {
	compared []Factor
	extra    map[string]any
}

// Error returns the text of ErrMismatch.
func (*wrongAnswerError) Error() string { return ErrMismatch.Error() }

// evaluateOnce evaluates and spends by compare-and-set: ErrConflict if the factor was changed meanwhile. The answer is then
// evaluated again with the new version of the factor, so two nodes cannot both accept it.
func (e *Engine) evaluateOnce(ctx context.Context, s Verifier, rec *record, a *attempt, checkNote bool) (*Result, error) {
	rec.factorReads = &factorReads{}
	if checkNote {
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
		// A copy of this answer may have spent it after the factor was read for notes.
		if f, n := e.noteIn(rec.factorReads.factors, rec); n != nil && n.matchesDigest(rec.answerDigest(a)) {
			return e.resultOfNote(ctx, rec, n, f)
		}
		if errors.Is(err, ErrMismatch) {
			return nil, &wrongAnswerError{proof.Compared, proof.Extra}
		}
		return nil, factorError(err)
	}
	if !rec.Require.isMetBy(s.Properties(), proof.AMR) { // although the strategy should have asked for it
		return nil, &wrongAnswerError{}
	}
	return e.spend(ctx, rec, a, proof)
}

// unreadableOr returns refusal, or ErrUnavailable if the answer may be of a factor whose key is not in the keyring: the
// engine cannot know then that the answer is wrong. The try stays charged.
func (r *record) unreadableOr(refusal error) error {
	if refusal == nil || r.factorReads == nil || r.Purpose == PurposeEnrol {
		return refusal
	}
	for _, f := range r.factorReads.factors {
		if f.missingKey != nil && (r.Factor == "" || r.Factor == f.ID) {
			return unavailable(f.missingKey)
		}
	}
	return refusal
}

// spend stores the spent factor together with the note of the answer. ErrConflict if the factor was changed meanwhile.
func (e *Engine) spend(ctx context.Context, rec *record, a *attempt, proof Proof) (*Result, error) {
	now := e.cfg.Clock()
	f := proof.Spend
	n := note{challenge: rec.id.random, digest: rec.answerDigest(a), amr: proof.AMR, subject: proof.Subject}
	if err := n.setExtra(proof.Extra); err != nil {
		return nil, err
	}
	if f != nil {
		n.at = f.readTime(now)
		f.Failures, f.LockedUntil, f.LastUsedAt = 0, time.Time{}, now.UTC()
		e.addNote(f, n)
		if err := e.env.factors.update(ctx, *f); err != nil {
			return nil, factorError(err)
		}
		f.Version++
		if proof.CodesLow {
			e.emit(ctx, EventFactorLow, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
		}
	}
	result := e.resultOfProof(rec, proof, f)
	result.Claims.extra = n.extra
	return result, nil
}

// resultOfProof returns the result of a right answer. The challenge of a discoverable passkey keeps its empty subject; the
// claims have the owner.
func (e *Engine) resultOfProof(rec *record, proof Proof, f *Factor) *Result {
	now := e.cfg.Clock()
	if f != nil {
		rec.Factor, rec.FactorEnrolledBy = f.ID, f.CreatedBy
	}
	claims := e.claims(rec, now, now)
	if rec.Subject == "" {
		claims.Subject = proof.Subject
	}
	claims.AMR, claims.Extra = proof.AMR, proof.Extra
	return &Result{Claims: claims, enrolledBy: rec.FactorEnrolledBy, spentFactor: f}
}

// factorError returns errors of the engine and ErrConflict as they are, and all others as ErrUnavailable.
func factorError(err error) error {
	var engineErr *Error
	switch {
	case errors.As(err, &engineErr), errors.Is(err, ErrConflict):
		return err
	case errors.Is(err, ErrNotFound):
		return ErrConflict // removed meanwhile: evaluate again without it
	}
	return unavailable(err)
}

// approve closes the challenge. Of concurrent right answers the first one closes it. After the deadline, by the store's clock,
// the store refuses. The challenge of a method stays open until its verification has decided.
func (e *Engine) approve(ctx context.Context, rec *record, a *attempt, r *Result, deadline time.Time) (*Result, error) {
	rec.Approved, rec.Claims = true, r.Claims
	now := e.cfg.Clock()
	if a.undecided {
		r.undecided = &undecidedAnswer{rec: rec, attempt: a, at: now, spentFactor: r.spentFactor}
		return r, nil
	}
	if err := e.closeApproved(ctx, rec, a, now, deadline); err != nil {
		return e.explainFailedApproval(ctx, rec, a, r, err)
	}
	if r.Factor != nil {
		e.emit(ctx, EventFactorEnrolled, &rec.Challenge, func(ev *Event) { ev.Factor = r.Factor.ID })
		if !r.factorCreated {
			e.pruneDevicesLater(ctx, r.Factor)
		}
	}
	result, err := e.recordApproval(ctx, rec, a, r)
	e.scheduleNoteRemoval(ctx, r.spentFactor)
	return result, err
}

// closeApproved closes the challenge, which was answered at the given time, with the content of the record. Two things change a
// challenge of a Verifier while it is pending: a browser opens its page or, if its verification is approved already, its receipt is
// spent. If one has happened since the record was read, it keeps that and tries again.
func (e *Engine) closeApproved(ctx context.Context, rec *record, a *attempt, at, deadline time.Time) error {
	for range maxConflictRetries {
		data, err := rec.seal(rec.version + 1)
		if err != nil {
			return err
		}
		closing := Closing{State: StateApproved, Mark: rec.key.mark(rec.ID, a, at, nil), Sealed: data, Version: rec.version,
			Before: deadline, Clear: e.budget(rec.id).Key, Ended: e.endOutgoing(rec.id)}
		if err = e.cfg.Store.Close(ctx, rec.id.storeID, closing); !errors.Is(err, ErrConflict) {
			return err
		}
		entry, err := e.cfg.Store.Get(ctx, rec.id.storeID)
		if err != nil {
			return err
		}
		current, err := e.open(ctx, rec.id, entry)
		if err != nil {
			return err
		}
		rec.version, rec.Page, rec.Redeemed, rec.RedeemedBy = current.version, current.Page, current.Redeemed, current.RedeemedBy
	}
	return fmt.Errorf("a challenge kept changing: %w", ErrConflict)
}

// explainFailedApproval returns the reason why a right answer did not close the challenge, or the result of a repeated request.
func (e *Engine) explainFailedApproval(ctx context.Context, rec *record, a *attempt, r *Result, err error) (*Result, error) {
	var repeated *Result
	refusal := unavailable(err)
	switch {
	case errors.Is(err, ErrClosed):
		repeated, refusal = e.resolveClosed(ctx, rec.id, a)
	case errors.Is(err, ErrExpired) && !e.cfg.Clock().Before(rec.ExpiresAt):
		refusal = ErrChallengeExpired
	case errors.Is(err, ErrNotFound):
		refusal = ErrUnknownChallenge
	}
	if repeated != nil {
		return repeated, nil
	}
	return nil, e.removeUnapprovedFactor(ctx, rec, r, refusal)
}

// removeUnapprovedFactor removes the factor of an enrolment that did not close its challenge, unless another right answer closed
// it with the same factor. If the outcome is unknown the factor stays, so that the same answer can continue with it, and the
// engine sends the event of an enrolment. A replaced factor stays too.
func (e *Engine) removeUnapprovedFactor(ctx context.Context, rec *record, r *Result, refusal error) error {
	if r.Factor == nil || errors.Is(refusal, ErrChallengeApproved) {
		return refusal
	}
	if !r.factorCreated || errors.Is(refusal, ErrUnavailable) {
		e.emit(ctx, EventFactorEnrolled, &rec.Challenge, func(ev *Event) { ev.Factor = r.Factor.ID })
		return refusal
	}
	if err := e.cfg.Factors.Delete(ctx, e.cfg.App, r.Factor.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return refusal
}
