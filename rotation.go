package watchword

import (
	"context"
	"errors"
	"fmt"
)

// A FactorPager is a factor store that lists all factors of an app. Key rotation needs it.
type FactorPager interface {
	// Page returns the factors of an app in the order of their ids, those after the given id, at most limit.
	Page(ctx context.Context, app, after string, limit int) ([]SealedFactor, error)
}

// resealPage is the number of factors that are read at a time.
const resealPage = 200

// Reseal encrypts again, with the active key, the factors that older keys have encrypted. It can run while the engine
// serves requests, and it can be interrupted and run again. It calls progress, which must not be nil, after every 200
// factors and at the end. It skips factors that cannot be decrypted and returns an error that names them.
//
// An older key may be removed from the keyring when Reseal has returned nil, every node has the new active key, and all
// challenges that were started under the older key are over.
func (e *Engine) Reseal(ctx context.Context, progress func(seen, resealed int)) error {
	seen, resealed, reported := 0, 0, 0
	var damaged []error
	err := e.eachSealed(ctx, func(s SealedFactor) error {
		changed, err := e.resealOne(ctx, s)
		switch {
		case errors.Is(err, errSeal):
			damaged = append(damaged, fmt.Errorf("factor %s: %w", s.ID, err))
		case err != nil:
			return err
		case changed && !isInternal(s.Strategy):
			resealed++
		}
		if isInternal(s.Strategy) {
			return nil
		}
		if seen++; seen%resealPage == 0 {
			reported = seen
			progress(seen, resealed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if seen > reported {
		progress(seen, resealed)
	}
	return errors.Join(damaged...)
}

// resealOne encrypts one factor again. It skips a factor that the active key encrypted, and one that is changed meanwhile,
// because the change encrypts it with the active key.
func (e *Engine) resealOne(ctx context.Context, s SealedFactor) (bool, error) {
	fs := e.env.factors
	_, sealer, err := fs.keyring.open(fs.sealID(s.Subject, s.Strategy, s.ID), s.Data)
	if err != nil || sealer.key == fs.keyring[0] {
		return false, err
	}
	f, err := fs.unseal(s)
	if err != nil {
		return false, err
	}
	err = fs.update(ctx, f)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(err)
	}
	return true, nil
}

// ForgetKey removes everything of the app that was encrypted with a lost key, and returns the number of removed factors.
// Subjects then enrol again, without a proof if they have no other factors. It returns an error for a key that is in the
// keyring. It can be interrupted and run again.
func (e *Engine) ForgetKey(ctx context.Context, id string) (removed int, err error) {
	for _, k := range e.keyring {
		if k.id == id {
			return 0, errors.New("watchword: a key that is in the keyring is not lost")
		}
	}
	err = e.eachSealed(ctx, func(s SealedFactor) error {
		var missing *missingKeyError
		if _, err := e.env.factors.unseal(s); !errors.As(err, &missing) || missing.id != id {
			return nil
		}
		if err := e.cfg.Factors.Delete(ctx, e.cfg.App, s.ID); err != nil {
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return unavailable(err)
		}
		if !isInternal(s.Strategy) {
			removed++
			e.emit(ctx, EventFactorRemoved, &Challenge{Strategy: s.Strategy, Subject: s.Subject}, func(ev *Event) { ev.Factor = s.ID })
		}
		return nil
	})
	return removed, err
}

// eachSealed calls do for each row of the app in the factor store, the engine's own rows included.
func (e *Engine) eachSealed(ctx context.Context, do func(SealedFactor) error) error {
	pager, ok := e.cfg.Factors.(FactorPager)
	if !ok {
		return errors.New("watchword: this store of factors cannot list them all")
	}
	for after := ""; ; {
		page, err := pager.Page(ctx, e.cfg.App, after, resealPage)
		if err != nil {
			return unavailable(err)
		}
		for _, s := range page {
			if err := do(s); err != nil {
				return err
			}
			after = s.ID
		}
		if len(page) < resealPage {
			return nil
		}
	}
}
