package watchword

import (
	"context"
	"crypto/hmac"
	"errors"
	"maps"
	"slices"
	"time"
)

// A CheckRequest is an answer to a challenge. It repeats the purpose and the subject or, for a challenge without a subject,
// the address. They are part of the comparison: an answer to another person's challenge is wrong.
type CheckRequest struct {
	Purpose     string            // of the start; required
	Subject     string            // of the start; empty if the start had none
	To          string            // the address of a start without a subject; not with Subject
	Answer      Answer            // Answer.Starter is set by Check
	Transaction map[string]string // if set, it must equal that of the start
	Client      Client            // counted by Config.Checks

	// Seed, if set, names the request. A repetition with the same seed returns the same receipt if the first response was
	// lost.
	Seed []byte
}

// A Result is the outcome of a right answer.
type Result struct {
	Claims *Claims // of the receipt; the caller signs them
	Factor *Factor // the enrolled factor; nil for other purposes than PurposeEnrol

	created bool    // Factor was created and not replaced
	noted   *Factor // the factor that holds this answer's note, as stored; nil: none
}

// An attempt is one answer while it is checked.
type attempt struct {
	id          attemptID
	purpose     string
	respondent  string
	answer      Answer
	transaction map[string]string
	mark        byte // receiptReturned or receiptUncollected
	mismatch    bool // the answer is known to be wrong before the comparison; the try is charged all the same
}

// Check checks the answer of a trusted caller, the app's backend, and returns the claims of the receipt. It charges one try
// of the challenge and one unit of the guess budget before it compares. Every error is an *Error; a wrong answer is
// ErrIncorrectAnswer with Remaining.
func (e *Engine) Check(ctx context.Context, id string, req CheckRequest) (*Result, error) {
	i, err := e.parse(id)
	if err != nil {
		return nil, err
	}
	s := i.strategy
	if err := validateCheck(s.Properties(), req); err != nil {
		return nil, err
	}
	req.Answer.Starter = true
	if req.Answer, err = readAnswer(s, req.Answer); err != nil {
		return nil, err
	}
	if err := e.chargeCheck(ctx, req.Client); err != nil {
		return nil, err
	}
	a := attempt{purpose: req.Purpose, respondent: e.claimedRespondent(req), answer: req.Answer, transaction: req.Transaction, mark: markCollected}
	a.id = e.newAttempt(req.Seed)
	if req.Transaction != nil || a.respondent == "" {
		if err := e.compareUndigested(ctx, i, &a); err != nil {
			return nil, err
		}
	}
	return e.check(ctx, i, &a)
}

// compareUndigested compares the fields that are not part of the stored digest. An answer without a subject and an address
// can only be to a challenge without them; any other challenge refuses it with ErrInvalidRequest, and no try is charged.
func (e *Engine) compareUndigested(ctx context.Context, i challengeID, a *attempt) error {
	_, rec, err := e.read(ctx, i)
	if err != nil {
		return err
	}
	if a.respondent == "" && respondentOf(rec.Subject, rec.Address) != "" {
		return invalid("subject", "is required")
	}
	a.mismatch = a.transaction != nil && !maps.Equal(a.transaction, rec.Transaction)
	return nil
}

// Answer checks the answer of an untrusted caller: a hosted page or a link. It takes the purpose and the subject from the
// challenge and does not return the receipt; the starter collects it with Redeem. Every error is an *Error.
func (e *Engine) Answer(ctx context.Context, id string, answer Answer, client Client) error {
	i, err := e.parse(id)
	if err != nil {
		return err
	}
	if answer, err = readAnswer(i.strategy, answer); err != nil {
		return err
	}
	if err := e.chargeCheck(ctx, client); err != nil {
		return err
	}
	_, rec, err := e.read(ctx, i)
	if err != nil {
		return err
	}
	a := attempt{purpose: rec.Purpose, respondent: respondentOf(rec.Subject, rec.Address), answer: answer, mark: markWaiting}
	a.id = e.newAttempt(nil)
	_, err = e.check(ctx, i, &a)
	return err
}

// validateCheck refuses a request that lacks the purpose or the respondent. No try is charged.
func validateCheck(t StrategyProperties, req CheckRequest) error {
	switch {
	case req.Purpose == "":
		return invalid("purpose", "is required")
	case req.Subject != "" && req.To != "":
		return invalid("to", "must not be given beside subject")
	case req.Subject == "" && req.To == "" && (t.Subject || t.Sends):
		return invalid("subject", "is required, or to where the challenge has no subject")
	case !isSubject(req.Subject):
		return invalid("subject", subjectReason)
	}
	if fields := req.Client.invalidFields(); len(fields) > 0 {
		return &Error{Code: ErrInvalidRequest.Code, Fields: fields}
	}
	return nil
}

// claimedRespondent returns the respondent that the request names. An address without a canonical form belongs to nobody.
func (e *Engine) claimedRespondent(req CheckRequest) string {
	if req.To == "" {
		return respondentOf(req.Subject, "")
	}
	if e.cfg.Addresses != nil {
		if a, _ := e.cfg.Addresses("", req.To); a.Value != "" {
			return respondentOf("", a.Value)
		}
	}
	return respondentOf("", "?"+req.To)
}

// check evaluates an answer and is the only way to a receipt. In this order it charges the try, evaluates, spends what can be
// used once, closes the challenge and records the approval. For a Matcher, charging, comparing and closing are one atomic
// step of the store.
func (e *Engine) check(ctx context.Context, i challengeID, a *attempt) (*Result, error) {
	s := i.strategy
	verifier, evaluated := s.(Verifier)
	if evaluated {
		began := time.Now()
		result, err := e.checkWithVerifier(ctx, i, verifier, a)
		if err != nil {
			e.delayUntil(ctx, began, minRefusalTime)
		}
		return result, err
	}
	guesses := []Guess(nil)
	if !a.mismatch {
		guesses = e.guesses(i, s.(Matcher), a, e.cfg.Clock())
	}
	entry, err := e.cfg.Store.Attempt(ctx, i.ref, guesses, e.budget(i))
	if err != nil {
		return e.explainRefusal(ctx, i, a, entry, err)
	}
	rec, err := e.open(ctx, i, entry)
	if err != nil {
		return nil, err
	}
	return e.acceptMatch(ctx, rec, entry, a, guesses)
}

// checkWithVerifier is the ceremony for answers that the strategy evaluates after the try was charged.
func (e *Engine) checkWithVerifier(ctx context.Context, i challengeID, s Verifier, a *attempt) (*Result, error) {
	entry, err := e.cfg.Store.Attempt(ctx, i.ref, nil, e.budget(i))
	var spent *BudgetError
	if errors.Is(err, ErrSpent) || errors.As(err, &spent) {
		_, refusal := e.explainRefusal(ctx, i, a, entry, err)
		return e.checkWithoutTry(ctx, i, s, a, entry, refusal)
	}
	if err != nil {
		return e.explainRefusal(ctx, i, a, entry, err)
	}
	rec, err := e.open(ctx, i, entry)
	if err != nil {
		return nil, err
	}
	return e.evaluateAnswer(ctx, s, rec, entry, a)
}

// guesses returns the digests of every meaning of the answer under every key of the keyring.
func (e *Engine) guesses(i challengeID, s Matcher, a *attempt, now time.Time) []Guess {
	candidates := s.Candidates(a.answer)
	out := make([]Guess, 0, len(candidates)*len(e.keyring))
	for _, c := range candidates {
		for _, k := range e.keyring {
			digest := k.digest(i.id, a.purpose, a.respondent, c.Text)
			g := Guess{Digest: digest[:], State: StateLocked}
			if !c.LocksChallenge {
				g.State, g.Mark = StateApproved, k.mark(i.id, a, now, digest[:])
			}
			out = append(out, g)
		}
	}
	return out
}

func (e *Engine) budget(i challengeID) Budget {
	t := i.strategy.Properties()
	if t.Group == GroupNone || e.cfg.NoBudget {
		return Budget{}
	}
	return Budget{Key: i.budgetKey(), Limits: e.cfg.Budget, FirstFree: t.Group == GroupAddress || t.unguessable()}
}

// unguessable reports whether a limit on guesses protects nothing: a million guesses a second for a year succeed with a
// chance of less than 1 in 1,000.
func (t StrategyProperties) unguessable() bool {
	return t.Space > 0 && float64(max(t.RightAnswers, 1))/t.Space < 1e-17
}

// acceptMatch accepts a match of the store only if the encrypted record agrees with it: the digest, which covers purpose and
// respondent, and the expiry. The mark must be one that this attempt offered; the mark of an earlier approval is no match.
func (e *Engine) acceptMatch(ctx context.Context, rec *record, entry Entry, a *attempt, offered []Guess) (*Result, error) {
	if entry.State == StateLocked {
		e.recordLocked(ctx, rec.id, &rec.Challenge)
		return nil, &Error{Code: ErrIncorrectAnswer.Code}
	}
	won, valid := rec.won(entry.Mark)
	ours := slices.ContainsFunc(offered, func(g Guess) bool { return g.State == StateApproved && hmac.Equal(g.Mark, entry.Mark) })
	switch {
	case !valid && won.at.After(rec.ExpiresAt):
		return nil, ErrChallengeExpired
	case valid && entry.State == StateApproved && !ours:
		e.log.ErrorContext(ctx, "the store matched an answer to a challenge that was won before", "challenge", rec.ID)
		return nil, ErrChallengeApproved
	case !valid || entry.State != StateApproved:
		e.log.ErrorContext(ctx, "the store matched an answer that the seal does not know", "challenge", rec.ID)
		return nil, &Error{Code: ErrIncorrectAnswer.Code}
	}
	return e.recordApproval(ctx, rec, a, &Result{Claims: e.claims(rec, won.at, won.at)})
}

// recordApproval ends the check of a right answer, if the challenge has not ended in this process before.
func (e *Engine) recordApproval(ctx context.Context, rec *record, a *attempt, r *Result) (*Result, error) {
	if !e.tombstones.Add(rec.id.rand, endChallenge, Approved) {
		e.log.ErrorContext(ctx, "the store reopened a challenge that had ended here", "challenge", rec.ID)
		return nil, e.endedError(rec)
	}
	if a.mark == markCollected {
		e.tombstones.Add(rec.id.rand, endCollected, Approved)
	}
	e.watchers.Wake(rec.ID)
	e.emit(ctx, EventApproved, &rec.Challenge)
	return r, nil
}

// endedError returns the error for a challenge that has ended in this process; nil: it has not.
func (e *Engine) endedError(rec *record) error {
	status, _ := e.tombstones.Find(rec.id.rand, endChallenge)
	return closedError(status)
}
