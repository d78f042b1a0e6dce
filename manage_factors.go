package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ListFactors returns the factors of a subject, the oldest first, without their Data. It leaves out trusted devices whose lifetime is
// over, and those that were trusted by an answer of a factor that was removed or replaced.
func (e *Engine) ListFactors(ctx context.Context, subject string) ([]Factor, error) {
	factors, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return nil, factorError(err)
	}
	out := make([]Factor, 0, len(factors))
	for i := range factors {
		if !e.isDevice(&factors[i]) || !e.isObsolete(&factors[i], factors) {
			out = append(out, e.withoutSecrets(factors[i]))
		}
	}
	return out, nil
}

// withoutSecrets returns a factor for callers: without Data and with its description.
func (e *Engine) withoutSecrets(f Factor) Factor {
	if d, ok := e.strategies[f.Strategy].(Describer); ok && !f.damaged {
		f.Public = d.Describe(f)
	}
	if f.missingKey != nil {
		f.Disabled = false // its key is missing, which is no reason to remove it
	}
	f.Data, f.sealer = nil, nil
	return f
}

// GetFactor returns a factor of the app without its Data; ErrUnknownFactor if there is none.
func (e *Engine) GetFactor(ctx context.Context, id string) (Factor, error) {
	f, err := e.readFactor(ctx, id)
	if err != nil {
		return Factor{}, err
	}
	return e.withoutSecrets(f), nil
}

func (e *Engine) readFactor(ctx context.Context, id string) (Factor, error) {
	f, err := e.env.factors.get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Factor{}, ErrUnknownFactor
	}
	if err != nil {
		return Factor{}, unavailable(err)
	}
	return f, nil
}

// ImportFactor stores a factor that a strategy's Import made from data of another system. It is idempotent. It needs the same
// authority as an enrolment.
func (e *Engine) ImportFactor(ctx context.Context, f Factor, a Authority) error {
	if _, enrols := e.strategies[f.Strategy].(Enroller); !enrols || e.cfg.Factors == nil {
		return invalid("strategy", "nothing can be enrolled with it")
	}
	switch {
	case f.Subject == "" || f.ID == "":
		return invalid("subject", "is required, and so is an id")
	case !isSubject(f.Subject):
		return invalid("subject", subjectReason)
	case !isLegibleText(f.Label, maxText):
		return invalid("label", illegibleReason)
	}
	f.CreatedAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
	err := e.changeFactors(ctx, f.Subject, a, func(set *factorSet) error {
		if err := checkFactorLimit(set.others("")); err != nil && !set.contains(f.ID) {
			return err
		}
		return e.env.factors.create(ctx, f)
	}, pendingFactor{factor: f.ID, strategy: f.Strategy})
	if errors.Is(err, ErrExists) {
		existing, err := e.readFactor(ctx, f.ID)
		if err == nil && (existing.Subject != f.Subject || existing.Strategy != f.Strategy) {
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

// RenameFactor changes a factor's label and returns the factor without its Data.
func (e *Engine) RenameFactor(ctx context.Context, id, label string, a Authority) (Factor, error) {
	if !isLegibleText(label, maxText) {
		return Factor{}, invalid("label", illegibleReason)
	}
	f, err := e.readFactor(ctx, id)
	if err != nil {
		return Factor{}, err
	}
	err = e.changeFactors(ctx, f.Subject, a, func(*factorSet) error {
		f, err = e.renameFactor(ctx, f, label)
		return err
	})
	return f, err
}

func (e *Engine) renameFactor(ctx context.Context, f Factor, label string) (Factor, error) {
	id := f.ID
	for range maxConflictRetries {
		f.Label = label
		err := e.env.factors.update(ctx, f)
		if err == nil {
			f.Version++
			return e.withoutSecrets(f), nil
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return Factor{}, unavailable(err)
		}
		if f, err = e.readFactor(ctx, id); err != nil {
			return Factor{}, err
		}
	}
	return Factor{}, unavailable(ErrConflict)
}

// RemoveFactor removes a factor. Challenges that need it cannot be answered any more.
func (e *Engine) RemoveFactor(ctx context.Context, id string, a Authority) error {
	f, err := e.readFactor(ctx, id)
	if err != nil {
		return err
	}
	err = e.changeFactors(ctx, f.Subject, a, func(*factorSet) error { return e.removeFactor(ctx, f) })
	if err == nil {
		e.pruneDevicesLater(ctx, &f)
	}
	return err
}

// removeFactor removes a factor. It first cancels the challenge that enrolled it, if that is pending, so that the challenge
// does not create the factor again.
func (e *Engine) removeFactor(ctx context.Context, f Factor) error {
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

// RemoveSubject removes all factors of a subject. Challenges that need them cannot be answered any more.
func (e *Engine) RemoveSubject(ctx context.Context, subject string, a Authority) error {
	return e.changeFactors(ctx, subject, a, func(*factorSet) error {
		if err := e.recordRemoval(ctx, subject); err != nil {
			return err
		}
		// A factor may have been created since the set was read; after recordRemoval none is.
		for range maxConflictRetries {
			set, err := e.env.factors.readSet(ctx, subject, e.cfg.Clock())
			if err != nil {
				return err
			}
			for _, f := range set.factors {
				if err := e.removeFactor(ctx, f); err != nil && !errors.Is(err, ErrUnknownFactor) {
					return err
				}
			}
			if len(set.factors) == 0 {
				return e.removeSet(ctx, subject)
			}
		}
		return unavailable(fmt.Errorf("a subject's factors kept changing: %w", ErrConflict))
	})
}

// removeSet removes the entry of a subject's set, and with it the generation that open enrolments depend on.
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

// endEnrolment cancels an enrolment if it is pending.
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
