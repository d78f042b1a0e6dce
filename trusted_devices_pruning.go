package watchword

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

func (e *Engine) isDevice(f *Factor) bool { return e.devices != nil && f.Strategy == e.devices.Name() }

// isTrusted reports whether a device is trusted now, among all factors of its subject.
func (e *Engine) isTrusted(device *Factor, factors []Factor) bool {
	if device.Disabled || e.isObsolete(device, factors) {
		return false
	}
	earner := device.trust.findEarner(factors)
	return device.trust.earnedBy == "" || earner != nil && !earner.Disabled
}

// isObsolete reports whether a device will never be trusted again: its lifetime is over, or the factor that earned its trust was
// removed or replaced. It is false where a key that is missing from the keyring hides that.
func (e *Engine) isObsolete(device *Factor, factors []Factor) bool {
	if device.missingKey != nil {
		return false
	}
	if e.trustsDevices() && !e.cfg.Clock().Before(device.trust.since.Add(e.cfg.TrustedDevices.Lifetime)) {
		return true
	}
	earner := device.trust.findEarner(factors)
	return device.trust.earnedBy != "" && (earner == nil || earner.missingKey == nil && earner.CreatedBy != device.trust.earnerEnrolledBy)
}

// findEarner returns the factor with the id of the one that earned the trust, or nil.
func (d *deviceTrust) findEarner(factors []Factor) *Factor {
	n := slices.IndexFunc(factors, func(f Factor) bool { return f.ID == d.earnedBy })
	if n < 0 {
		return nil
	}
	return &factors[n]
}

// pruneDevices removes the subject's devices that are obsolete, and the oldest ones beyond maxDevices.
func (e *Engine) pruneDevices(ctx context.Context, subject string) error {
	all, err := e.env.factors.list(ctx, subject, "")
	if err != nil {
		return err
	}
	devices := slices.DeleteFunc(slices.Clone(all), func(f Factor) bool { return !e.isDevice(&f) || f.missingKey != nil })
	slices.SortStableFunc(devices, func(a, b Factor) int {
		return cmp.Or(b.trust.since.Compare(a.trust.since), cmp.Compare(a.ID, b.ID))
	})
	kept := 0
	for i := range devices {
		if kept < maxDevices && !e.isObsolete(&devices[i], all) {
			kept++
			continue
		}
		if err := e.removeFactor(ctx, devices[i]); err != nil && !errors.Is(err, ErrUnknownFactor) {
			return err
		}
	}
	return nil
}

// pruneDevicesLater is pruneDevices in the background, after a factor was removed or replaced. Nothing depends on it: an obsolete
// device is neither trusted nor listed.
func (e *Engine) pruneDevicesLater(ctx context.Context, f *Factor) {
	if e.devices != nil && !e.isDevice(f) {
		subject := f.Subject
		e.background.RunUntilDone(ctx, func(ctx context.Context) error { return e.pruneDevices(ctx, subject) })
	}
}
