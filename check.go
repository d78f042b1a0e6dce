package watchword

import (
	"context"
	"crypto/hmac"
	"errors"
	"maps"
	"slices"
	"time"
)

// A CheckRequest brings an answer, and says again what it answers: the purpose, and who, by the subject or, for a
// challenge without one, the address. They are part of what is compared, so an answer to somebody else's challenge is
// a wrong answer.
type CheckRequest struct {
	Purpose     string
	Subject     string
	To          string
	Answer      Answer
	Transaction map[string]string // if set, it must be the challenge's
	Client      Client

	// Seed, if set, names this request: the same one again, after its answer was lost, gets the same receipt.
	Seed []byte
}

// A Result is what a right answer earns.
type Result struct {
	Claims *Claims // of the receipt, to be signed by whoever serves it
	Factor *Factor // what was enrolled, if that was the purpose

	created bool    // the factor is a new one
	noted   *Factor // that the answer was paid with, as it was stored; nil: nothing was spent
}

// attempt is one answer on its way through the ceremony.
type attempt struct {
	id          attemptID
	purpose     string
	respondent  string
	answer      Answer
	transaction map[string]string
	mark        byte // markCollected: the caller gets the receipt at once; markWaiting: it waits for Redeem
	mismatch    bool // known to be wrong before it is compared; the try is charged all the same
}

// Check is for trusted callers, the app's backend: it runs the ceremony and returns the claims of the receipt. Every
// refusal is an *Error; a wrong answer is ErrIncorrectAnswer.
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

// compareUndigested compares what is not part of the digest. An answer that names nobody is one to a challenge that names nobody;
// to any other it is no answer, and costs nothing.
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

// Answer is for untrusted callers, a page or a link: it reads the entry to learn who was asked, runs the same ceremony,
// and leaves the receipt to whoever started the challenge and calls Redeem.
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

// validateCheck refuses a request that does not say what is answered, and by whom; it costs nothing.
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

// claimedRespondent is the caller's word of who answers. An address that cannot be made canonical is nobody's.
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

// check is the ceremony, and the only place where an answer becomes a receipt: charge the try, evaluate, spend what is
// single-use, win, record. For digests the first, second and fourth are one atomic step of the store.
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

// guesses are the digests of what the answer may mean, under every key of the ring.
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

// unguessable reports whether answers are drawn from so many that a limit on guesses protects nothing: a million guesses a
// second for a year find one with a chance of less than 1 in 1,000.
func (t StrategyProperties) unguessable() bool {
	return t.Space > 0 && float64(max(t.RightAnswers, 1))/t.Space < 1e-17
}

// acceptMatch believes a store's match only if the seal agrees: the digest that won, the expiry and, in the digest, the
// purpose and who. The mark must be one that this attempt offered: one of an earlier approval is no answer to this one.
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

// recordApproval is the end of the ceremony: the challenge was won, here, for the first time.
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

func (e *Engine) endedError(rec *record) error {
	status, _ := e.tombstones.Find(rec.id.rand, endChallenge)
	return closedError(status)
}
