package watchword

import (
	"context"
	"errors"
	"fmt"
)

// A FactorPager hands out all factors of an app in the order of their ids, those after the given one, at most limit.
// Stores of factors implement it so that keys can be rotated.
type FactorPager interface {
	Page(ctx context.Context, app, after string, limit int) ([]SealedFactor, error)
}

// resealPage is how many factors are read at a time.
const resealPage = 200

// Reseal seals under the first key of the ring what older keys sealed, while everything goes on. It tells how far it got
// now and then, and may be interrupted and run again. A factor whose seal does not open is left as it is and named in
// the error, after all others were done. When it has returned nil, and every node has the new first key,
// and the longest challenge is over, an older key may leave the ring.
func (e *Engine) Reseal(ctx context.Context, progress func(seen, resealed int)) error {
	seen, resealed, told := 0, 0, 0
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
			told = seen
			progress(seen, resealed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if seen > told {
		progress(seen, resealed)
	}
	return errors.Join(damaged...)
}

// resealOne leaves alone what is sealed by the first key already; what somebody changes meanwhile is sealed by it anyway.
func (e *Engine) resealOne(ctx context.Context, s SealedFactor) (bool, error) {
	v := e.env.factors
	_, sealer, err := v.keyring.open(v.sealID(s.Subject, s.Strategy, s.ID), s.Data)
	if err != nil || sealer.key == v.keyring[0] {
		return false, err
	}
	f, err := v.unseal(s)
	if err != nil {
		return false, err
	}
	err = v.update(ctx, f)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(err)
	}
	return true, nil
}

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
