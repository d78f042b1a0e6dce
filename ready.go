package watchword

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Fault is the reason why a part of an engine does not work. It contains no secret and no text of a server.
type Fault struct {
	Part   string // challenges, factors, limits, messages, or a name of Config.Dependencies
	Reason string
}

// A partError is the error of one part.
type partError struct {
	part  string
	cause error
}

// Error returns the part and the cause.
func (e *partError) Error() string { return e.part + ": " + e.cause.Error() }

// Unwrap returns the cause.
func (e *partError) Unwrap() error { return e.cause }

// Ping tests every part that may be unavailable, with the same operations that requests use. It also tests whether the
// keyring has every key that has encrypted an enrolled factor. Nil means that challenges can be started and checked.
// Otherwise the error is ErrUnavailable with Faults. Parts behind a network are tested at most once a second.
func (e *Engine) Ping(ctx context.Context) error {
	parts := e.parts()
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

// A testedPart is a part of an engine that may be unavailable, and its test.
type testedPart struct {
	name string
	try  func(context.Context) error
}

// parts returns what Ping tests, always in the same order.
func (e *Engine) parts() []testedPart {
	parts := []testedPart{
		{"challenges", pingOf(e.cfg.Store)},
		{"limits", pingOf(e.cfg.Starts)},
		{"limits", pingOf(e.cfg.Checks)},
		{"factors", e.pingFactors},
		{"messages", e.workers.ping},
	}
	for _, name := range slices.Sorted(maps.Keys(e.cfg.Dependencies)) {
		parts = append(parts, testedPart{name, e.cfg.Dependencies[name].Ping})
	}
	return parts
}

// pingOf returns the Ping method of a part; for a part without one, a function that returns nil.
func pingOf(part any) func(context.Context) error {
	if p, ok := part.(Pinger); ok {
		return p.Ping
	}
	return func(context.Context) error { return nil }
}

// pingFactors tests the factor store, and then whether its factors can be decrypted.
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
		var partErr *partError
		if errors.As(err, &partErr) {
			faults = append(faults, Fault{Part: partErr.part, Reason: reasonOf(partErr.cause)})
		}
	}
	return faults
}

// reasonOf returns the public reason of an error, as Pinger describes.
func reasonOf(err error) string {
	var withReason interface{ Reason() string }
	switch {
	case errors.As(err, &withReason):
		return withReason.Reason()
	case errors.Is(err, context.DeadlineExceeded):
		return "does not answer in time"
	}
	return "cannot be used"
}

// keyStrategy is the strategy of the rows of the factor store that record which keys the app has encrypted with. There is one
// row for each key that was active, encrypted with it and without a subject. No strategy may have this name.
const keyStrategy = "sealing_key"

// isInternal reports whether rows of this strategy belong to the engine and are no factors.
func isInternal(strategy string) bool {
	return strategy == setStrategy || strategy == keyStrategy || strategy == verificationStrategy
}

// keyRowID returns the id of a key's row.
func (fs *factorStore) keyRowID(key string) string {
	sum := fs.ids.sum("sealing key", fs.app, key)
	return "sk_" + b64.EncodeToString(sum[:16])
}

// checkKeys tests whether the keyring has all keys that were recorded, and records its active key.
func (e *Engine) checkKeys(ctx context.Context) error {
	fs := e.env.factors
	rows, err := fs.store.List(ctx, fs.app, "")
	if err != nil {
		return err
	}
	ownRow, recorded := fs.keyRowID(fs.keyring[0].id), false
	var faults []error
	for _, s := range rows {
		if s.Strategy != keyStrategy {
			continue
		}
		f, err := fs.unseal(s)
		switch {
		case err != nil:
			faults = append(faults, &keyFault{err})
		case s.ID == ownRow && f.sealer.key != fs.keyring[0]: // from a rotation that was taken back
			err = fs.update(ctx, f)
		}
		if recorded = recorded || s.ID == ownRow; err != nil && !errors.Is(err, errSeal) && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if len(faults) > 0 || recorded {
		return errors.Join(faults...)
	}
	err = fs.create(ctx, Factor{ID: ownRow, Strategy: keyStrategy, CreatedAt: e.cfg.Clock().UTC().Truncate(time.Millisecond)})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// A keyFault means that the keyring cannot decrypt what was encrypted for this app.
type keyFault struct{ cause error }

// Error returns the id of the missing key or of the row, for logs.
func (f *keyFault) Error() string {
	var missing *missingKeyError
	if errors.As(f.cause, &missing) {
		return missing.Error()
	}
	return fmt.Sprintf("%s: %v", f.Reason(), f.cause)
}

// Unwrap returns the cause.
func (f *keyFault) Unwrap() error { return f.cause }

// Reason returns a text without the id of the key.
func (f *keyFault) Reason() string {
	var missing *missingKeyError
	if errors.As(f.cause, &missing) {
		return "a key that something was sealed under is not in the keyring"
	}
	return "a key of the keyring does not open what was sealed under it"
}

// AwaitBackground returns when the engine does nothing in the background, or with the context's error when the context ends before. A
// program calls it after its last other call of the engine. What is lost otherwise counts as done all the same, or is done later.
func (e *Engine) AwaitBackground(ctx context.Context) error { return e.background.Wait(ctx) }
