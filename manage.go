package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// freshProof is how old a manage_factors receipt may be.
const freshProof = 5 * time.Minute

// An Authority is why somebody may change what a subject has enrolled: the claims of a manage_factors receipt, whose
// signature was verified, or that the app vouches for it by other means.
type Authority struct {
	Claims *Claims
	Admin  bool
	Seed   []byte // of the request: with the same one the receipt may be spent again
}

// admin is stronger than any proof.
const admin = 1 << 10

// maxFactors of one subject can be enrolled: all of them are read whenever the subject is asked for one.
const maxFactors = 50

// hasRoom refuses another factor before anything is spent for it.
func hasRoom(factors []Factor) error {
	if len(factors) >= maxFactors {
		return invalid("subject", "has as many factors as can be kept; remove one first")
	}
	return nil
}

// authorize spends the authority to change a subject's factors; none is needed where nothing is enrolled. The proof must
// be at least as strong as the strongest active factor; recovery codes are there to replace any of them. A proof that was
// earned by a factor is worth nothing when that factor is gone.
func (e *Engine) authorize(ctx context.Context, set *factorSet, a Authority) (enrolment, error) {
	allowed := enrolment{Life: set.life}
	factors := set.others("")
	if a.Admin {
		e.log.InfoContext(ctx, "factors are changed on the app's own authority", "app", e.cfg.App)
		allowed.Proof = admin
		return allowed, nil
	}
	if len(factors) == 0 {
		return allowed, nil
	}
	c := a.Claims
	if c == nil || c.Purpose != PurposeManageFactors || c.Subject != set.subject || e.cfg.Clock().Sub(time.Unix(c.AuthTime, 0)) > freshProof {
		return allowed, ErrProofRequired
	}
	if allowed.Proof = e.strength(c.Strategy); !e.suffices(allowed.Proof, factors) {
		return allowed, ErrProofRequired
	}
	err := e.spendReceipt(ctx, *c, a.Seed, func(rec *record) error {
		if rec.Claims != nil { // evaluated by the strategy, and so earned by a factor
			allowed.Factor, allowed.FactorOf = rec.Factor, rec.FactorOf
		}
		return e.stillEarned(ctx, set, allowed, rec.CreatedAt)
	})
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = ErrProofRequired
	}
	return allowed, err
}

// stillEarned refuses what was allowed by a factor that is not active any more, or before the subject was removed.
func (e *Engine) stillEarned(ctx context.Context, set *factorSet, allowed enrolment, began time.Time) error {
	if allowed.Factor != "" {
		f := set.find(allowed.Factor)
		if f == nil || f.Disabled || f.CreatedBy != allowed.FactorOf {
			return ErrProofRequired
		}
	}
	removed, err := e.removedSince(ctx, set.subject, began)
	if err == nil && removed {
		err = ErrProofRequired
	}
	return err
}

// changeFactors authorizes a change of what a subject has enrolled, once, and makes it: the set is brought to a new
// version first, so that the change is of the set that was looked at.
func (e *Engine) changeFactors(ctx context.Context, subject string, a Authority, change func(*factorSet) error, add ...addition) error {
	authorized := false
	var allowed enrolment
	for range casTries {
		set, err := e.env.factors.set(ctx, subject, e.cfg.Clock())
		if err != nil {
			return err
		}
		if !authorized {
			if allowed, err = e.authorize(ctx, set, a); err != nil {
				return err
			}
			authorized = true
		} else if !e.suffices(allowed.Proof, set.others("")) {
			return ErrProofRequired
		}
		if set.entry != nil || len(set.factors)+len(add) > 0 {
			err = e.bump(ctx, set, add...)
		}
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return change(set)
	}
	return unavailable(fmt.Errorf("a subject's factors kept changing: %w", ErrConflict))
}

// bump brings a set to a new version; if it has no life yet it gets one that no other has had.
func (e *Engine) bump(ctx context.Context, set *factorSet, add ...addition) error {
	life, err := e.random(randomSize)
	if err != nil {
		return err
	}
	return e.env.factors.bump(ctx, set, string(life), add...)
}

// suffices compares a proof with what is active.
func (e *Engine) suffices(proof int, factors []Factor) bool {
	return proof == StrengthRecovery || proof >= e.strongest(factors)
}

// overtaken reports whether what allowed an enrolment to begin would not allow it any more: something stronger has become
// active, the factor that earned the proof is gone, or the subject was removed meanwhile.
func (e *Engine) overtaken(ctx context.Context, rec *record, set *factorSet) error {
	if err := e.outlived(ctx, rec, set); err != nil {
		return err
	}
	others := set.others(rec.ID)
	if !e.suffices(rec.Enrolment.Proof, others) {
		return ErrProofRequired
	}
	return hasRoom(others)
}

// outlived refuses an enrolment whose authority is gone. A set that the challenge itself has begun is named after it; an
// app that vouches for an enrolment where nothing was enrolled vouches for it beside others too.
func (e *Engine) outlived(ctx context.Context, rec *record, set *factorSet) error {
	began := rec.Enrolment.Life
	own := began == "" && (set.life == rec.ID || rec.Enrolment.Proof == admin)
	if began != set.life && !own {
		return ErrProofRequired
	}
	return e.stillEarned(ctx, set, rec.Enrolment, rec.CreatedAt)
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
	f.CreatedAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
	err := e.changeFactors(ctx, f.Subject, a, func(set *factorSet) error {
		if err := hasRoom(set.others("")); err != nil && !set.has(f.ID) {
			return err
		}
		return e.env.factors.create(ctx, f)
	}, addition{factor: f.ID, strategy: f.Strategy})
	if errors.Is(err, ErrExists) {
		before, err := e.factor(ctx, f.ID)
		if err == nil && (before.Subject != f.Subject || before.Strategy != f.Strategy) {
			err = invalid("id", "is another factor's")
		}
		return err
	}
	if err != nil {
		return factorError(err)
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
	err = e.changeFactors(ctx, f.Subject, a, func(*factorSet) error {
		f, err = e.rename(ctx, f, label)
		return err
	})
	return f, err
}

func (e *Engine) rename(ctx context.Context, f Factor, label string) (Factor, error) {
	id := f.ID
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
	return e.changeFactors(ctx, f.Subject, a, func(*factorSet) error { return e.remove(ctx, f) })
}

// remove ends the challenge that enrolled the factor, if it is still open, so that it does not create the factor again.
func (e *Engine) remove(ctx context.Context, f Factor) error {
	if err := e.endEnrolment(ctx, f.CreatedBy); err != nil {
		return err
	}
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
	return e.changeFactors(ctx, subject, a, func(set *factorSet) error {
		if err := e.rememberRemoval(ctx, subject); err != nil {
			return err
		}
		for _, f := range set.factors {
			if err := e.remove(ctx, f); err != nil && !errors.Is(err, ErrUnknownFactor) {
				return err
			}
		}
		return e.removeSet(ctx, subject)
	})
}

// removeSet removes the entry of a subject's set, and with it the life that open enrolments began in.
func (e *Engine) removeSet(ctx context.Context, subject string) error {
	if e.cfg.Factors == nil {
		return nil
	}
	err := e.cfg.Factors.Delete(ctx, e.cfg.App, e.env.factors.setID(subject))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return nil
}

// endEnrolment cancels an enrolment that is still open.
func (e *Engine) endEnrolment(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	_, err := e.Cancel(ctx, id)
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}
