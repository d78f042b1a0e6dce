package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"time"
)

// lease is the time after which another request with the same key takes over.
const lease = 12 * time.Second

// A Reservation is the claim of one request to an idempotency key. It ends with Finish or Release, and by itself after 12
// seconds: another request with the same key and body may then take over, after which Finish and Release change nothing and
// return ErrIdempotencyInFlight.
type Reservation struct {
	// Response is the stored response, if the request was answered before. Repeat it and do nothing else.
	Response []byte
	// Seed is the same for all requests with the same key and body while the key is stored. Pass it to Start, Check and the
	// other methods with a seed, so that a request that takes over makes no second challenge.
	Seed []byte
	// TakenOver reports that an earlier request with the same key and body was begun and not answered.
	TakenOver bool

	engine          *Engine
	sealer          *sealer
	storeID, sealID string
	version         int64
	state           reservationState
}

// reservationState is the encrypted content of a reservation's entry.
type reservationState struct {
	Fingerprint  []byte    `json:"fp"`
	EntryID      []byte    `json:"li"` // random id of the entry: after it expired, the same key gives another seed
	Until        time.Time `json:"un"`
	Answer       []byte    `json:"an,omitempty"`
	WhilePending string    `json:"wh,omitempty"` // the challenge that must be pending for the answer to be repeated
}

// Reserve claims an idempotency key within its scope (method and path) for a request with this body. The entry is encrypted
// and its id is a keyed digest. It lives as long as a challenge without a lifetime of its own. The errors are
// ErrIdempotencyMismatch if the key was used with another body, ErrIdempotencyInFlight if a request with the key is being
// answered, and ErrUnavailable.
func (e *Engine) Reserve(ctx context.Context, scope, key string, body []byte) (*Reservation, error) {
	return e.reserve(ctx, scope, key, body, maxLifetime)
}

// ReserveStart is Reserve for a request that starts a challenge: the entry lives as long as a challenge for the purpose can.
func (e *Engine) ReserveStart(ctx context.Context, scope, key string, body []byte, purpose string) (*Reservation, error) {
	return e.reserve(ctx, scope, key, body, max(maxLifetime, e.cfg.Lifetimes[purpose]))
}

func (e *Engine) reserve(ctx context.Context, scope, key string, body []byte, lifetime time.Duration) (*Reservation, error) {
	name := e.identity.tags.sum("idempotency", e.cfg.App, scope, key)
	fingerprint := e.identity.tags.sum("fingerprint", string(name[:]), string(body))
	ref := storeID([randomSize]byte(name[groupSize:]), [groupSize]byte(name[:]), [strategyTagSize]byte(name[groupSize+randomSize:]))
	now := e.cfg.Clock().UTC()
	entryID, err := e.random(randomSize)
	if err != nil {
		return nil, err
	}
	r := &Reservation{engine: e, storeID: ref, sealID: "idempotency " + ref, version: 1,
		state: reservationState{Fingerprint: fingerprint[:], EntryID: entryID, Until: now.Add(lease)}}
	data, err := r.seal()
	if err != nil {
		return nil, err
	}
	err = e.cfg.Store.Create(ctx, Entry{ID: ref, Version: 1, Sealed: data, ExpiresAt: now.Add(lifetime), KeepUntil: now.Add(lifetime + keepAfterExpiry)})
	switch {
	case errors.Is(err, ErrExists):
		err = r.resolveExisting(ctx, fingerprint[:], now)
	case err != nil:
		if errors.Is(err, ErrOutcomeUnknown) {
			r.releaseLater(ctx)
		}
		err = unavailable(err)
	}
	if err != nil {
		return nil, err
	}
	seed := e.identity.tags.sum("seed", string(r.state.Fingerprint), string(r.state.EntryID))
	r.Seed = seed[:]
	return r, nil
}

// resolveExisting reads the entry of an earlier request and returns its answer, refuses, or takes over.
func (r *Reservation) resolveExisting(ctx context.Context, fingerprint []byte, now time.Time) error {
	entry, err := r.engine.cfg.Store.Get(ctx, r.storeID)
	if errors.Is(err, ErrNotFound) {
		return ErrIdempotencyInFlight // it expired between the two steps; the caller retries
	}
	if err != nil {
		return unavailable(err)
	}
	plain, _, err := r.engine.keyring.open(r.sealID, entry.Sealed)
	fresh := r.state
	if err == nil {
		r.state = reservationState{}
		err = json.Unmarshal(plain, &r.state)
	}
	same := err == nil && hmac.Equal(r.state.Fingerprint, fingerprint)
	released := err == nil && r.state.Until.IsZero() && r.state.Answer == nil // the entry is free for any body
	var missing *missingKeyError
	switch {
	case errors.As(err, &missing):
		return unavailable(missing)
	case err != nil, !released && !same:
		return ErrIdempotencyMismatch
	case r.state.Answer != nil:
		r.Response = r.state.Answer
		return r.repeatable(ctx)
	case now.Before(r.state.Until):
		return ErrIdempotencyInFlight
	case same:
		fresh.EntryID, r.TakenOver = r.state.EntryID, true
	}
	r.version, r.state = entry.Version, fresh
	return r.write(ctx)
}

// repeatable refuses an answer with a secret once its challenge has ended.
func (r *Reservation) repeatable(ctx context.Context) error {
	if r.state.WhilePending == "" {
		return nil
	}
	v, err := r.engine.Status(ctx, r.state.WhilePending)
	if err == nil {
		err = closedError(v.Status)
	}
	return err
}

// RepeatWhile limits the repetition of the answer to the time while the challenge is pending: the answer contains a secret
// that must not be shown after the enrolment. Call it before Finish.
func (r *Reservation) RepeatWhile(challenge string) { r.state.WhilePending = challenge }

// Finish stores the answer for repetitions of the request. If the store fails, the engine retries in the background for at
// most 30 seconds, and Finish returns the error.
func (r *Reservation) Finish(ctx context.Context, answer []byte) error {
	r.state.Answer = answer
	err := r.write(ctx)
	if err != nil {
		r.writeLater(ctx)
	}
	return err
}

// Release frees the key without an answer, so that the next request with it is a new one. If the store fails, the engine
// retries in the background for at most 30 seconds, and Release returns the error.
func (r *Reservation) Release(ctx context.Context) error {
	r.state.Until = time.Time{}
	err := r.write(ctx)
	if err != nil {
		r.writeLater(ctx)
	}
	return err
}

// releaseLater frees a key in the background if its entry was created though the reply was lost. An entry with another id
// belongs to another request.
func (r *Reservation) releaseLater(ctx context.Context) {
	released := *r
	released.state.Until = time.Time{}
	released.engine.background.RunUntilDone(ctx, func(ctx context.Context) error {
		entry, err := released.engine.cfg.Store.Get(ctx, released.storeID)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var stored reservationState
		plain, _, err := released.engine.keyring.open(released.sealID, entry.Sealed)
		if err != nil || json.Unmarshal(plain, &stored) != nil || !hmac.Equal(stored.EntryID, released.state.EntryID) {
			return nil
		}
		if err := released.write(ctx); !errors.Is(err, ErrIdempotencyInFlight) {
			return err
		}
		return nil
	})
}

// writeLater writes the entry in the background, unless another request has written it meanwhile.
func (r *Reservation) writeLater(ctx context.Context) {
	reservation := *r
	r.engine.background.RunUntilDone(ctx, func(ctx context.Context) error {
		if err := reservation.write(ctx); !errors.Is(err, ErrIdempotencyInFlight) {
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
		if r.sealer, err = r.engine.keyring[0].sealer(r.sealID); err != nil {
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
	err = r.engine.cfg.Store.Update(ctx, Entry{ID: r.storeID, Version: r.version, Sealed: data})
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return ErrIdempotencyInFlight
	case err != nil:
		return unavailable(err)
	}
	r.version++
	return nil
}
