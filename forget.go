package watchword

import (
	"context"
	"errors"
)

// ForgetKey removes everything of the app that was sealed under a key which is lost, since nobody can open it any more, and
// returns how many factors that were. People then enrol again, without a proof where nothing else is enrolled. A key that
// is in the keyring is refused. It may be interrupted and run again.
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

// eachSealed hands out everything that the app keeps in its store of factors, the engine's own rows included.
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
