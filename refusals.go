package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/wait"
)

// explainRefusal says why an attempt was not won. The repetition of a request that has won, and whose answer was lost, gets its
// receipt.
func (e *Engine) explainRefusal(ctx context.Context, i challengeID, a *attempt, entry Entry, err error) (*Result, error) {
	var spent *BudgetError
	switch {
	case errors.Is(err, ErrMismatch):
		refusal := e.recordWrongAnswer(ctx, i, a, entry)
		refusal.Extra = e.explainUnreadContradiction(ctx, i, a)
		return nil, refusal
	case errors.Is(err, ErrNotFound):
		return nil, ErrUnknownChallenge
	case errors.Is(err, ErrExpired):
		e.recordExpired(ctx, i, &Challenge{ID: i.id, Strategy: i.strategy.Name(), Purpose: a.purpose})
		return nil, ErrChallengeExpired
	case errors.Is(err, ErrSpent):
		return nil, ErrAttemptsExhausted
	case errors.As(err, &spent):
		return nil, &Error{Code: ErrTooManyGuesses.Code, RetryAfter: spent.RetryAfter}
	case errors.Is(err, ErrClosed):
		return e.resolveClosed(ctx, i, a)
	}
	return nil, unavailable(err)
}

// resolveClosed reads how a closed challenge ended.
func (e *Engine) resolveClosed(ctx context.Context, i challengeID, a *attempt) (*Result, error) {
	entry, rec, err := e.read(ctx, i)
	if err != nil {
		return nil, err
	}
	status, won := e.status(rec, entry)
	if status == Approved && won.by == a.id && !won.waits && a.mark == markCollected {
		return e.repeatResult(ctx, rec, won)
	}
	if err := closedError(status); err != nil {
		return nil, err
	}
	return nil, ErrAttemptsExhausted
}

// repeatResult is the receipt of an approval whose answer was lost, for the very request that has won it: the same claims
// with the first expiry, as long as the receipt was not used.
func (e *Engine) repeatResult(ctx context.Context, rec *record, won approval) (*Result, error) {
	r := &Result{Claims: rec.Claims}
	if rec.Claims == nil {
		r.Claims = e.claims(rec, won.at, won.at)
	}
	if rec.Redeemed || e.cfg.Clock().Unix() >= r.Claims.ExpiresAt {
		return nil, ErrChallengeApproved
	}
	if e.tombstones.Add(rec.id.rand, endChallenge, Approved) { // this node has sent no event yet
		e.emit(ctx, EventApproved, &rec.Challenge, func(ev *Event) { ev.Repeated = true })
	}
	var err error
	r.Factor, err = e.enrolled(ctx, rec)
	return r, err
}

// recordWrongAnswer records a wrong answer; it was charged before it was compared.
func (e *Engine) recordWrongAnswer(ctx context.Context, i challengeID, a *attempt, entry Entry) *Error {
	about := &Challenge{ID: i.id, Strategy: i.strategy.Name(), Purpose: a.purpose}
	e.emit(ctx, EventFailed, about)
	if entry.State == StateLocked {
		e.recordLocked(ctx, i, about)
	}
	return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0)}
}

func (e *Engine) recordLocked(ctx context.Context, i challengeID, about *Challenge) {
	e.tombstones.Add(i.rand, endChallenge, Locked)
	e.watchers.Wake(i.id)
	e.emit(ctx, EventLocked, about)
}

// recordExpired sends the event, once, that a challenge's time is over. Nothing waits for that moment: it is noticed when somebody comes.
func (e *Engine) recordExpired(ctx context.Context, i challengeID, about *Challenge) {
	if e.tombstones.Add(i.rand, endChallenge, Expired) {
		e.watchers.Wake(i.id)
		e.emit(ctx, EventExpired, about)
	}
}

// The least time that a refused answer takes where factors are compared, and whatever shows a challenge that reads them, so that the time does
// not tell whose factor it was, if anybody's, and where its failure was counted.
const (
	minRefusalTime = 40 * time.Millisecond
	minViewTime    = 3 * time.Millisecond

	// what took longer ends whole steps later
	delayStep = 3 * time.Millisecond
)

// delayUntil waits until an answer is as late as each is, or, with stores that are farther away, until the next step after
// that, and by up to a millisecond longer: what a few microseconds more or less of work leave behind drowns in that.
func (e *Engine) delayUntil(ctx context.Context, began time.Time, least time.Duration) {
	random, err := e.random(2)
	if err != nil {
		random = []byte{0, 0}
	}
	extra := time.Duration(binary.BigEndian.Uint16(random)) * (time.Millisecond >> 16)
	if late := time.Since(began) - least; late > 0 {
		least += late.Truncate(delayStep) + delayStep
	}
	wait.Until(ctx, began.Add(least+extra))
}

// delayView holds back a start, a status or a page, where the strategy has decoys.
func (e *Engine) delayView(ctx context.Context, began time.Time, s Strategy, purpose string) {
	if _, makes := s.(DecoyMaker); makes && purpose != PurposeEnrol {
		e.delayUntil(ctx, began, minViewTime)
	}
}

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

// contradictions lists the fields in which the caller's word is not the challenge's: another purpose, somebody else, another
// transaction. Such an answer is wrong, whatever it says. A discoverable passkey's challenge names nobody.
func contradictions(rec *record, a *attempt) (fields []string) {
	if a.purpose != rec.Purpose {
		fields = append(fields, "purpose")
	}
	if !sameRespondent(a.respondent, rec) {
		fields = append(fields, respondentField(a.respondent))
	}
	if a.mismatch || a.transaction != nil && !maps.Equal(a.transaction, rec.Transaction) {
		fields = append(fields, "transaction")
	}
	return fields
}

func contradicts(rec *record, a *attempt) bool { return len(contradictions(rec, a)) > 0 }

// sameRespondent compares the caller's word with the challenge.
func sameRespondent(claimed string, rec *record) bool {
	return claimed == respondentOf(rec.Subject, rec.Address)
}

// respondentField is the request's field that the result of who came from.
func respondentField(claimed string) string {
	if strings.HasPrefix(claimed, "address ") {
		return "to"
	}
	return "subject"
}

// explainsContradictions reports whether somebody wants to know why an answer contradicts its challenge.
func (e *Engine) explainsContradictions(ctx context.Context) bool {
	return e.cfg.Development || e.log.Enabled(ctx, slog.LevelDebug)
}

// explainContradiction logs in which fields a wrong answer contradicts its challenge, so that a wrong call is not taken for a person who
// mistyped. In development the answer to the caller holds it too. Neither holds what the caller sent.
func (e *Engine) explainContradiction(ctx context.Context, rec *record, a *attempt) map[string]any {
	fields := contradictions(rec, a)
	if len(fields) == 0 {
		return nil
	}
	e.log.DebugContext(ctx, "answer contradicts its challenge", "challenge", rec.ID, "fields", fields, "purpose", rec.Purpose)
	if !e.cfg.Development {
		return nil
	}
	details := map[string]any{}
	for _, f := range fields {
		details[f] = contradictionReason(f, rec)
	}
	return details
}

// contradictionReason says what to send instead in a field that contradicts the challenge.
func contradictionReason(field string, rec *record) string {
	switch {
	case field == "purpose":
		return "is not the start's, which is " + rec.Purpose
	case field == "transaction":
	case rec.Subject == "" && rec.Address == "":
		return "is not the start's, which named nobody: leave it out"
	case field == "to" && rec.Subject != "":
		return "is not the start's, which named a subject: repeat subject"
	case field == "subject" && rec.Subject == "":
		return "is not the start's, which named an address alone: repeat to"
	}
	return "is not the start's"
}

// explainUnreadContradiction is explain for an answer that the store compared, so that the challenge was not read. That is read only if
// somebody wants to know.
func (e *Engine) explainUnreadContradiction(ctx context.Context, i challengeID, a *attempt) map[string]any {
	if a.mark != markCollected || !e.explainsContradictions(ctx) {
		return nil
	}
	_, rec, err := e.read(ctx, i)
	if err != nil {
		return nil
	}
	return e.explainContradiction(ctx, rec, a)
}
