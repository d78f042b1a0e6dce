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

// A Factor is something that a subject has enrolled: an authenticator app, a passkey, a set of recovery codes.
type Factor struct {
	ID        string // unique within the app
	Subject   string // the owner
	Strategy  string
	CreatedAt time.Time
	Version   int64 // 1 after creation; plus one with each update

	// The fields from here to CreatedBy are encrypted in the store.
	Label       string
	LastUsedAt  time.Time // zero: not used yet
	Disabled    bool      // no answer is compared with it
	Failures    int       // consecutive wrong answers, whatever their age
	LockedUntil time.Time // end of the temporary lock; zero: none
	Data        []byte    // the strategy's own: a secret, a counter, a public key; never shown
	CreatedBy   string    // challenge that enrolled it; makes the creation idempotent

	notes []note
	trust deviceTrust // of a trusted device

	Public map[string]any // the strategy's description for listings; not stored

	readAt     time.Time // by the clock of the factor store; zero: the store does not report it, or the factor is new
	sealer     *sealer
	damaged    bool  // it cannot be decrypted: it can be removed or replaced, and nothing else
	missingKey error // a *missingKeyError if damaged only means that its key is not in the keyring; else nil
}

// SealedFactor is a Factor as it is stored.
type SealedFactor struct {
	ID        string
	App       string
	Subject   string
	Strategy  string
	CreatedAt time.Time
	Version   int64     // 1 after Create
	Data      []byte    // encrypted content
	ReadAt    time.Time // the store's clock when Get or List read it, to a second or better; zero: the store does not report it
}

// Unreadable reports whether the factor cannot be decrypted. Data is empty then, and the factor can only be removed, or
// replaced by an enrolment. Usable returns whether its key is missing from the keyring.
func (f *Factor) Unreadable() bool { return f.damaged }

// fields lists the encrypted fields of a factor. The version detects that an older version was restored.
func (f *Factor) fields(version *int64) func(*codec.Codec) {
	return func(c *codec.Codec) {
		c.Number64(version)
		c.Text(&f.Label)
		c.Text(&f.CreatedBy)
		c.Moment(&f.LastUsedAt)
		c.Moment(&f.LockedUntil)
		c.Flag(&f.Disabled)
		c.Number(&f.Failures)
		c.Bytes(&f.Data)
		codec.Each(c, &f.notes, func(c *codec.Codec, n *note) { n.fields(c) })
		f.trust.fields(c)
	}
}

// factorStore reads and writes the factors of an app. It decrypts and encrypts them.
type factorStore struct {
	app     string
	store   Factors
	keyring keyring
	ids     *prf
	devices string // the strategy whose factors are trusted devices; empty: none
	log     *slog.Logger
}

// sealID returns the associated data of a factor's encryption. A factor that is moved to another app, subject, strategy or id
// does not decrypt.
func (fs *factorStore) sealID(subject, strategy, id string) string {
	out := append(make([]byte, 0, 160), "factor"...)
	for _, part := range [...]string{fs.app, subject, strategy, id} {
		out = append(binary.AppendUvarint(out, uint64(len(part))), part...)
	}
	return string(out)
}

func (fs *factorStore) list(ctx context.Context, subject, strategy string) ([]Factor, error) {
	if fs.store == nil {
		return nil, nil
	}
	stored, err := fs.store.List(ctx, fs.app, subject)
	if err != nil {
		return nil, unavailable(err)
	}
	var out []Factor
	for _, s := range stored {
		if isInternal(s.Strategy) || strategy != "" && s.Strategy != strategy {
			continue
		}
		out = append(out, fs.open(ctx, s))
	}
	return out, nil
}

func (fs *factorStore) get(ctx context.Context, id string) (Factor, error) {
	if fs.store == nil {
		return Factor{}, ErrNotFound
	}
	s, err := fs.store.Get(ctx, fs.app, id)
	if err == nil && isInternal(s.Strategy) {
		err = ErrNotFound
	}
	if err != nil {
		return Factor{}, err
	}
	return fs.open(ctx, s), nil
}

// open decrypts a factor. A damaged factor becomes a disabled one: it accepts no answer, but it still has to be protected,
// and it can be removed or replaced. The subject's other factors are not affected. The same holds for a factor whose key is
// missing; the error is in missingKey then.
func (fs *factorStore) open(ctx context.Context, s SealedFactor) Factor {
	f, err := fs.unseal(s)
	if err == nil {
		return f
	}
	fs.log.ErrorContext(ctx, "a factor's seal does not open", "factor", s.ID, "error", err)
	f = Factor{ID: s.ID, Subject: s.Subject, Strategy: s.Strategy, CreatedAt: codec.ClampTime(s.CreatedAt), Version: s.Version, Disabled: true,
		readAt: s.ReadAt, damaged: true}
	var missing *missingKeyError
	if errors.As(err, &missing) {
		f.missingKey = missing
	}
	return f
}

func (fs *factorStore) unseal(s SealedFactor) (Factor, error) {
	plain, sealer, err := fs.keyring.open(fs.sealID(s.Subject, s.Strategy, s.ID), s.Data)
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

// seal encrypts a factor as the given version: 1 for a new factor, its own version plus one for an update.
func (fs *factorStore) seal(f Factor, version int64) (SealedFactor, error) {
	plain, err := codec.Encode(f.fields(&version))
	if err != nil {
		return SealedFactor{}, err
	}
	id := fs.sealID(f.Subject, f.Strategy, f.ID)
	if f.sealer == nil || f.sealer.key != fs.keyring[0] || f.sealer.id != id {
		if f.sealer, err = fs.keyring[0].sealer(id); err != nil {
			return SealedFactor{}, err
		}
	}
	return SealedFactor{ID: f.ID, App: fs.app, Subject: f.Subject, Strategy: f.Strategy, CreatedAt: f.CreatedAt,
		Version: f.Version, Data: f.sealer.seal(plain)}, nil
}

func (fs *factorStore) create(ctx context.Context, f Factor) error {
	s, err := fs.seal(f, 1)
	if err != nil {
		return err
	}
	return fs.store.Create(ctx, s)
}

// update writes a factor by compare-and-set: ErrConflict if it was changed since it was read.
func (fs *factorStore) update(ctx context.Context, f Factor) error {
	if f.damaged {
		return fmt.Errorf("factor %s: %w", f.ID, errSeal)
	}
	s, err := fs.seal(f, f.Version+1)
	if err != nil {
		return err
	}
	return fs.store.Update(ctx, s)
}

// After every lockEvery consecutive failures a factor is temporarily locked, each time for longer, and after disableAfter
// failures it is disabled (NIST SP 800-63B-4 §3.2.2). Only a new enrolment replaces a disabled factor.
const (
	lockEvery    = 10 // consecutive failures
	firstLock    = time.Hour
	longestLock  = 12 * time.Hour
	disableAfter = 100
)

// warningFailures are the numbers of consecutive failures that send EventFactorFailing.
var warningFailures = [...]int{10, 50, 90}

// Usable returns nil if an answer to the challenge may be compared with the factor now. Otherwise it returns
// ErrFactorDisabled, ErrTooManyGuesses with RetryAfter while the factor is temporarily locked, or ErrUnavailable if its key
// is not in the keyring. The temporary lock does not apply to a trusted device, which is bounded by its own guess budget and
// by the number of consecutive failures.
func (f *Factor) Usable(c *Challenge) error {
	if f.missingKey != nil {
		return unavailable(f.missingKey)
	}
	if f.Disabled {
		return ErrFactorDisabled
	}
	if now := c.Now(); now.Before(f.LockedUntil) && !c.Client.Known {
		return &Error{Code: ErrTooManyGuesses.Code, RetryAfter: f.LockedUntil.Sub(now)}
	}
	return nil
}

// fail adds one consecutive failure.
func (f *Factor) fail(now time.Time) {
	f.Failures++
	if f.Failures%lockEvery == 0 {
		f.LockedUntil = now.UTC().Add(min(firstLock<<(f.Failures/lockEvery-1), longestLock))
	}
	f.Disabled = f.Disabled || f.Failures >= disableAfter
}

// countFailure stores one more consecutive failure of a factor by compare-and-set: ErrConflict if it was changed since it was
// read. A factor that was removed is ignored.
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
	if slices.Contains(warningFailures[:], f.Failures) {
		e.emit(ctx, EventFactorFailing, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
	}
	if f.Failures == disableAfter {
		e.emit(ctx, EventFactorDisabled, &rec.Challenge, func(ev *Event) { ev.Factor = f.ID })
	}
	return nil
}
