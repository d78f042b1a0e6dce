package watchword

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
	"github.com/watchword-auth/watchword/internal/setting"
)

// TrustedDevices are the settings of devices that stay trusted after a verification. A device is a token in a cookie of the app. It
// proves that somebody has this cookie, and nothing more.
type TrustedDevices struct {
	// Purposes are those that a trusted device answers by itself: at least one, and never PurposeEnrol, PurposeManageFactors or
	// PurposePasswordReset.
	Purposes []string
	// Lifetime is how long a device stays trusted, from an hour to a year; by default 30 days.
	Lifetime time.Duration
}

const (
	defaultTrust  = 30 * 24 * time.Hour
	shortestTrust = time.Hour
	longestTrust  = 365 * 24 * time.Hour
	maxDevices    = 20          // of a subject; the oldest ones are removed
	useRecorded   = time.Minute // uses within it are recorded once
)

// deviceTrust is the engine's part of a trusted device, encrypted with its factor.
type deviceTrust struct {
	since            time.Time // when the device became trusted
	earnedBy         string    // id of the factor whose answer earned the trust; empty: none
	earnerEnrolledBy string    // challenge that enrolled that factor; ids of factors may be used again
}

func (d *deviceTrust) fields(c *codec.Codec) {
	c.Moment(&d.since)
	c.Text(&d.earnedBy)
	c.Text(&d.earnerEnrolledBy)
}

// invalidTrustedDevices returns the problems of Config.TrustedDevices, after the strategies were added.
func (e *Engine) invalidTrustedDevices() (out []error) {
	t := &e.cfg.TrustedDevices
	if len(t.Purposes) == 0 && t.Lifetime == 0 {
		return nil
	}
	orDefault(&t.Lifetime, defaultTrust)
	if len(t.Purposes) == 0 {
		out = append(out, setting.Errorf("TrustedDevices.Purposes", "missing: name the purposes that a trusted device answers"))
	}
	for i, p := range t.Purposes {
		field := fmt.Sprintf("TrustedDevices.Purposes[%d]", i)
		switch reason := e.purposeProblem(p); {
		case p == PurposeEnrol, p == PurposeManageFactors, p == PurposePasswordReset:
			out = append(out, setting.Errorf(field, "%q is never answered by a trusted device", p))
		case reason != "":
			out = append(out, setting.Errorf(field, "%q %s", p, reason))
		}
	}
	if t.Lifetime < shortestTrust || t.Lifetime > longestTrust {
		out = append(out, setting.Errorf("TrustedDevices.Lifetime", "%s is not between %s and %s", t.Lifetime, shortestTrust, longestTrust))
	}
	if e.devices == nil {
		out = append(out, setting.Errorf("TrustedDevices", "needs a strategy that trusts devices, and Factors"))
	}
	return out
}

// trustsDevices reports whether the app turned trusted devices on.
func (e *Engine) trustsDevices() bool { return len(e.cfg.TrustedDevices.Purposes) > 0 }

// deviceStrategy returns the name of the strategy whose factors are trusted devices; empty: there is none.
func (e *Engine) deviceStrategy() string {
	if e.devices == nil {
		return ""
	}
	return e.devices.Name()
}

// A presentedDevice is a trusted device whose valid token was presented.
type presentedDevice struct {
	factor    Factor // as it is stored now
	successor Code   // the token that replaces the presented one
}

// presentDevice evaluates the token of a start. It returns nil if none was given or if it is not valid for the subject: then nothing
// changes, except that a token that was replaced before removes its device. All invalid tokens take the same steps. The error is
// ErrUnavailable.
func (e *Engine) presentDevice(ctx context.Context, subject string, token Code) (*presentedDevice, error) {
	if token.IsZero() || subject == "" || !e.trustsDevices() {
		return nil, nil
	}
	defer e.delayUntil(ctx, time.Now(), minViewTime)
	for range maxConflictRetries {
		d, err := e.evaluateDevice(ctx, subject, token)
		if !errors.Is(err, ErrConflict) {
			return d, err
		}
	}
	return nil, unavailable(fmt.Errorf("a trusted device kept changing: %w", ErrConflict))
}

// evaluateDevice evaluates a token once and stores the device by compare-and-set: ErrConflict if it was changed meanwhile.
func (e *Engine) evaluateDevice(ctx context.Context, subject string, token Code) (*presentedDevice, error) {
	all, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return nil, err
	}
	c := e.deviceChallenge("", subject)
	c.factorReads = &factorReads{listed: true}
	for _, f := range all {
		if e.isDevice(&f) && e.isTrusted(&f, all) {
			c.factorReads.factors = append(c.factorReads.factors, f)
		}
	}
	proof, err := e.devices.Verify(ctx, c, token.Reveal())
	if errors.Is(err, ErrMismatch) {
		return nil, e.removeReused(ctx, proof.Reused)
	}
	if err != nil {
		return nil, factorError(err)
	}
	f := *proof.Spend
	n := slices.IndexFunc(all, func(stored Factor) bool { return stored.ID == f.ID })
	now := e.cfg.Clock()
	if slices.Equal(f.Data, all[n].Data) && now.Sub(f.LastUsedAt) < useRecorded {
		return &presentedDevice{f, proof.Successor}, nil
	}
	f.LastUsedAt = now.UTC()
	if err := e.env.factors.update(ctx, f); err != nil {
		return nil, factorError(err) // if it was removed, the token is evaluated again without it
	}
	f.Version++
	return &presentedDevice{f, proof.Successor}, nil
}

// deviceChallenge returns a challenge that is not stored, for the DeviceTruster.
func (e *Engine) deviceChallenge(id, subject string) *Challenge {
	return &Challenge{ID: id, Strategy: e.deviceStrategy(), Subject: subject, env: e.env, key: e.keyring[0]}
}

// removeReused removes a device whose replaced token was presented: two browsers have copies of its cookie. Of several nodes the
// one that removed it sends the event.
func (e *Engine) removeReused(ctx context.Context, f *Factor) error {
	if f == nil {
		return nil
	}
	err := e.removeFactor(ctx, *f)
	if errors.Is(err, ErrUnknownFactor) {
		return nil
	}
	if err == nil {
		e.emit(ctx, EventDeviceReused, &Challenge{Strategy: f.Strategy, Subject: f.Subject}, func(ev *Event) { ev.Factor = f.ID })
	}
	return err
}
