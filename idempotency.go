package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"time"
)

// lease is how long a request may take before another one with the same key takes over: it, or its process, is gone.
const lease = 12 * time.Second

// A Reservation is one request's claim to an idempotency key. It ends with Finish or Release.
type Reservation struct {
	// Answer is the first answer, if this request was answered before: repeat it and do nothing else.
	Answer []byte
	// Seed is the same for each request with the same key and body, as long as the key is remembered; with it a start that
	// is taken over makes no second challenge, and a check that is repeated gets its receipt.
	Seed []byte
	// TakenOver says that an earlier request with the same key and body was begun, and not answered.
	TakenOver bool

	engine  *Engine
	sealer  *sealer
	ref, id string
	version int64
	state   reservationState
}

// reservationState is the sealed part of a record: whose request, until when it is being answered, and the answer.
type reservationState struct {
	Fingerprint []byte    `json:"fp"`
	Life        []byte    `json:"li"` // of this record: what a seed makes after it is gone has other ids
	Until       time.Time `json:"un"`
	Answer      []byte    `json:"an,omitempty"`
	While       string    `json:"wh,omitempty"` // the challenge that must be pending for the answer to be repeated
}

// Reserve claims an idempotency key within its scope (method and path) for a request with this body. The record is kept
// like a challenge: sealed, named by a keyed digest, no longer than what the request can make. ErrIdempotencyMismatch:
// the key was used with another body. ErrIdempotencyInFlight: it is being answered right now.
func (e *Engine) Reserve(ctx context.Context, scope, key string, body []byte) (*Reservation, error) {
	name := e.identity.tags.sum("idempotency", e.cfg.App, scope, key)
	print := e.identity.tags.sum("fingerprint", string(name[:]), string(body))
	ref := storeID([randomSize]byte(name[groupSize:]), [groupSize]byte(name[:]), [kindSize]byte(name[groupSize+randomSize:]))
	now := e.cfg.Clock().UTC()
	life, err := e.random(randomSize)
	if err != nil {
		return nil, err
	}
	r := &Reservation{engine: e, ref: ref, id: "idempotency " + ref, version: 1,
		state: reservationState{Fingerprint: print[:], Life: life, Until: now.Add(lease)}}
	data, err := r.seal()
	if err != nil {
		return nil, err
	}
	err = e.cfg.Store.Create(ctx, Entry{ID: ref, Version: 1, Sealed: data, ExpiresAt: now.Add(maxLifetime), KeepUntil: now.Add(maxLifetime + keepClosed)})
	switch {
	case errors.Is(err, ErrExists):
		err = r.resolveExisting(ctx, print[:], now)
	case err != nil:
		if errors.Is(err, ErrOutcomeUnknown) {
			r.releaseLater(ctx)
		}
		err = unavailable(err)
	}
	if err != nil {
		return nil, err
	}
	seed := e.identity.tags.sum("seed", string(r.state.Fingerprint), string(r.state.Life))
	r.Seed = seed[:]
	return r, nil
}

// resolveExisting reads an earlier record: it was answered, is being answered, or was given up and is taken over.
func (r *Reservation) resolveExisting(ctx context.Context, fingerprint []byte, now time.Time) error {
	entry, err := r.engine.cfg.Store.Get(ctx, r.ref)
	if errors.Is(err, ErrNotFound) {
		return ErrIdempotencyInFlight // it ended between two steps; the caller comes again
	}
	if err != nil {
		return unavailable(err)
	}
	plain, _, err := r.engine.keyring.open(r.id, entry.Sealed)
	own := r.state
	if err == nil {
		r.state = reservationState{}
		err = json.Unmarshal(plain, &r.state)
	}
	same := err == nil && hmac.Equal(r.state.Fingerprint, fingerprint)
	released := err == nil && r.state.Until.IsZero() && r.state.Answer == nil // nothing of that request is remembered
	var missing *missingKeyError
	switch {
	case errors.As(err, &missing):
		return unavailable(missing)
	case err != nil, !released && !same:
		return ErrIdempotencyMismatch
	case r.state.Answer != nil:
		r.Answer = r.state.Answer
		return r.repeatable(ctx)
	case now.Before(r.state.Until):
		return ErrIdempotencyInFlight
	case same:
		own.Life, r.TakenOver = r.state.Life, true
	}
	r.version, r.state = entry.Version, own
	return r.write(ctx)
}

// repeatable refuses to show a secret again after what it belongs to has ended.
func (r *Reservation) repeatable(ctx context.Context) error {
	if r.state.While == "" {
		return nil
	}
	v, err := r.engine.Status(ctx, r.state.While)
	if err == nil {
		err = closedError(v.Status)
	}
	return err
}

// RepeatWhile lets the answer be repeated only as long as the challenge is pending: it holds a secret that is shown to
// whoever enrols it, and to nobody afterwards. Call it before Finish.
func (r *Reservation) RepeatWhile(challenge string) { r.state.While = challenge }

// Finish keeps the answer for those who ask again. If that fails it is tried again for a while, behind the caller's back.
func (r *Reservation) Finish(ctx context.Context, answer []byte) error {
	r.state.Answer = answer
	err := r.write(ctx)
	if err != nil {
		r.writeLater(ctx)
	}
	return err
}

// Release gives the key back: the answer is not to be remembered. If that fails it is tried again for a while, so that the
// key is not taken for one that is being answered.
func (r *Reservation) Release(ctx context.Context) error {
	r.state.Until = time.Time{}
	err := r.write(ctx)
	if err != nil {
		r.writeLater(ctx)
	}
	return err
}

// releaseLater gives back a key whose record may have been made though its maker heard nothing. The record that is there may
// be another request's, which has a life of its own.
func (r *Reservation) releaseLater(ctx context.Context) {
	own := *r
	own.state.Until = time.Time{}
	own.engine.background.RunUntilDone(ctx, func(ctx context.Context) error {
		entry, err := own.engine.cfg.Store.Get(ctx, own.ref)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var there reservationState
		plain, _, err := own.engine.keyring.open(own.id, entry.Sealed)
		if err != nil || json.Unmarshal(plain, &there) != nil || !hmac.Equal(there.Life, own.state.Life) {
			return nil
		}
		if err := own.write(ctx); !errors.Is(err, ErrIdempotencyInFlight) {
			return err
		}
		return nil
	})
}

// writeLater writes the record as soon as the store can be reached, unless somebody else has written it meanwhile.
func (r *Reservation) writeLater(ctx context.Context) {
	again := *r
	r.engine.background.RunUntilDone(ctx, func(ctx context.Context) error {
		if err := again.write(ctx); !errors.Is(err, ErrIdempotencyInFlight) {
			return err
		}
		return nil
	})
}

func (r *Reservation) seal() ([]byte, error) {
	plain, err := json.Marshal(r.state)
	if err != nil {
		return nil, err
	}
	if r.sealer == nil {
		if r.sealer, err = r.engine.keyring[0].sealer(r.id); err != nil {
			return nil, err
		}
	}
	return r.sealer.seal(plain), nil
}

func (r *Reservation) write(ctx context.Context) error {
	data, err := r.seal()
	if err != nil {
		return err
	}
	err = r.engine.cfg.Store.Update(ctx, Entry{ID: r.ref, Version: r.version, Sealed: data})
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return ErrIdempotencyInFlight
	case err != nil:
		return unavailable(err)
	}
	r.version++
	return nil
}
