package watchword

import (
	"context"
	"errors"
	"slices"
	"time"
)

// isAnsweredByDevice reports whether a trusted device of the subject answers the start of a verification by itself.
func (e *Engine) isAnsweredByDevice(req VerificationRequest) bool {
	return e.trustsDevices() && slices.Contains(e.cfg.TrustedDevices.Purposes, req.Purpose) && req.Subject != "" && !req.Decoy &&
		(req.Require == "" || req.Require == RequireAny) && len(req.Transaction) == 0
}

// startByDevice creates a verification that the presented device has answered, with the receipt of a challenge of the device's
// strategy. The verification is written first, so that of several starts with one seed all return the same receipt. Limits count it
// like any start.
func (e *Engine) startByDevice(ctx context.Context, d *presentedDevice, v *verificationRecord, req VerificationRequest) (*StartedVerification, error) {
	seed := e.identity.tags.sum("method", v.ID, e.deviceStrategy())
	start := StartRequest{Purpose: v.Purpose, Subject: v.Subject, Locale: v.Locale, ReturnURL: v.ReturnURL, Nonce: v.Nonce, Metadata: v.Metadata,
		Client: v.Client, Factor: d.factor.ID, Seed: seed[:], verification: v}
	rec, err := e.newChallenge(start, e.devices, Address{})
	if err != nil {
		return nil, err
	}
	c := &rec.Challenge
	entry, err := e.newEntry(rec, Prompt{})
	if err != nil {
		return nil, err
	}
	charges, err := e.chargeStart(ctx, e.devices.Properties(), start, Address{})
	if err != nil {
		return nil, err
	}
	a := attempt{requestID: e.newRequestID(req.Seed), purpose: v.Purpose, respondent: respondentOf(v.Subject, ""), receipt: receiptUncollected, part: true}
	result := e.resultOfProof(rec, Proof{}, &d.factor)
	v.Answered, v.Claims, v.EnrolledBy = e.deviceStrategy(), result.Claims, result.enrolledBy
	v.Collected, v.CollectedBy, v.CollectedAt = true, a.requestID, c.CreatedAt
	result.spentFactor = nil // it has no note of this answer
	err = e.createVerification(ctx, v)
	if err != nil {
		e.refundStart(ctx, charges)
	}
	if errors.Is(err, ErrExists) {
		if v, err = e.readVerification(ctx, v.id); err != nil {
			return nil, err
		}
		if v.Answered != e.deviceStrategy() || v.CollectedBy != a.requestID {
			return e.repeatVerification(ctx, v.id, req.Unanswered)
		}
		return e.repeatStartByDevice(ctx, d, v, func() error { return e.storeDeviceAnswer(ctx, entry, rec, &a, result) })
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if err := e.storeDeviceAnswer(ctx, entry, rec, &a, result); err != nil {
		return nil, err
	}
	e.tombstones.Add(v.id.random, tombstoneChallenge, Approved)
	e.tombstones.Add(v.id.random, tombstoneCollected, Approved)
	e.emitVerification(ctx, EventVerificationStarted, v)
	e.emitVerificationApproved(ctx, v, false)
	return e.startedByDevice(d, v), nil
}

// storeDeviceAnswer stores and approves the challenge that a device has answered. If an earlier start with the same seed has stored
// it, it is approved if it was not yet.
func (e *Engine) storeDeviceAnswer(ctx context.Context, entry Entry, rec *record, a *attempt, r *Result) error {
	err := e.cfg.Store.Create(ctx, entry)
	if err != nil && !errors.Is(err, ErrExists) {
		return unavailable(err)
	}
	if err != nil {
		if entry, rec, err = e.read(ctx, rec.id); err != nil {
			return err
		}
		if entry.State != StatePending {
			return nil
		}
	}
	_, err = e.approve(ctx, rec, a, r, time.Time{})
	return err
}

// repeatStartByDevice returns the verification of an earlier start with the same seed, which a device has answered. It stores the
// answer's challenge first, in case that the process of the earlier start died before it did.
func (e *Engine) repeatStartByDevice(ctx context.Context, d *presentedDevice, v *verificationRecord, store func() error) (*StartedVerification, error) {
	if err := store(); err != nil {
		return nil, err
	}
	if _, err := e.repeatCollection(ctx, v); err != nil {
		return nil, err
	}
	return e.startedByDevice(d, v), nil
}

func (e *Engine) startedByDevice(d *presentedDevice, v *verificationRecord) *StartedVerification {
	out := e.startedVerification(v, nil)
	out.Approved, out.DeviceToken = v.result(), d.successor
	return out
}

// rememberDevice makes the client of a verification whose receipt was collected a trusted device, and returns the token for its
// cookie: a zero Code if the verification does not ask for it or the app trusts no devices, and if the subject or the factor that
// answered was removed meanwhile. It is idempotent: the same verification returns the same token. A fault is logged, because the
// receipt must not be lost for it.
func (e *Engine) rememberDevice(ctx context.Context, v *verificationRecord) Code {
	if !v.Remember || !e.trustsDevices() || v.Claims.Subject == "" || v.Answered == e.deviceStrategy() {
		return Code{}
	}
	token, err := e.createDevice(ctx, v)
	if err != nil {
		e.log.ErrorContext(ctx, "device not remembered", "verification", v.ID, "error", err)
	}
	return token
}

// createDevice stores a new trusted device. It does not keep it if the subject or the factor that earned the trust is removed at the
// same time.
func (e *Engine) createDevice(ctx context.Context, v *verificationRecord) (Code, error) {
	c := e.deviceChallenge(v.ID, v.Claims.Subject)
	c.Client = v.Client
	f, token, err := e.devices.NewDevice(c)
	if err != nil {
		return Code{}, err
	}
	now := e.cfg.Clock().UTC().Truncate(time.Millisecond)
	f.Subject, f.Strategy, f.CreatedBy, f.CreatedAt, f.Version = c.Subject, c.Strategy, v.ID, now, 1
	f.trust = deviceTrust{since: now, earnedBy: v.Claims.Factor, earnerEnrolledBy: v.EnrolledBy}
	err = e.env.factors.create(ctx, f)
	if errors.Is(err, ErrExists) {
		return token, nil
	}
	if err == nil {
		err = e.settleDevice(ctx, v, &f)
	}
	if errors.Is(err, ErrNotFound) {
		return Code{}, nil
	}
	if err != nil {
		return Code{}, err
	}
	e.emit(ctx, EventFactorEnrolled, &Challenge{Strategy: f.Strategy, Subject: f.Subject}, func(ev *Event) { ev.Factor = f.ID })
	return token, nil
}

// settleDevice removes the devices that a new one makes too many. ErrNotFound if the new one is gone, because its subject or the
// factor that earned its trust was removed while it was created.
func (e *Engine) settleDevice(ctx context.Context, v *verificationRecord, f *Factor) error {
	removed, err := e.removedSince(ctx, f.Subject, v.CreatedAt)
	if err != nil {
		return err
	}
	if removed {
		if err := e.cfg.Factors.Delete(ctx, e.cfg.App, f.ID); err != nil {
			return err
		}
		return ErrNotFound
	}
	if err := e.pruneDevices(ctx, f.Subject); err != nil {
		return err
	}
	_, err = e.env.factors.get(ctx, f.ID)
	return err
}
