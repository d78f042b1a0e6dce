package watchword

import (
	"context"
	"errors"
	"time"
)

const (
	maxRepeats        = 3               // most answers to a challenge that are compared with its note when no try or budget is left
	maxInFlightWait   = 2 * time.Second // longest time that such an answer waits for a try in flight
	firstInFlightPoll = 20 * time.Millisecond
	maxInFlightPoll   = 250 * time.Millisecond
)

// checkWithoutTry handles an answer that arrived when no try or no budget was left. It may be a copy of an answer that is
// being evaluated, or that was right when its process died. So it is compared with the challenge's note and nothing else.
// Without a note it waits for the tries in flight and returns how the challenge ended. If none is in flight it returns the
// refusal at once.
func (e *Engine) checkWithoutTry(ctx context.Context, id challengeID, s Verifier, a *attempt, entry Entry, refusal error) (*Result, error) {
	if entry.Settled >= entry.Used {
		return nil, refusal
	}
	result, err := e.approveByNote(ctx, id, s, a)
	if !errors.Is(err, errNoNote) {
		return result, err
	}
	pending, err := e.awaitTriesInFlight(ctx, id)
	if err != nil {
		return nil, err
	}
	if !pending {
		return e.resolveClosed(ctx, id, a)
	}
	if result, err = e.approveByNote(ctx, id, s, a); errors.Is(err, errNoNote) {
		return nil, inFlightError(refusal)
	}
	return result, err
}

// inFlightError returns the error while a try may still be approved: ErrUnavailable and not ErrAttemptsExhausted, because the
// challenge may be approved after that.
func inFlightError(refusal error) error {
	if !errors.Is(refusal, ErrAttemptsExhausted) {
		return refusal
	}
	return &Error{Code: ErrUnavailable.Code, Unknown: true, RetryAfter: time.Second, Cause: ErrInFlight}
}

// errNoNote means that the challenge has no note, or that another answer left it.
var errNoNote = errors.New("watchword: no note of this answer")

// approveByNote closes the challenge if this answer left its note.
func (e *Engine) approveByNote(ctx context.Context, id challengeID, s Verifier, a *attempt) (*Result, error) {
	entry, rec, err := e.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if status, _ := e.status(rec, entry); status != Pending || rec.Decoy || contradicts(rec, a) || e.checkNotEnded(ctx, rec) != nil {
		return nil, errNoNote
	}
	f, n, err := e.findNote(ctx, s, rec, a)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, errNoNote
	}
	entry, err = e.cfg.Store.Attempt(ctx, id.storeID, nil, Budget{Repeats: maxRepeats})
	switch {
	case errors.Is(err, ErrSpent):
		return nil, errNoNote
	case err != nil:
		return e.explainRefusal(ctx, id, a, entry, err)
	case !n.matchesDigest(rec.answerDigest(a)):
		return nil, errNoNote
	}
	result, err := e.resultOfNote(ctx, rec, n, f)
	if err != nil {
		return nil, err
	}
	return e.approve(ctx, rec, a, result, entry.LastTry.Add(tryTimeout))
}

// awaitTriesInFlight waits until the challenge has ended, none of its tries is in flight, or maxInFlightWait is over. It
// reports whether the challenge is still pending.
func (e *Engine) awaitTriesInFlight(ctx context.Context, id challengeID) (pending bool, err error) {
	wake, stop := e.watchers.Watch(id.text)
	defer stop()
	deadline := time.NewTimer(maxInFlightWait)
	defer deadline.Stop()
	for pause := firstInFlightPoll; ; pause = min(2*pause, maxInFlightPoll) {
		entry, rec, err := e.read(ctx, id)
		if err != nil {
			return false, err
		}
		if status, _ := e.status(rec, entry); status != Pending {
			return false, nil
		}
		if entry.Settled >= entry.Used || e.cfg.Clock().Sub(entry.LastTry) >= tryTimeout {
			return true, nil
		}
		next := time.NewTimer(pause)
		select {
		case <-wake:
		case <-next.C:
		case <-deadline.C:
			next.Stop()
			return true, nil
		case <-ctx.Done():
			next.Stop()
			return false, unavailable(ctx.Err())
		}
		next.Stop()
	}
}

// resultOfNote returns the result of the answer that left the note.
func (e *Engine) resultOfNote(ctx context.Context, rec *record, n *note, f *Factor) (*Result, error) {
	if rec.Purpose != PurposeEnrol {
		proof, err := n.proof()
		return e.resultOfProof(rec, proof, f), err
	}
	set, err := e.env.factors.readSet(ctx, rec.Subject, e.cfg.Clock())
	if err == nil {
		err = e.checkEnrolmentAuthority(ctx, rec, set)
	}
	if err != nil {
		return nil, err
	}
	return e.enrolledResult(rec, *f, n.created), nil
}

// findNote returns the challenge's valid note and its factor, or nil.
func (e *Engine) findNote(ctx context.Context, s Verifier, rec *record, a *attempt) (*Factor, *note, error) {
	factors, err := e.spendableFactors(ctx, s, rec, a)
	if err != nil {
		return nil, nil, err
	}
	f, n := e.noteIn(factors, rec)
	return f, n, nil
}

// noteIn returns the challenge's note in factors that were just read, or nil.
func (e *Engine) noteIn(factors []Factor, rec *record) (*Factor, *note) {
	for i := range factors {
		if f := &factors[i]; !f.Disabled {
			if n := f.findNote(rec.id.random, e.cfg.Clock()); n != nil {
				return f, n
			}
		}
	}
	return nil, nil
}

// spendableFactors returns the factors that the answer may have spent.
func (e *Engine) spendableFactors(ctx context.Context, s Verifier, rec *record, a *attempt) ([]Factor, error) {
	if rec.Subject != "" {
		return rec.Challenge.Factors(ctx)
	}
	locator, ok := s.(FactorLocator)
	if !ok {
		return nil, nil
	}
	f, err := rec.FindFactor(ctx, locator.Locate(&rec.Challenge, a.answer.Text))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return []Factor{f}, nil
}
