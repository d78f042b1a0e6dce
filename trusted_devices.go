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

// answersWithDevice reports whether a trusted device of the subject may answer a start with this purpose by itself. The caller has
// checked that the start requires nothing of its answer and has no transaction.
func (e *Engine) answersWithDevice(purpose string) bool {
	return e.trustsDevices() && slices.Contains(e.cfg.TrustedDevices.Purposes, purpose)
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

// approveByDevice makes a challenge that the presented device has answered, and returns its result. The caller has asked
// answersWithDevice. With the same seed it returns the same claims.
func (e *Engine) approveByDevice(ctx context.Context, d *presentedDevice, req StartRequest) (*Result, error) {
	props := e.devices.Properties()
	c, id, err := e.newChallenge(req, e.devices, Address{})
	if err != nil {
		return nil, err
	}
	charges, err := e.chargeStart(ctx, props, req, Address{})
	if err != nil {
		return nil, err
	}
	entry, rec, err := e.newEntry(id, props, c, Prompt{}, sendClaim{})
	if err != nil {
		return nil, err
	}
	a := attempt{requestID: e.newRequestID(req.Seed), purpose: req.Purpose, respondent: respondentOf(req.Subject, ""), receipt: receiptReturned}
	err = e.create(ctx, entry, rec, Outgoing{})
	if err != nil {
		e.refundStart(ctx, charges)
	}
	if errors.Is(err, ErrExists) { // an earlier request with this seed has made it, and perhaps not approved it
		if entry, rec, err = e.read(ctx, id); err != nil {
			return nil, err
		}
		if entry.State != StatePending {
			return e.resolveClosed(ctx, id, &a)
		}
	}
	if err != nil {
		return nil, unavailable(err)
	}
	result := e.resultOfProof(rec, Proof{}, &d.factor)
	result.spentFactor = nil // it has no note
	return e.approve(ctx, rec, &a, result, time.Time{})
}

// A deviceOrigin is the verification that earned a device its trust.
type deviceOrigin struct {
	id                       string // of the verification
	subject                  string
	client                   Client
	factor, factorEnrolledBy string    // the factor that answered, and the challenge that enrolled it; empty: none
	startedAt                time.Time // a removal of the subject since then ends it
}

// rememberDevice makes the client of an approved verification a trusted device, and returns the token for its cookie: a zero Code if
// the app trusts no devices, and if the subject or the factor that answered was removed meanwhile. It is idempotent: the same
// verification returns the same token.
func (e *Engine) rememberDevice(ctx context.Context, o deviceOrigin) (Code, error) {
	if !e.trustsDevices() || o.subject == "" {
		return Code{}, nil
	}
	c := e.deviceChallenge(o.id, o.subject)
	c.Client, c.CreatedAt = o.client, o.startedAt
	f, token, err := e.devices.NewDevice(c)
	if err != nil {
		return Code{}, factorError(err)
	}
	now := e.cfg.Clock().UTC().Truncate(time.Millisecond)
	f.Subject, f.Strategy, f.CreatedBy, f.CreatedAt, f.Version = o.subject, e.deviceStrategy(), o.id, now, 1
	f.trust = deviceTrust{now, o.factor, o.factorEnrolledBy}
	err = e.env.factors.create(ctx, f)
	if errors.Is(err, ErrExists) {
		return token, nil
	}
	if err != nil {
		return Code{}, unavailable(err)
	}
	kept, err := e.settleDevice(ctx, o, &f)
	if err != nil || !kept {
		return Code{}, err
	}
	e.emit(ctx, EventFactorEnrolled, &Challenge{Strategy: f.Strategy, Subject: f.Subject}, func(ev *Event) { ev.Factor = f.ID })
	return token, nil
}

// settleDevice makes room for a new device. It removes the device again, and returns false, if its subject or the factor that earned
// its trust was removed while it was created.
func (e *Engine) settleDevice(ctx context.Context, o deviceOrigin, f *Factor) (kept bool, err error) {
	removed, err := e.removedSince(ctx, o.subject, o.startedAt)
	if err != nil {
		return false, err
	}
	if removed {
		err = e.cfg.Factors.Delete(ctx, e.cfg.App, f.ID)
	} else if err = e.pruneDevices(ctx, o.subject); err == nil {
		_, err = e.env.factors.get(ctx, f.ID)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, factorError(err)
	}
	return !removed, nil
}
