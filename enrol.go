package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// enrol stores the new factor before the challenge is closed. It is idempotent by challenge: a factor that this challenge has
// created before is used again. It updates the subject's set first and lists the factor there as pending, so that of two
// concurrent enrolments one reads the set again.
func (e *Engine) enrol(ctx context.Context, s Enroller, rec *record, a *attempt) (*Result, error) {
	set, err := e.env.factors.readSet(ctx, rec.Subject, e.cfg.Clock())
	if err == nil {
		err = e.checkEnrolmentAuthority(ctx, rec, set)
	}
	if err != nil {
		return nil, err
	}
	f, err := s.VerifyEnrol(ctx, &rec.Challenge, a.answer.Text)
	if errors.Is(err, ErrMismatch) {
		return nil, &wrongAnswerError{}
	}
	if err != nil {
		return nil, factorError(err)
	}
	if f.CreatedBy == rec.ID && f.Version > 0 { // replaced by this challenge before
		return e.enrolledResult(rec, f, false), nil
	}
	f.Subject, f.Strategy, f.CreatedBy = rec.Subject, rec.Strategy, rec.ID
	if f.Label == "" {
		f.Label = rec.Label
	}
	if existing := set.find(f.ID); existing != nil && existing.CreatedBy == rec.ID {
		return e.enrolledResult(rec, *existing, true), nil
	}
	adding := pendingFactor{factor: f.ID, strategy: f.Strategy, challenge: rec.ID}
	if err := e.env.factors.updateSet(ctx, set, rec.ID, adding); err != nil {
		return nil, err
	}
	return e.addFactor(ctx, rec, a, set, f)
}

// addFactor creates the factor, or replaces the factor that it is a new version of. Then it checks that the set it was added
// to still exists.
func (e *Engine) addFactor(ctx context.Context, rec *record, a *attempt, set *factorSet, f Factor) (*Result, error) {
	created := f.Version == 0
	n := note{challenge: rec.id.random, digest: rec.answerDigest(a), at: set.readAt, created: created}
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
	current, err := e.env.factors.readSet(ctx, rec.Subject, e.cfg.Clock())
	if err == nil {
		err = e.checkAuthorityValid(ctx, rec, current)
	}
	if err == nil && current.generation != set.generation {
		err = ErrProofRequired
	}
	if err != nil {
		return nil, e.removeUnapprovedFactor(ctx, rec, result, err)
	}
	e.logAdminChange(ctx, *rec.enrolment)
	return result, nil
}

// enrolledResult returns the result of an enrolment: the factor, and the claims of a receipt that authorizes further
// enrolments.
func (e *Engine) enrolledResult(rec *record, f Factor, created bool) *Result {
	rec.Factor, rec.FactorEnrolledBy = f.ID, f.CreatedBy
	now := e.cfg.Clock()
	claims := e.claims(rec, now, now)
	claims.Purpose = PurposeManageFactors
	claims.ExpiresAt = claims.IssuedAt + int64(min(e.cfg.ReceiptLifetime, maxProofAge)/time.Second)
	public := e.withoutSecrets(f)
	return &Result{Claims: claims, Factor: &public, factorCreated: created, spentFactor: &f}
}

// adoptEnrolled reads a factor whose id exists already. If this challenge created it, the enrolment continues with it. If
// another one did, for example because a passkey is registered twice, the answer is wrong.
func (e *Engine) adoptEnrolled(ctx context.Context, f *Factor) error {
	existing, err := e.env.factors.get(ctx, f.ID)
	if err != nil {
		return err
	}
	if existing.CreatedBy != f.CreatedBy {
		return &wrongAnswerError{}
	}
	*f = existing
	return nil
}

// maxProofAge is the greatest age of a manage_factors receipt that authorizes a change.
const maxProofAge = 5 * time.Minute

// An Authority authorizes a change of a subject's factors: by a receipt for PurposeManageFactors, or because the app
// vouches for it. No authority is needed for a subject without factors.
//
// A receipt authorizes one change, for at most 5 minutes after the answer (Claims.AuthTime). The strategy that earned it
// must be at least as strong (StrategyProperties.Strength) as the strongest active factor of the subject; recovery codes
// always suffice. Otherwise the error is ErrProofRequired.
type Authority struct {
	Claims *Claims // of a receipt whose signature the caller has verified; nil: none
	Admin  bool    // the app vouches for the change by other means
	Seed   []byte  // of the request; with the same seed the receipt may be spent again
}

// adminProof is greater than the strength of every strategy.
const adminProof = 1 << 10

// maxFactors is the greatest number of factors of a subject. All of them are read for each challenge of the subject.
const maxFactors = 50

// checkFactorLimit refuses another factor before anything is spent for it.
func checkFactorLimit(factors []Factor) error {
	if len(factors) >= maxFactors {
		return invalid("subject", "has as many factors as can be kept; remove one first")
	}
	return nil
}

// authorize spends the authority to change a subject's factors. A subject without factors needs none. The proof must be at
// least as strong as the strongest active factor; recovery codes may replace any factor. A proof ends with the factor that
// earned it. The error is ErrProofRequired or ErrUnavailable.
func (e *Engine) authorize(ctx context.Context, set *factorSet, a Authority) (enrolmentAuthority, error) {
	authority := enrolmentAuthority{Generation: set.generation, earnedAt: e.cfg.Clock()}
	factors := set.others("")
	if a.Admin {
		authority.Proof = adminProof
		return authority, nil
	}
	if set.keyError != nil {
		return authority, unavailable(set.keyError)
	}
	if len(factors) == 0 {
		return authority, nil
	}
	c := a.Claims
	if c == nil || c.Purpose != PurposeManageFactors || c.Subject != set.subject || e.cfg.Clock().Sub(time.Unix(c.AuthTime, 0)) > maxProofAge {
		return authority, ErrProofRequired
	}
	if authority.Proof = e.strength(c.Strategy); !e.proofSuffices(authority.Proof, factors) {
		return authority, ErrProofRequired
	}
	err := e.spendReceipt(ctx, *c, a.Seed, func(rec *record) error {
		authority.earnedAt = rec.CreatedAt
		if rec.Claims != nil { // evaluated by the strategy, and so earned by a factor
			authority.Factor, authority.FactorEnrolledBy = rec.Factor, rec.FactorEnrolledBy
		}
		return e.checkProofFactor(ctx, set, authority, "")
	})
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = ErrProofRequired
	}
	return authority, err
}

// logAdminChange logs a change of factors that the app has vouched for.
func (e *Engine) logAdminChange(ctx context.Context, authority enrolmentAuthority) {
	if authority.Proof == adminProof {
		e.log.InfoContext(ctx, "factors changed without a proof, on the app's authority")
	}
}

// checkProofFactor refuses a proof whose factor is not active any more, or whose subject was removed after the proof. A
// factor that the enrolment itself has replaced, such as a set of recovery codes, counts as active.
func (e *Engine) checkProofFactor(ctx context.Context, set *factorSet, authority enrolmentAuthority, enrolmentID string) error {
	if authority.Factor != "" {
		f := set.find(authority.Factor)
		if f != nil && f.missingKey != nil {
			return unavailable(f.missingKey)
		}
		if f == nil || f.Disabled || f.CreatedBy != authority.FactorEnrolledBy && (enrolmentID == "" || f.CreatedBy != enrolmentID) {
			return ErrProofRequired
		}
	}
	removed, err := e.removedSince(ctx, set.subject, authority.earnedAt)
	if err == nil && removed {
		err = ErrProofRequired
	}
	return err
}

// changeFactors authorizes a change of a subject's factors once, updates the set and calls change. It updates the set first,
// so that a concurrent change makes it read the set again.
func (e *Engine) changeFactors(ctx context.Context, subject string, a Authority, change func(*factorSet) error, pending ...pendingFactor) error {
	authorized := false
	var authority enrolmentAuthority
	for range maxConflictRetries {
		set, err := e.env.factors.readSet(ctx, subject, e.cfg.Clock())
		if err != nil {
			return err
		}
		if !authorized {
			authority, err = e.authorize(ctx, set, a)
			authorized = true
		} else if err = e.checkProofFactor(ctx, set, authority, ""); err == nil && !e.proofSuffices(authority.Proof, set.others("")) {
			err = ErrProofRequired
		}
		if err != nil {
			return err
		}
		if set.entry != nil || len(set.factors)+len(pending) > 0 {
			err = e.updateSet(ctx, set, pending...)
		}
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		if err := change(set); err != nil {
			return err
		}
		e.logAdminChange(ctx, authority)
		return nil
	}
	return unavailable(fmt.Errorf("a subject's factors kept changing: %w", ErrConflict))
}

// updateSet brings a set to a new version. A set without a generation gets a new random one.
func (e *Engine) updateSet(ctx context.Context, set *factorSet, pending ...pendingFactor) error {
	generation, err := e.random(randomSize)
	if err != nil {
		return err
	}
	return e.env.factors.updateSet(ctx, set, string(generation), pending...)
}

// replaceDamagedSet replaces the damaged entry of a set and returns the generation that the set then has.
func (e *Engine) replaceDamagedSet(ctx context.Context, set *factorSet) (generation string, err error) {
	if err := e.updateSet(ctx, set); err != nil && !errors.Is(err, ErrConflict) {
		return "", err
	}
	current, err := e.env.factors.readSet(ctx, set.subject, e.cfg.Clock())
	if err != nil {
		return "", err
	}
	if current.damaged() {
		return "", unavailable(fmt.Errorf("a subject's set of factors stays damaged: %w", errSeal))
	}
	return current.generation, nil
}

// proofSuffices reports whether a proof is strong enough for the active factors.
func (e *Engine) proofSuffices(proof int, factors []Factor) bool {
	return proof == StrengthRecovery || proof >= e.strongestFactor(factors)
}

// checkEnrolmentAuthority refuses an enrolment whose authority would not suffice now: a stronger factor has become active,
// the factor that earned the proof is gone, or the subject was removed.
func (e *Engine) checkEnrolmentAuthority(ctx context.Context, rec *record, set *factorSet) error {
	if err := e.checkAuthorityValid(ctx, rec, set); err != nil {
		return err
	}
	others := set.others(rec.ID)
	if !e.proofSuffices(rec.enrolment.Proof, others) {
		return ErrProofRequired
	}
	return checkFactorLimit(others)
}

// checkAuthorityValid refuses an enrolment whose authority has ended. A set that the challenge itself has created has the
// challenge's id as its generation. The app's own authority for a subject without a set also holds beside other enrolments.
func (e *Engine) checkAuthorityValid(ctx context.Context, rec *record, set *factorSet) error {
	generation := rec.enrolment.Generation
	if set.keyError != nil && rec.enrolment.Proof != adminProof {
		return unavailable(set.keyError)
	}
	ownSet := generation == "" && (set.generation == rec.ID || rec.enrolment.Proof == adminProof)
	if generation != set.generation && !ownSet {
		return ErrProofRequired
	}
	authority := *rec.enrolment
	authority.earnedAt = rec.CreatedAt
	return e.checkProofFactor(ctx, set, authority, rec.ID)
}

// strength returns the strength of a strategy; 0 if the engine does not have it, so that it is worth nothing as a proof.
func (e *Engine) strength(strategy string) int {
	if s := e.strategies[strategy]; s != nil {
		return s.Properties().Strength
	}
	return 0
}

// strongestFactor returns the strength of the strongest active factor. Damaged factors count as active.
func (e *Engine) strongestFactor(factors []Factor) (most int) {
	for _, f := range factors {
		if f.Disabled && !f.damaged {
			continue
		}
		strength := e.strength(f.Strategy)
		if strength == 0 {
			strength = StrengthKey // the strength is unknown: protect it like the strongest
		}
		most = max(most, strength)
	}
	return most
}
