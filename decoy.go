package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// Decoys of a DecoyMaker are evaluated against a factor that nobody has. Their consecutive failures are kept in the Store and
// not in Factors, so that strangers cannot fill a database. They expire when nothing failed for decoyPeriod.

// decoyPeriod is longer than any temporary lock of a factor. An entry is named after the period in which it was made and
// expires at the end of the next one.
const decoyPeriod = longestLock + time.Hour

// A decoyState is the state of a decoy's factor.
type decoyState struct {
	failures    int
	lockedUntil time.Time
	disabled    bool

	version int64 // of the entry; 0: this period has no entry yet
	err     error
}

func (d *decoyState) fields(c *codec.Codec) {
	c.Number(&d.failures)
	c.Moment(&d.lockedUntil)
	c.Flag(&d.disabled)
}

// prepareDecoys makes the data that decoys decrypt where a challenge of a real subject decrypts a factor.
func (e *Engine) prepareDecoys() error {
	f := Factor{ID: "fa_decoy", Subject: "decoy", Strategy: "decoy", Version: 1, Data: make([]byte, 64)}
	sealed, err := e.env.factors.seal(f, 1)
	sealed.Version = 1
	e.placeholder = sealed
	return err
}

// decoyFactor returns the factor of a decoy, or nil if the strategy is no DecoyMaker. It also reads the subject's factors, at
// the same time, so that a decoy takes as long as a real challenge.
func (e *Engine) decoyFactor(ctx context.Context, c *Challenge) (*Factor, error) {
	maker, ok := e.strategies[c.Strategy].(DecoyMaker)
	if !ok {
		return nil, nil
	}
	id, err := e.parse(c.ID)
	if err != nil {
		return nil, err
	}
	read := make(chan error, 1)
	go func() {
		_, err := e.env.factors.list(ctx, c.Subject, c.Strategy)
		read <- err
	}()
	state, err := e.decoyState(ctx, id, c)
	if failed := <-read; err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	if _, err := e.env.factors.unseal(e.placeholder); err != nil {
		return nil, err
	}
	data, err := maker.DecoyFactor(c)
	if err != nil {
		return nil, err
	}
	f := &Factor{ID: c.Factor, Subject: c.Subject, Strategy: c.Strategy, CreatedAt: c.CreatedAt, Version: 1, Data: data,
		Failures: state.failures, LockedUntil: state.lockedUntil, Disabled: state.disabled}
	if f.ID == "" {
		f.ID = "fa_" + b64.EncodeToString(c.DeriveBytes("decoy factor", 16))
	}
	return f, nil
}

// evaluateDecoy takes the steps of a real evaluation. The answer is always wrong.
func (e *Engine) evaluateDecoy(ctx context.Context, s Verifier, rec *record, entry Entry, a *attempt) (*Result, error) {
	proof, err := s.Verify(ctx, &rec.Challenge, a.answer.Text)
	if err != nil && !errors.Is(err, ErrMismatch) {
		err = factorError(err)
		var engineErr *Error
		if _, isDecoyMaker := s.(DecoyMaker); isDecoyMaker && errors.As(err, &engineErr) || errors.Is(err, ErrUnavailable) {
			return nil, e.settleRefusal(ctx, rec, err)
		}
	}
	for range proof.Compared {
		if err := e.countDecoyFailure(ctx, rec); err != nil {
			return nil, err
		}
	}
	return e.settleWrongAnswer(ctx, rec, entry, a, &wrongAnswerError{})
}

// countDecoyFailure adds one consecutive failure to a decoy's state.
func (e *Engine) countDecoyFailure(ctx context.Context, rec *record) error {
	for range maxConflictRetries {
		state, err := e.decoyState(ctx, rec.id, &rec.Challenge)
		if err != nil {
			return err
		}
		f := Factor{Failures: state.failures, LockedUntil: state.lockedUntil, Disabled: state.disabled}
		f.fail(e.cfg.Clock())
		state.failures, state.lockedUntil, state.disabled = f.Failures, f.LockedUntil, f.Disabled
		err = e.writeDecoyState(ctx, rec.id, &rec.Challenge, state)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotFound) {
			return unavailable(err)
		}
	}
	return unavailable(fmt.Errorf("a decoy kept changing: %w", ErrConflict))
}

// decoyIDs returns the store's id of a decoy's entry in a period, and the id for its encryption. The entry is stored beside
// the budget of its group.
func (e *Engine) decoyIDs(id challengeID, c *Challenge, period int64) (entryID, sealID string) {
	sum := e.identity.tags.sum("decoy", e.cfg.App, c.Strategy, c.Subject, string(binary.BigEndian.AppendUint64(nil, uint64(period))))
	entryID = storeID([randomSize]byte(sum[:]), id.groupTag, [strategyTagSize]byte(sum[randomSize:]))
	return entryID, "decoy " + entryID
}

func (e *Engine) decoyPeriodNow() int64 { return e.cfg.Clock().UnixNano() / int64(decoyPeriod) }

// decoyState reads the state of a decoy from the entries of this period and of the one before, both at once.
func (e *Engine) decoyState(ctx context.Context, id challengeID, c *Challenge) (decoyState, error) {
	now := e.decoyPeriodNow()
	previous := make(chan decoyState, 1)
	go func() { previous <- e.readDecoyState(ctx, id, c, now-1) }()
	state, previousState := e.readDecoyState(ctx, id, c, now), <-previous
	if state.err == nil && state.version == 0 {
		state = previousState
		state.version = 0
	}
	return state, state.err
}

func (e *Engine) readDecoyState(ctx context.Context, id challengeID, c *Challenge, period int64) (state decoyState) {
	entryID, sealID := e.decoyIDs(id, c, period)
	entry, err := e.cfg.Store.Get(ctx, entryID)
	if errors.Is(err, ErrNotFound) {
		return decoyState{}
	}
	if err != nil {
		return decoyState{err: unavailable(err)}
	}
	if plain, _, err := e.keyring.open(sealID, entry.Sealed); err != nil || codec.Decode(plain, state.fields) != nil {
		e.log.ErrorContext(ctx, "decoy entry does not open", "strategy", c.Strategy)
		state = decoyState{}
	}
	state.version = entry.Version
	return state
}

func (e *Engine) writeDecoyState(ctx context.Context, id challengeID, c *Challenge, state decoyState) error {
	period := e.decoyPeriodNow()
	entryID, sealID := e.decoyIDs(id, c, period)
	sealer, err := e.keyring[0].sealer(sealID)
	if err != nil {
		return err
	}
	plain, err := codec.Encode(state.fields)
	if err != nil {
		return err
	}
	end := time.Unix(0, (period+1)*int64(decoyPeriod))
	entry := Entry{ID: entryID, Version: max(state.version, 1), Sealed: sealer.seal(plain), ExpiresAt: end, KeepUntil: end.Add(decoyPeriod)}
	if state.version == 0 {
		return e.cfg.Store.Create(ctx, entry)
	}
	return e.cfg.Store.Update(ctx, entry)
}
