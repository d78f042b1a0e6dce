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

// explainRefusal translates an error of Store.Attempt. The repetition of a request that was approved, and whose response was
// lost, gets its receipt.
func (e *Engine) explainRefusal(ctx context.Context, id challengeID, a *attempt, entry Entry, err error) (*Result, error) {
	var budgetErr *BudgetError
	switch {
	case errors.Is(err, ErrMismatch):
		refusal := e.recordWrongAnswer(ctx, id, a, entry)
		refusal.Extra = e.explainUnreadContradiction(ctx, id, a)
		return nil, refusal
	case errors.Is(err, ErrNotFound):
		return nil, ErrUnknownChallenge
	case errors.Is(err, ErrExpired):
		e.recordExpired(ctx, id, &Challenge{ID: id.text, Strategy: id.strategy.Name(), Purpose: a.purpose})
		return nil, ErrChallengeExpired
	case errors.Is(err, ErrSpent):
		return nil, ErrAttemptsExhausted
	case errors.As(err, &budgetErr):
		return nil, &Error{Code: ErrTooManyGuesses.Code, RetryAfter: budgetErr.RetryAfter}
	case errors.Is(err, ErrClosed):
		if refusal := unapprovedError(entry.State); refusal != nil && !hasEndings(id.strategy) {
			return nil, refusal
		}
		return e.resolveClosed(ctx, id, a)
	}
	return nil, unavailable(err)
}

// unapprovedError returns the error for an entry that was closed without an approval. Guesses at a locked challenge then cost no
// read of it. It is nil for other states.
func unapprovedError(s State) error {
	switch s {
	case StateLocked:
		return ErrAttemptsExhausted
	case StateCanceled:
		return ErrChallengeCanceled
	}
	return nil
}

// resolveClosed returns the error for the state of a closed challenge, or the receipt if this request has closed it.
func (e *Engine) resolveClosed(ctx context.Context, id challengeID, a *attempt) (*Result, error) {
	entry, rec, err := e.read(ctx, id)
	if err != nil {
		return nil, err
	}
	status, approved := e.status(rec, entry)
	if own := status == Approved && approved.requestID == a.requestID; own && a.part {
		return e.resultOfApproval(rec, approved), nil
	} else if own && !approved.uncollected && a.receipt == receiptReturned {
		return e.repeatResult(ctx, rec, approved)
	}
	if err := closedError(status); err != nil {
		return nil, err
	}
	return nil, ErrAttemptsExhausted
}

// repeatResult returns the receipt of an approval to the repetition of the request that closed the challenge: the same claims
// with the first expiry, unless the receipt was used.
func (e *Engine) repeatResult(ctx context.Context, rec *record, approved approval) (*Result, error) {
	r := e.resultOfApproval(rec, approved)
	if rec.Redeemed || e.cfg.Clock().Unix() >= r.Claims.ExpiresAt {
		return nil, ErrChallengeApproved
	}
	if e.tombstonesOf(rec.id).Add(rec.id.random, tombstoneChallenge, Approved) { // this node has sent no event yet
		e.emit(ctx, EventApproved, &rec.Challenge, func(ev *Event) { ev.Repeated = true })
	}
	var err error
	r.Factor, err = e.enrolledFactor(ctx, rec)
	return r, err
}

// resultOfApproval returns the result of an approved challenge's right answer.
func (e *Engine) resultOfApproval(rec *record, approved approval) *Result {
	if rec.Claims != nil {
		return &Result{Claims: rec.Claims, enrolledBy: rec.FactorEnrolledBy, browser: approved.browser}
	}
	return &Result{Claims: e.claims(rec, approved.at, approved.at), browser: approved.browser}
}

// recordWrongAnswer sends the events of a wrong answer and returns the error. The try was charged before.
func (e *Engine) recordWrongAnswer(ctx context.Context, id challengeID, a *attempt, entry Entry) *Error {
	c := &Challenge{ID: id.text, Strategy: id.strategy.Name(), Purpose: a.purpose}
	e.emit(ctx, EventFailed, c)
	if entry.State == StateLocked {
		e.recordLocked(ctx, id, c)
	}
	return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0)}
}

// The least durations of refusals by strategies with factors, and of reads that involve factors. They hide whether the
// subject exists, whose factor it was, and where its failure was counted.
const (
	minRefusalTime = 40 * time.Millisecond
	minViewTime    = 3 * time.Millisecond

	// Longer operations end at whole steps after the least duration.
	delayStep = 3 * time.Millisecond
)

// delayUntil waits for the least duration since began or, if that is over, for the end of the current step, plus up to a
// random millisecond that hides differences of microseconds.
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

// delayView delays a start, a status or a page of a strategy with decoys.
func (e *Engine) delayView(ctx context.Context, began time.Time, s Strategy, purpose string) {
	if _, isDecoyMaker := s.(DecoyMaker); isDecoyMaker && purpose != PurposeEnrol {
		e.delayUntil(ctx, began, minViewTime)
	}
}

// settleWrongAnswer records a wrong answer. It first settles the try, which locks the challenge if it has no tries left and
// none is in flight. If the challenge has ended meanwhile, the answer gets the error of that state and counts as no failure,
// because a copy of it may have been approved. Then it adds one failure to each compared factor.
func (e *Engine) settleWrongAnswer(ctx context.Context, rec *record, entry Entry, a *attempt, wrong *wrongAnswerError) (*Result, error) {
	err := e.cfg.Store.Close(ctx, rec.id.storeID, Closing{State: StateLocked, Settles: true, Idle: tryTimeout, Ended: e.endOutgoing(rec.id)})
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
	for _, f := range wrong.compared {
		result, err := e.countFailureOrApprove(ctx, rec, entry, a, f)
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
	if a.receipt == receiptReturned {
		refusal.Extra = wrong.extra
	}
	return nil, refusal
}

// countFailureOrApprove counts a failure of a factor. If the factor was changed meanwhile, a copy of this answer may have been
// right; then its note is there, and this answer is right too.
func (e *Engine) countFailureOrApprove(ctx context.Context, rec *record, entry Entry, a *attempt, f Factor) (*Result, error) {
	for range maxConflictRetries {
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
		if n := f.findNote(rec.id.random, e.cfg.Clock()); n != nil && n.matchesDigest(rec.answerDigest(a)) {
			result, err := e.resultOfNote(ctx, rec, n, &f)
			if err != nil {
				return nil, err
			}
			return e.approve(ctx, rec, a, result, entry.LastTry.Add(tryTimeout))
		}
	}
	return nil, unavailable(ErrConflict)
}

// settleRefusal settles a try that was refused for another reason than a wrong answer, such as a locked factor. A try with an
// unknown outcome stays in flight.
func (e *Engine) settleRefusal(ctx context.Context, rec *record, refusal error) error {
	if errors.Is(refusal, ErrUnavailable) {
		return refusal
	}
	err := e.cfg.Store.Close(ctx, rec.id.storeID, Closing{State: StateLocked, Settles: true, Idle: tryTimeout, Ended: e.endOutgoing(rec.id)})
	switch {
	case err == nil:
		e.recordLocked(ctx, rec.id, &rec.Challenge)
	case errors.Is(err, ErrInFlight), errors.Is(err, ErrClosed), errors.Is(err, ErrNotFound): // it has tries left, or has ended
	default: // the try counts as in flight until tryTimeout
		e.log.ErrorContext(ctx, "refused try not settled", "challenge", rec.ID, "error", err)
	}
	return refusal
}

// contradictions returns the fields of a request that differ from the challenge: purpose, respondent or transaction. Such an
// answer is wrong.
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

// sameRespondent reports whether the claimed respondent is that of the challenge.
func sameRespondent(claimed string, rec *record) bool {
	return claimed == respondentOf(rec.Subject, rec.Address)
}

// respondentField returns the field of the request that the respondent came from.
func respondentField(claimed string) string {
	if strings.HasPrefix(claimed, "address ") {
		return "to"
	}
	return "subject"
}

// explainsContradictions reports whether contradictions are logged or returned.
func (e *Engine) explainsContradictions(ctx context.Context) bool {
	return e.cfg.Development || e.log.Enabled(ctx, slog.LevelDebug)
}

// explainContradiction logs the fields in which a wrong answer contradicts its challenge, so that an error in the app is not
// taken for a mistyped code. In development it also returns them for the caller. It never contains what the caller sent.
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

// contradictionReason returns what to send in a field that contradicts the challenge.
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

// explainUnreadContradiction is explainContradiction for an answer that the store compared. It reads the challenge only if
// contradictions are logged or returned.
func (e *Engine) explainUnreadContradiction(ctx context.Context, id challengeID, a *attempt) map[string]any {
	if a.receipt != receiptReturned || !e.explainsContradictions(ctx) {
		return nil
	}
	_, rec, err := e.read(ctx, id)
	if err != nil {
		return nil
	}
	return e.explainContradiction(ctx, rec, a)
}
