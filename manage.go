package watchword

import (
	"context"
	"errors"
	"slices"
	"time"
)

// freshProof is how old a manage_factors receipt may be.
const freshProof = 5 * time.Minute

// An Authority is why somebody may change what a subject has enrolled: the claims of a manage_factors receipt, whose
// signature was verified, or that the app vouches for it by other means.
type Authority struct {
	Claims *Claims
	Admin  bool
}

// admin is stronger than any proof.
const admin = 1 << 10

// authorize spends the authority to change a subject's factors; none is needed where nothing is enrolled. The proof must
// be at least as strong as the strongest active factor; recovery codes are there to replace any of them.
func (e *Engine) authorize(ctx context.Context, subject string, a Authority) (enrolment, error) {
	factors, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return enrolment{}, factorError(err)
	}
	var allowed enrolment
	for _, f := range factors {
		allowed.Beside = append(allowed.Beside, []byte(f.ID))
	}
	if a.Admin {
		e.log.InfoContext(ctx, "factors are changed on the app's own authority", "app", e.cfg.App)
		allowed.Proof = admin
		return allowed, nil
	}
	if len(factors) == 0 {
		return allowed, nil
	}
	c := a.Claims
	now := e.cfg.Clock()
	if c == nil || c.Purpose != PurposeManageFactors || c.Subject != subject || now.Sub(time.Unix(c.AuthTime, 0)) > freshProof {
		return allowed, ErrProofRequired
	}
	if allowed.Proof = e.strength(c.Strategy); !e.suffices(allowed.Proof, factors) {
		return allowed, ErrProofRequired
	}
	if err := e.RedeemReceipt(ctx, *c, PurposeManageFactors); err != nil {
		if errors.Is(err, ErrUnavailable) {
			return allowed, err
		}
		return allowed, ErrProofRequired
	}
	return allowed, nil
}

// maxFactors of one subject can be enrolled: all of them are read whenever the subject is asked for one.
const maxFactors = 50

// hasRoom refuses another factor before anything is spent for it.
func (e *Engine) hasRoom(ctx context.Context, subject string) error {
	factors, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return factorError(err)
	}
	if len(factors) >= maxFactors {
		return invalid("subject", "has as many factors as can be kept; remove one first")
	}
	return nil
}

// suffices compares a proof with what is active.
func (e *Engine) suffices(proof int, factors []Factor) bool {
	return proof == StrengthRecovery || proof >= e.strongest(factors)
}

// overtaken reports whether what allowed an enrolment to begin would not allow it any more: something stronger has become
// active, or all that was there is gone. Otherwise whoever began it in time could add a factor of his own to the owner's,
// or to a subject that was removed. (One that began while nothing was enrolled needed no proof, and still adds its factor
// to a subject that has nothing again.)
func (e *Engine) overtaken(ctx context.Context, rec *record) error {
	factors, err := e.env.factors.list(ctx, rec.Subject, "")
	if err != nil {
		return factorError(err)
	}
	others := slices.DeleteFunc(factors, func(f Factor) bool { return f.CreatedBy == rec.ID })
	remain := len(rec.Enrolment.Beside) == 0 || slices.ContainsFunc(others, func(f Factor) bool {
		return slices.ContainsFunc(rec.Enrolment.Beside, func(id []byte) bool { return string(id) == f.ID })
	})
	if !remain || !e.suffices(rec.Enrolment.Proof, others) {
		return ErrProofRequired
	}
	return nil
}

// strength of a strategy that this engine does not offer is nobody's: as a proof it is worth nothing.
func (e *Engine) strength(strategy string) int {
	if s := e.strategies[strategy]; s != nil {
		return s.Traits().Strength
	}
	return 0
}

func (e *Engine) strongest(factors []Factor) (most int) {
	for _, f := range factors {
		if f.Disabled && !f.damaged {
			continue
		}
		strength := e.strength(f.Strategy)
		if strength == 0 || f.damaged {
			strength = StrengthKey // nobody knows how strong it was: protect it like the best
		}
		most = max(most, strength)
	}
	return most
}

// ListFactors lists what a subject has enrolled, the oldest first. Data stays inside: no secret is shown.
func (e *Engine) ListFactors(ctx context.Context, subject string) ([]Factor, error) {
	factors, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return nil, factorError(err)
	}
	for i := range factors {
		factors[i] = e.shown(factors[i])
	}
	return factors, nil
}

// shown is what leaves the engine of a factor.
func (e *Engine) shown(f Factor) Factor {
	if d, ok := e.strategies[f.Strategy].(Describer); ok && !f.damaged {
		f.Public = d.Describe(f)
	}
	f.Data, f.sealer = nil, nil
	return f
}

// GetFactor reads one factor; another app's is ErrUnknownFactor.
func (e *Engine) GetFactor(ctx context.Context, id string) (Factor, error) {
	f, err := e.factor(ctx, id)
	if err != nil {
		return Factor{}, err
	}
	return e.shown(f), nil
}

func (e *Engine) factor(ctx context.Context, id string) (Factor, error) {
	f, err := e.env.factors.get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Factor{}, ErrUnknownFactor
	}
	if err != nil {
		return Factor{}, unavailable(err)
	}
	return f, nil
}

// ImportFactor takes over what a subject had enrolled elsewhere, as a strategy's Import made it. Importing the same again
// changes nothing.
func (e *Engine) ImportFactor(ctx context.Context, f Factor, a Authority) error {
	if _, enrols := e.strategies[f.Strategy].(Enroller); !enrols || e.cfg.Factors == nil {
		return invalid("strategy", "nothing can be enrolled with it")
	}
	switch {
	case f.Subject == "" || f.ID == "":
		return invalid("subject", "is required, and so is an id")
	case !isSubject(f.Subject):
		return invalid("subject", badSubject)
	case !legible(f.Label, maxText):
		return invalid("label", badLegible)
	}
	if _, err := e.authorize(ctx, f.Subject, a); err != nil {
		return err
	}
	f.CreatedAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
	err := e.env.factors.create(ctx, f)
	if errors.Is(err, ErrExists) {
		before, err := e.factor(ctx, f.ID)
		if err == nil && (before.Subject != f.Subject || before.Strategy != f.Strategy) {
			err = invalid("id", "is another factor's")
		}
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	e.emit(ctx, EventFactorEnrolled, &Challenge{Strategy: f.Strategy, Subject: f.Subject}, func(ev *Event) { ev.Factor = f.ID })
	return nil
}

// RenameFactor changes a factor's label.
func (e *Engine) RenameFactor(ctx context.Context, id, label string, a Authority) (Factor, error) {
	if !legible(label, maxText) {
		return Factor{}, invalid("label", badLegible)
	}
	f, err := e.factor(ctx, id)
	if err != nil {
		return Factor{}, err
	}
	if _, err := e.authorize(ctx, f.Subject, a); err != nil {
		return Factor{}, err
	}
	for range casTries {
		f.Label = label
		err := e.env.factors.update(ctx, f)
		if err == nil {
			f.Version++
			return e.shown(f), nil
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return Factor{}, unavailable(err)
		}
		if f, err = e.factor(ctx, id); err != nil {
			return Factor{}, err
		}
	}
	return Factor{}, unavailable(ErrConflict)
}

// RemoveFactor removes one factor. Challenges that need it can no longer be answered.
func (e *Engine) RemoveFactor(ctx context.Context, id string, a Authority) error {
	f, err := e.factor(ctx, id)
	if err != nil {
		return err
	}
	if _, err := e.authorize(ctx, f.Subject, a); err != nil {
		return err
	}
	return e.remove(ctx, f)
}

func (e *Engine) remove(ctx context.Context, f Factor) error {
	err := e.cfg.Factors.Delete(ctx, e.cfg.App, f.ID)
	if errors.Is(err, ErrNotFound) {
		return ErrUnknownFactor
	}
	if err != nil {
		return unavailable(err)
	}
	e.emit(ctx, EventFactorRemoved, &Challenge{Strategy: f.Strategy, Subject: f.Subject}, func(ev *Event) { ev.Factor = f.ID })
	return nil
}

// RemoveSubject removes everything that a subject has enrolled, and with it every answer to a challenge that needs it.
func (e *Engine) RemoveSubject(ctx context.Context, subject string, a Authority) error {
	if _, err := e.authorize(ctx, subject, a); err != nil {
		return err
	}
	factors, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return factorError(err)
	}
	for _, f := range factors {
		if err := e.remove(ctx, f); err != nil && !errors.Is(err, ErrUnknownFactor) {
			return err
		}
	}
	return nil
}
