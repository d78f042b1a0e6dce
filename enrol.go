package watchword

import (
	"context"
	"errors"
	"time"
)

// enrol stores the new factor before the challenge is won. It is idempotent by challenge: a factor that this very
// challenge has created already is the one. The subject's set is brought to a new version first, with the factor as being
// added, so that of two enrolments which both looked at the same set one looks again.
func (e *Engine) enrol(ctx context.Context, s Enroller, rec *record, a *attempt) (*Result, error) {
	set, err := e.env.factors.set(ctx, rec.Subject, e.cfg.Clock())
	if err == nil {
		err = e.checkEnrolmentAuthority(ctx, rec, set)
	}
	if err != nil {
		return nil, err
	}
	f, err := s.VerifyEnrol(ctx, &rec.Challenge, a.answer.Text)
	if errors.Is(err, ErrMismatch) {
		return nil, &wrongAnswer{}
	}
	if err != nil {
		return nil, factorError(err)
	}
	if f.CreatedBy == rec.ID && f.Version > 0 { // replaced by this very challenge before
		return e.enrolledResult(rec, f, false), nil
	}
	f.Subject, f.Strategy, f.CreatedBy = rec.Subject, rec.Strategy, rec.ID
	if f.Label == "" {
		f.Label = rec.Label
	}
	if own := set.find(f.ID); own != nil && own.CreatedBy == rec.ID {
		return e.enrolledResult(rec, *own, true), nil
	}
	adding := addition{factor: f.ID, strategy: f.Strategy, challenge: rec.ID}
	if err := e.env.factors.bump(ctx, set, rec.ID, adding); err != nil {
		return nil, err
	}
	return e.addFactor(ctx, rec, a, set, f)
}

// addFactor creates a factor, or replaces the one that it is a new version of, and looks whether the set that it was added to
// is still there.
func (e *Engine) addFactor(ctx context.Context, rec *record, a *attempt, to *factorSet, f Factor) (*Result, error) {
	created := f.Version == 0
	n := note{challenge: rec.id.rand, digest: rec.answerDigest(a), at: to.now, created: created}
	f.notes = []note{n}
	var err error
	if created {
		f.CreatedAt, f.Version = e.cfg.Clock().UTC().Truncate(time.Millisecond), 1
		if err = e.env.factors.create(ctx, f); errors.Is(err, ErrExists) {
			err = e.adoptEnrolled(ctx, &f)
		}
	} else if err = e.env.factors.update(ctx, f); err == nil {
		f.Version++
	}
	if err != nil {
		return nil, factorError(err)
	}
	result := e.enrolledResult(rec, f, created)
	set, err := e.env.factors.set(ctx, rec.Subject, e.cfg.Clock())
	if err == nil {
		err = e.checkAuthorityLives(ctx, rec, set)
	}
	if err == nil && set.life != to.life {
		err = ErrProofRequired
	}
	if err != nil {
		return nil, e.removeUnwonFactor(ctx, rec, result, err)
	}
	return result, nil
}

// enrolledResult is what an enrolment earns: the factor, and a receipt to enrol more with.
func (e *Engine) enrolledResult(rec *record, f Factor, created bool) *Result {
	rec.Factor, rec.FactorOf = f.ID, f.CreatedBy
	now := e.cfg.Clock()
	claims := e.claims(rec, now, now)
	claims.Purpose = PurposeManageFactors
	claims.ExpiresAt = claims.IssuedAt + int64(min(e.cfg.ReceiptLifetime, freshProof)/time.Second)
	shown := e.withoutSecrets(f)
	return &Result{Claims: claims, Factor: &shown, created: created, noted: &f}
}

// adoptEnrolled looks at a factor whose id exists: this challenge's own is the one, somebody else's (a passkey that is
// registered twice) makes the answer a wrong one.
func (e *Engine) adoptEnrolled(ctx context.Context, f *Factor) error {
	before, err := e.env.factors.get(ctx, f.ID)
	if err != nil {
		return err
	}
	if before.CreatedBy != f.CreatedBy {
		return &wrongAnswer{}
	}
	*f = before
	return nil
}
