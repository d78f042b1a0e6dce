package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// A Factor is what a subject has enrolled: an authenticator app, a passkey, a set of recovery codes.
type Factor struct {
	ID        string
	Subject   string
	Strategy  string
	CreatedAt time.Time
	Version   int64

	// What follows is sealed.
	Label      string
	LastUsedAt time.Time
	Disabled   bool
	Failures   int       // consecutive, whatever their age
	WaitUntil  time.Time // after many failures: nothing is compared before
	Data       []byte    // the strategy's own: secret, last step, public key; never shown
	CreatedBy  string    // the challenge that enrolled it, which makes creating idempotent

	notes []note

	Public map[string]any // what its strategy says of it in listings; not stored

	readAt  time.Time // by the clock of the store of factors; zero: it does not say, or the factor is new
	sealer  *sealer
	damaged bool  // its seal does not open: it can be removed or replaced, and nothing else
	keyless error // why, if it is only that its key is not in the keyring
}

// Unreadable reports whether the factor's seal does not open: then Data is empty, and the factor can be removed, or replaced
// by an enrolment, and nothing else. Usable says whether the server is at fault.
func (f *Factor) Unreadable() bool { return f.damaged }

// fields lists a factor's sealed part. The version is there to tell an older one from the one that is stored.
func (f *Factor) fields(version *int64) func(*codec.Codec) {
	return func(c *codec.Codec) {
		c.Number64(version)
		c.Text(&f.Label)
		c.Text(&f.CreatedBy)
		c.Moment(&f.LastUsedAt)
		c.Moment(&f.WaitUntil)
		c.Flag(&f.Disabled)
		c.Number(&f.Failures)
		c.Bytes(&f.Data)
		codec.Each(c, &f.notes, func(n *note) { n.fields(c) })
	}
}

// factorStore is an app's factors, opened and sealed on the way.
type factorStore struct {
	app     string
	store   Factors
	keyring keyring
	ids     *prf
	log     *slog.Logger
}

// sealID is the associated data of a factor's seal: moved to another app, subject, strategy or id it does not open.
func (v *factorStore) sealID(subject, strategy, id string) string {
	out := append(make([]byte, 0, 160), "factor"...)
	for _, part := range [...]string{v.app, subject, strategy, id} {
		out = append(binary.AppendUvarint(out, uint64(len(part))), part...)
	}
	return string(out)
}

func (v *factorStore) list(ctx context.Context, subject, strategy string) ([]Factor, error) {
	if v.store == nil {
		return nil, nil
	}
	stored, err := v.store.List(ctx, v.app, subject)
	if err != nil {
		return nil, unavailable(err)
	}
	var out []Factor
	for _, s := range stored {
		if isInternal(s.Strategy) || strategy != "" && s.Strategy != strategy {
			continue
		}
		out = append(out, v.open(ctx, s))
	}
	return out, nil
}

func (v *factorStore) get(ctx context.Context, id string) (Factor, error) {
	if v.store == nil {
		return Factor{}, ErrNotFound
	}
	s, err := v.store.Get(ctx, v.app, id)
	if err == nil && isInternal(s.Strategy) {
		err = ErrNotFound
	}
	if err != nil {
		return Factor{}, err
	}
	return v.open(ctx, s), nil
}

// open unseals a factor. One that was damaged is disabled: it answers nothing and still has to be protected, but its subject
// goes on with the others, and it can be removed or replaced. So is one whose key is not in the ring, but that is the
// server's fault, and whoever needs it hears so.
func (v *factorStore) open(ctx context.Context, s SealedFactor) Factor {
	f, err := v.unseal(s)
	if err == nil {
		return f
	}
	v.log.ErrorContext(ctx, "a factor's seal does not open", "app", v.app, "factor", s.ID, "error", err)
	f = Factor{ID: s.ID, Subject: s.Subject, Strategy: s.Strategy, CreatedAt: codec.ClampTime(s.CreatedAt), Version: s.Version, Disabled: true,
		readAt: s.ReadAt, damaged: true}
	var missing *missingKeyError
	if errors.As(err, &missing) {
		f.keyless = missing
	}
	return f
}

func (v *factorStore) unseal(s SealedFactor) (Factor, error) {
	plain, sealer, err := v.keyring.open(v.sealID(s.Subject, s.Strategy, s.ID), s.Data)
	if err != nil {
		return Factor{}, fmt.Errorf("factor %s: %w", s.ID, err)
	}
	f := Factor{ID: s.ID, Subject: s.Subject, Strategy: s.Strategy, CreatedAt: codec.ClampTime(s.CreatedAt), Version: s.Version,
		readAt: s.ReadAt, sealer: sealer}
	var version int64
	if err := codec.Decode(plain, f.fields(&version)); err != nil {
		return Factor{}, fmt.Errorf("factor %s: %w", s.ID, err)
	}
	if version != s.Version {
		return Factor{}, fmt.Errorf("factor %s: version %d is sealed as %d: %w", s.ID, s.Version, version, errSeal)
	}
	return f, nil
}

// seal prepares a factor for the given version: 1 to create it, its own plus one to update it.
func (v *factorStore) seal(f Factor, version int64) (SealedFactor, error) {
	plain, err := codec.Encode(f.fields(&version))
	if err != nil {
		return SealedFactor{}, err
	}
	id := v.sealID(f.Subject, f.Strategy, f.ID)
	if f.sealer == nil || f.sealer.key != v.keyring[0] || f.sealer.id != id {
		if f.sealer, err = v.keyring[0].sealer(id); err != nil {
			return SealedFactor{}, err
		}
	}
	return SealedFactor{ID: f.ID, App: v.app, Subject: f.Subject, Strategy: f.Strategy, CreatedAt: f.CreatedAt,
		Version: f.Version, Data: f.sealer.seal(plain)}, nil
}

func (v *factorStore) create(ctx context.Context, f Factor) error {
	s, err := v.seal(f, 1)
	if err != nil {
		return err
	}
	return v.store.Create(ctx, s)
}

// update is compare-and-set: ErrConflict if somebody changed the factor since it was read.
func (v *factorStore) update(ctx context.Context, f Factor) error {
	if f.damaged {
		return fmt.Errorf("factor %s: %w", f.ID, errSeal)
	}
	s, err := v.seal(f, f.Version+1)
	if err != nil {
		return err
	}
	return v.store.Update(ctx, s)
}

// A factor that is guessed at waits ever longer and is then disabled for good (NIST SP 800-63B-4 §3.2.2); only
// enrolling again helps.
const (
	waitEvery    = 10 // consecutive failures
	firstWait    = time.Hour
	longestWait  = 12 * time.Hour
	disableAfter = 100
)

// warnAt are the numbers of consecutive failures that the app hears of.
var warnAt = [...]int{10, 50, 90}

// Usable says whether an answer to the challenge may be compared with the factor now: ErrFactorDisabled, or
// ErrTooManyGuesses with RetryAfter while it is temporarily locked, or ErrUnavailable if the key that it was sealed under is
// not in the keyring. The temporary lock slows strangers down; a device that
// the app recognises is bounded by its own guess budget and by the number of consecutive failures, and is not locked out.
func (f *Factor) Usable(c *Challenge) error {
	if f.keyless != nil {
		return unavailable(f.keyless)
	}
	if f.Disabled {
		return ErrFactorDisabled
	}
	if now := c.Now(); now.Before(f.WaitUntil) && !c.Client.Known {
		return &Error{Code: ErrTooManyGuesses.Code, RetryAfter: f.WaitUntil.Sub(now)}
	}
	return nil
}

// fail counts one more consecutive failure.
func (f *Factor) fail(now time.Time) {
	f.Failures++
	if f.Failures%waitEvery == 0 {
		f.WaitUntil = now.UTC().Add(min(firstWait<<(f.Failures/waitEvery-1), longestWait))
	}
	f.Disabled = f.Disabled || f.Failures >= disableAfter
}

// countFailure stores one more consecutive failure of a factor, by compare-and-set: ErrConflict if somebody changed it
// since it was read. A factor that is gone does not fail.
func (e *Engine) countFailure(ctx context.Context, rec *record, f Factor) error {
	f.fail(e.cfg.Clock())
	err := e.env.factors.update(ctx, f)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrConflict):
		return err
	case err != nil:
		return unavailable(err)
	}
	if slices.Contains(warnAt[:], f.Failures) {
		e.emit(ctx, EventFactorFailing, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
	}
	if f.Failures == disableAfter {
		e.emit(ctx, EventFactorDisabled, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
	}
	return nil
}
