package watchword

import (
	"context"
	"errors"
)

// settleWrongAnswer records a wrong answer. First the try is settled: the challenge is locked if it was the last and none is in
// flight; if it has ended meanwhile, this answer gets that end as its error and counts as no failure, because a copy of it may have won.
// Then each factor that it was compared with has failed once more.
func (e *Engine) settleWrongAnswer(ctx context.Context, rec *record, entry Entry, a *attempt, w *wrongAnswer) (*Result, error) {
	err := e.cfg.Store.Close(ctx, rec.id.ref, Closing{State: StateLocked, Settles: true, Idle: tryTime})
	locked := err == nil
	switch {
	case locked, errors.Is(err, ErrInFlight):
	case errors.Is(err, ErrClosed):
		return e.resolveClosed(ctx, rec.id, a)
	case errors.Is(err, ErrNotFound):
		return nil, ErrUnknownChallenge
	default:
		return nil, unavailable(err)
	}
	for _, f := range w.compared {
		result, err := e.countFailureOrWin(ctx, rec, entry, a, f)
		if locked && err != nil {
			e.recordLocked(ctx, rec.id, &rec.Challenge)
		}
		if result != nil || err != nil {
			return result, err
		}
	}
	if locked {
		entry.State = StateLocked
	}
	refusal := e.recordWrongAnswer(ctx, rec.id, a, entry)
	if a.mark == markCollected {
		refusal.Extra = w.extra
	}
	return nil, refusal
}

// countFailureOrWin counts a factor's failure. If somebody changed the factor meanwhile it may have been a copy of this answer,
// which was right then: it goes on by its note.
func (e *Engine) countFailureOrWin(ctx context.Context, rec *record, entry Entry, a *attempt, f Factor) (*Result, error) {
	for range casTries {
		err := e.countFailure(ctx, rec, f)
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		if f, err = e.env.factors.get(ctx, f.ID); errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, unavailable(err)
		}
		if n := f.findNote(rec.id.rand, e.cfg.Clock()); n != nil && n.matchesDigest(rec.answerDigest(a)) {
			result, err := e.resultOfNote(ctx, rec, n, &f)
			if err != nil {
				return nil, err
			}
			return e.win(ctx, rec, a, result, entry.LastTry.Add(tryTime))
		}
	}
	return nil, unavailable(ErrConflict)
}

// settleRefusal settles a try that was refused for another reason than a wrong answer, a factor that is temporarily locked say.
// One whose outcome is not known stays in flight.
func (e *Engine) settleRefusal(ctx context.Context, rec *record, refusal error) error {
	if errors.Is(refusal, ErrUnavailable) {
		return refusal
	}
	err := e.cfg.Store.Close(ctx, rec.id.ref, Closing{State: StateLocked, Settles: true, Idle: tryTime})
	if err == nil {
		e.recordLocked(ctx, rec.id, &rec.Challenge)
	}
	return refusal
}
