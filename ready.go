package watchword

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Fault is something that keeps an engine from working, in words that hold no secret and nothing that a server said.
type Fault struct {
	Part   string // challenges, factors or limits
	Reason string
}

// partError is the error of one part.
type partError struct {
	part  string
	cause error
}

// Error names the part.
func (e *partError) Error() string { return e.part + ": " + e.cause.Error() }

// Unwrap is the cause.
func (e *partError) Unwrap() error { return e.cause }

// Ping tries every part that can be out of reach, as requests use them, and looks whether the keyring has each key that
// something enrolled was sealed under. A nil error means that challenges can be started and checked; else it is
// ErrUnavailable with Faults. Parts that are behind a network run their probe at most once a second, whoever asks.
func (e *Engine) Ping(ctx context.Context) error {
	parts := []struct {
		name string
		try  func(context.Context) error
	}{
		{"challenges", pingOf(e.cfg.Store)},
		{"limits", pingOf(e.cfg.Starts)},
		{"limits", pingOf(e.cfg.Checks)},
		{"factors", e.pingFactors},
	}
	failed := make([]error, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() {
			if err := p.try(ctx); err != nil {
				failed[i] = &partError{p.name, err}
			}
		})
	}
	all.Wait()
	cause := errors.Join(failed...)
	if cause == nil {
		return nil
	}
	return &Error{Code: ErrUnavailable.Code, Cause: cause, Faults: faultsOf(failed)}
}

// pingOf is a part's Ping, if it has one.
func pingOf(part any) func(context.Context) error {
	if p, ok := part.(Pinger); ok {
		return p.Ping
	}
	return func(context.Context) error { return nil }
}

// pingFactors tries the store of factors, and then whether what is there can be opened.
func (e *Engine) pingFactors(ctx context.Context) error {
	if e.cfg.Factors == nil {
		return nil
	}
	if err := pingOf(e.cfg.Factors)(ctx); err != nil {
		return err
	}
	return e.keys.Run(ctx, e.checkKeys)
}

func faultsOf(failed []error) (faults []Fault) {
	for _, err := range failed {
		var of *partError
		if errors.As(err, &of) {
			faults = append(faults, Fault{Part: of.part, Reason: reasonOf(of.cause)})
		}
	}
	return faults
}

// reasonOf is what an error says for everybody, as Pinger explains.
func reasonOf(err error) string {
	var plain interface{ Reason() string }
	switch {
	case errors.As(err, &plain):
		return plain.Reason()
	case errors.Is(err, context.DeadlineExceeded):
		return "does not answer in time"
	}
	return "cannot be used"
}

// keyStrategy is that of the rows in the store of factors by which an engine knows under which keys its app has sealed
// something: one for each key that was the first of a keyring, sealed under it, of no subject. No strategy can be called that.
const keyStrategy = "sealing_key"

// isInternal reports whether rows of this strategy are the engine's own, and nothing that a subject has enrolled.
func isInternal(strategy string) bool { return strategy == setStrategy || strategy == keyStrategy }

// keyRowID names the row of a key.
func (v *factorStore) keyRowID(key string) string {
	sum := v.ids.sum("sealing key", v.app, key)
	return "sk_" + b64.EncodeToString(sum[:16])
}

// checkKeys looks whether the keyring opens what it must, and leaves a row of its own first key.
func (e *Engine) checkKeys(ctx context.Context) error {
	v := e.env.factors
	rows, err := v.store.List(ctx, v.app, "")
	if err != nil {
		return err
	}
	own, noted := v.keyRowID(v.keyring[0].id), false
	var faults []error
	for _, s := range rows {
		if s.Strategy != keyStrategy {
			continue
		}
		f, err := v.unseal(s)
		switch {
		case err != nil:
			faults = append(faults, &keyFault{err})
		case s.ID == own && f.sealer.key != v.keyring[0]: // from a rotation that was taken back
			err = v.update(ctx, f)
		}
		if noted = noted || s.ID == own; err != nil && !errors.Is(err, errSeal) && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if len(faults) > 0 || noted {
		return errors.Join(faults...)
	}
	err = v.create(ctx, Factor{ID: own, Strategy: keyStrategy, CreatedAt: e.cfg.Clock().UTC().Truncate(time.Millisecond)})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// A keyFault says that the keyring does not open what was sealed for this app.
type keyFault struct{ cause error }

// Error names the key, for logs, or the row that was sealed under it.
func (f *keyFault) Error() string {
	var missing *missingKeyError
	if errors.As(f.cause, &missing) {
		return missing.Error()
	}
	return fmt.Sprintf("%s: %v", f.Reason(), f.cause)
}

// Unwrap is the cause.
func (f *keyFault) Unwrap() error { return f.cause }

// Reason names no key.
func (f *keyFault) Reason() string {
	var missing *missingKeyError
	if errors.As(f.cause, &missing) {
		return "a key that something was sealed under is not in the keyring"
	}
	return "a key of the keyring does not open what was sealed under it"
}
