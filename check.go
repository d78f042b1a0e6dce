package watchword

import (
	"context"
	"crypto/hmac"
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
	Claims *Claims // of the receipt; the caller signs them. Those of an enrolment have PurposeManageFactors
	Factor *Factor // the enrolled factor; nil for other purposes than PurposeEnrol

	factorCreated bool    // Factor was created and not replaced
	enrolledBy    string  // the challenge that enrolled the factor that answered; empty: none did
	browser       []byte  // approval.browser
	spentFactor   *Factor // the factor that holds this answer's note, as stored; nil: none

	undecided *undecidedAnswer // the answer's verification decides whether it approves; nil: the challenge is closed
}

// An attempt is one answer while it is checked.
type attempt struct {
	requestID   requestID
	purpose     string
	respondent  string
	answer      Answer
	transaction map[string]string
	receipt     byte   // receiptReturned or receiptUncollected
	part        bool   // of a verification, which collects the receipt
	undecided   bool   // the verification decides which right answer approves, before the challenge is closed
	browser     []byte // pageBinding.CookieDigest of the page, of the challenge or of its verification; empty: no browser has opened it
	mismatch    bool   // the answer is known to be wrong before the comparison; the try is charged all the same
}

// Check checks the answer of a trusted caller, the app's backend, and returns the claims of the receipt. It charges one try
// of the challenge and one unit of the guess budget before it compares. Every refusal is an *Error; a wrong answer is
// ErrIncorrectAnswer with Remaining.
func (e *Engine) Check(ctx context.Context, id string, req CheckRequest) (*Result, error) {
	parsed, err := e.parseWhole(ctx, id)
	if err != nil {
		return nil, err
	}
	s := parsed.strategy
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
	a := attempt{purpose: req.Purpose, respondent: e.claimedRespondent(req), answer: req.Answer, transaction: req.Transaction, receipt: receiptReturned}
	a.requestID = e.newRequestID(req.Seed)
	if parsed.isLongLived() {
		if err := e.checkSubjectRemains(ctx, parsed); err != nil {
			return nil, err
		}
	}
	if req.Transaction != nil || a.respondent == "" {
		if err := e.compareUndigested(ctx, parsed, &a); err != nil {
			return nil, err
		}
	}
	return e.check(ctx, parsed, &a)
}

// Answer checks the answer of an untrusted caller: a hosted page or a link. It takes the purpose and the subject from the
// challenge and does not return the receipt; the starter collects it with Redeem. Every refusal is an *Error.
func (e *Engine) Answer(ctx context.Context, id string, answer Answer, client Client) error {
	parsed, err := e.parse(id)
	if err != nil {
		return err
	}
	if parsed.isPart() {
		return e.answerPart(ctx, parsed, answer, client)
	}
	if answer, err = readAnswer(parsed.strategy, answerTo(parsed, answer)); err != nil {
		return err
	}
	if err := e.chargeCheck(ctx, client); err != nil {
		return err
	}
	_, rec, err := e.read(ctx, parsed)
	if err != nil {
		return err
	}
	if rec.subjectRemoved {
		return ErrChallengeCanceled
	}
	a := attempt{purpose: rec.Purpose, respondent: respondentOf(rec.Subject, rec.Address), answer: answer, receipt: receiptUncollected}
	a.requestID = e.newRequestID(nil)
	if !rec.LongLived { // the browser of such a link may change until it is answered
		a.browser = rec.Page.CookieDigest
	}
	_, err = e.check(ctx, parsed, &a)
	return err
}

// validateCheck refuses a request that lacks the purpose or the respondent. No try is charged.
func validateCheck(props StrategyProperties, req CheckRequest) error {
	switch {
	case req.Purpose == "":
		return invalid("purpose", "is required")
	case req.Subject != "" && req.To != "":
		return invalid("to", "must not be given beside subject")
	case req.Subject == "" && req.To == "" && (props.Subject || props.SendsMessages):
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

// respondentOf returns who must answer: the subject, or the address of a challenge without a subject; empty for a
// discoverable passkey.
func respondentOf(subject, address string) string {
	switch {
	case subject != "":
		return "subject " + subject
	case address != "":
		return "address " + address
	}
	return ""
}

// compareUndigested compares the fields that are not part of the stored digest. An answer without a subject and an address
// can only be to a challenge without them; any other challenge refuses it with ErrInvalidRequest, and no try is charged.
func (e *Engine) compareUndigested(ctx context.Context, id challengeID, a *attempt) error {
	_, rec, err := e.read(ctx, id)
	if err != nil {
		return err
	}
	if a.respondent == "" && respondentOf(rec.Subject, rec.Address) != "" {
		return invalid("subject", "is required")
	}
	a.mismatch = a.transaction != nil && !maps.Equal(a.transaction, rec.Transaction)
	return nil
}

// check evaluates an answer and is the only way to a receipt. In this order it charges the try, evaluates, spends what can be
// used once, closes the challenge and records the approval.
func (e *Engine) check(ctx context.Context, id challengeID, a *attempt) (*Result, error) {
	verifier, ok := id.strategy.(Verifier)
	if !ok {
		return e.checkWithMatcher(ctx, id, id.strategy.(Matcher), a)
	}
	began := time.Now()
	result, err := e.checkWithVerifier(ctx, id, verifier, a)
	if err != nil {
		e.delayUntil(ctx, began, minRefusalTime)
	}
	return result, err
}

// checkWithMatcher checks an answer whose digest the store compares. Charging, comparing and closing are one atomic step of
// the store; nothing is spent.
func (e *Engine) checkWithMatcher(ctx context.Context, id challengeID, s Matcher, a *attempt) (*Result, error) {
	var guesses []Guess
	if !a.mismatch {
		guesses = e.guesses(id, s, a, e.cfg.Clock())
	}
	entry, err := e.cfg.Store.Attempt(ctx, id.storeID, guesses, e.attemptBudget(id))
	if err != nil {
		return e.explainRefusal(ctx, id, a, entry, err)
	}
	rec, err := e.open(ctx, id, entry)
	if err != nil {
		return nil, err
	}
	return e.acceptMatch(ctx, rec, entry, a, guesses)
}

// guesses returns the digests of every meaning of the answer under every key of the keyring.
func (e *Engine) guesses(id challengeID, s Matcher, a *attempt, now time.Time) []Guess {
	candidates := s.Candidates(a.answer)
	out := make([]Guess, 0, len(candidates)*len(e.keyring))
	for _, c := range candidates {
		for _, k := range e.keyring {
			digest := k.digest(id.text, a.purpose, a.respondent, c.Text)
			g := Guess{Digest: digest[:], State: StateLocked}
			if !c.LocksChallenge {
				g.State, g.Mark = StateApproved, k.mark(id.text, a, now, digest[:])
			}
			out = append(out, g)
		}
	}
	return out
}

// acceptMatch accepts a match of the store only if the encrypted record agrees with it: the digest, which covers purpose and
// respondent, and the expiry. The mark must be one that this attempt offered; the mark of an earlier approval is no match.
func (e *Engine) acceptMatch(ctx context.Context, rec *record, entry Entry, a *attempt, offered []Guess) (*Result, error) {
	if entry.State == StateLocked {
		return nil, e.refuseLockingMatch(ctx, rec)
	}
	approved, valid := rec.readMark(entry.Mark)
	isOffered := slices.ContainsFunc(offered, func(g Guess) bool { return g.State == StateApproved && hmac.Equal(g.Mark, entry.Mark) })
	switch {
	case !valid && approved.at.After(rec.ExpiresAt):
		return nil, ErrChallengeExpired
	case valid && entry.State == StateApproved && !isOffered:
		e.log.ErrorContext(ctx, "store matched an answer to an approved challenge", "challenge", rec.ID)
		return nil, ErrChallengeApproved
	case !valid || entry.State != StateApproved:
		e.log.ErrorContext(ctx, "store matched an answer without a valid mark", "challenge", rec.ID)
		return nil, &Error{Code: ErrIncorrectAnswer.Code}
	}
	return e.recordApproval(ctx, rec, a, &Result{Claims: e.claims(rec, approved.at, approved.at)})
}

// recordApproval ends the check of a right answer, if the challenge has not ended in this process before.
func (e *Engine) recordApproval(ctx context.Context, rec *record, a *attempt, r *Result) (*Result, error) {
	if !e.tombstonesOf(rec.id).Add(rec.id.random, tombstoneChallenge, Approved) {
		e.log.ErrorContext(ctx, "store reopened an ended challenge", "challenge", rec.ID)
		return nil, e.endedError(rec)
	}
	if a.receipt == receiptReturned {
		e.tombstonesOf(rec.id).Add(rec.id.random, tombstoneCollected, Approved)
	}
	e.watchers.Wake(rec.ID)
	if !a.part {
		e.emit(ctx, EventApproved, &rec.Challenge)
	}
	return r, nil
}

// endedError returns the error for a challenge that has ended in this process; nil: it has not.
func (e *Engine) endedError(rec *record) error {
	status, _ := e.tombstonesOf(rec.id).Find(rec.id.random, tombstoneChallenge)
	return closedError(status)
}

// recordLocked records that the challenge was locked: it adds a tombstone, wakes callers of Wait and sends the event.
func (e *Engine) recordLocked(ctx context.Context, id challengeID, c *Challenge) {
	e.tombstonesOf(id).Add(id.random, tombstoneChallenge, Locked)
	e.watchers.Wake(id.text)
	e.emit(ctx, EventLocked, c)
}

// recordExpired records that the challenge has expired, once in this process. An expiry is noticed when the challenge is
// read.
func (e *Engine) recordExpired(ctx context.Context, id challengeID, c *Challenge) {
	if e.tombstonesOf(id).Add(id.random, tombstoneChallenge, Expired) {
		e.watchers.Wake(id.text)
		e.emit(ctx, EventExpired, c)
	}
}
