package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"time"
)

// lease is how long a request may take before another one with the same key takes over.
const lease = 30 * time.Second

// A Reservation is one request's claim to an idempotency key. It ends with Finish or Release.
type Reservation struct {
	// Answer is the first answer, if this request was answered before: repeat it and do nothing else.
	Answer []byte
	// Seed is the same for each request with the same key and body; with it a start that is taken over makes no second
	// challenge.
	Seed []byte

	engine  *Engine
	sealer  *sealer
	ref, id string
	version int64
	held    reserved
}

// reserved is the sealed part of a record: whose request, until when it is being answered, and the answer.
type reserved struct {
	Fingerprint []byte    `json:"fp"`
	Until       time.Time `json:"un"`
	Answer      []byte    `json:"an,omitempty"`
}

// Reserve claims an idempotency key within its scope (method and path) for a request with this body. The record is kept
// like a challenge: sealed, named by a keyed digest, no longer than what the request can make. ErrIdempotencyMismatch:
// the key was used with another body. ErrIdempotencyInFlight: it is being answered right now.
func (e *Engine) Reserve(ctx context.Context, scope, key string, body []byte) (*Reservation, error) {
	name := e.identity.tags.sum("idempotency", e.cfg.App, scope, key)
	print := e.identity.tags.sum("fingerprint", string(name[:]), string(body))
	ref := storeID([randomSize]byte(name[groupSize:]), [groupSize]byte(name[:]), [kindSize]byte(name[groupSize+randomSize:]))
	now := e.cfg.Clock().UTC()
	seed := e.identity.tags.sum("seed", string(print[:]))
	r := &Reservation{Seed: seed[:], engine: e, ref: ref, id: "idempotency " + ref, version: 1,
		held: reserved{Fingerprint: print[:], Until: now.Add(lease)}}
	data, err := r.seal()
	if err != nil {
		return nil, err
	}
	err = e.cfg.Store.Create(ctx, Entry{ID: ref, Version: 1, Sealed: data, ExpiresAt: now.Add(maxLifetime), KeepUntil: now.Add(maxLifetime + keepClosed)})
	switch {
	case errors.Is(err, ErrExists):
		return r, r.meet(ctx, print[:], now)
	case err != nil:
		return nil, unavailable(err)
	}
	return r, nil
}

// meet reads an earlier record: it was answered, is being answered, or was given up and is taken over.
func (r *Reservation) meet(ctx context.Context, fingerprint []byte, now time.Time) error {
	entry, err := r.engine.cfg.Store.Get(ctx, r.ref)
	if errors.Is(err, ErrNotFound) {
		return ErrIdempotencyInFlight // it ended between two steps; the caller comes again
	}
	if err != nil {
		return unavailable(err)
	}
	plain, _, err := r.engine.ring.open(r.id, entry.Sealed)
	if err == nil {
		err = json.Unmarshal(plain, &r.held)
	}
	released := err == nil && r.held.Until.IsZero() && r.held.Answer == nil // nothing of that request is remembered
	switch {
	case err != nil, !released && !hmac.Equal(r.held.Fingerprint, fingerprint):
		return ErrIdempotencyMismatch
	case r.held.Answer != nil:
		r.Answer = r.held.Answer
		return nil
	case now.Before(r.held.Until):
		return ErrIdempotencyInFlight
	}
	r.version, r.held.Fingerprint, r.held.Until = entry.Version, fingerprint, now.Add(lease)
	return r.write(ctx)
}

// Finish keeps the answer for those who ask again.
func (r *Reservation) Finish(ctx context.Context, answer []byte) error {
	r.held.Answer = answer
	return r.write(ctx)
}

// Release gives the key back: the answer is not to be remembered.
func (r *Reservation) Release(ctx context.Context) error {
	r.held.Until = time.Time{}
	return r.write(ctx)
}

func (r *Reservation) seal() ([]byte, error) {
	plain, err := json.Marshal(r.held)
	if err != nil {
		return nil, err
	}
	if r.sealer == nil {
		if r.sealer, err = r.engine.ring[0].sealer(r.id); err != nil {
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
