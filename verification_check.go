package watchword

import (
	"context"
	"errors"
	"maps"
)

// CheckVerification checks the answer of a trusted caller to one method, and returns the claims of the receipt. Of any number of
// right answers, by whatever methods and on whatever nodes, one gets the receipt; the others are refused with
// ErrChallengeApproved. What is refused with ErrInvalidRequest or ErrUnknownMethod costs no try.
func (e *Engine) CheckVerification(ctx context.Context, id string, req VerificationCheck) (*VerificationResult, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return nil, err
	}
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return nil, err
	}
	requestID := e.newRequestID(req.Seed)
	if v.Collected && v.CollectedBy == requestID {
		return e.repeatCollection(ctx, v)
	}
	result, err := e.checkVerification(ctx, v, req, requestID)
	if req.Seed == nil || !errors.Is(err, ErrChallengeApproved) {
		return result, err
	}
	if v, readErr := e.readVerification(ctx, parsed); readErr == nil && v.Collected && v.CollectedBy == requestID {
		return e.repeatCollection(ctx, v) // a repetition of this request was faster
	}
	return nil, err
}

// checkVerification is CheckVerification for a verification that was read.
func (e *Engine) checkVerification(ctx context.Context, v *verificationRecord, req VerificationCheck, requestID requestID) (*VerificationResult, error) {
	if err := e.endedVerification(ctx, v); err != nil {
		return nil, err
	}
	m, challenge, err := e.methodToAnswer(v, req.Method)
	if err != nil {
		return nil, err
	}
	if err := e.validateMethodCheck(v, challenge, req.CheckRequest); err != nil {
		return nil, err
	}
	req.Answer.Starter = true
	if req.Answer, err = readAnswer(challenge.strategy, req.Answer); err != nil {
		return nil, err
	}
	if err := e.chargeCheck(ctx, req.Client); err != nil {
		return nil, err
	}
	a := attempt{requestID: requestID, purpose: req.Purpose, respondent: e.claimedRespondent(req.CheckRequest), answer: req.Answer, transaction: req.Transaction,
		mismatch: req.Transaction != nil && !maps.Equal(req.Transaction, v.Transaction)}
	answered, err := e.answerMethod(ctx, v, m, challenge, &a)
	if err != nil {
		return nil, err
	}
	return e.collect(ctx, v, m.ID, answered, requestID)
}

// AnswerVerification checks the answer of an untrusted caller, a hosted page, to one method. The starter collects the receipt with
// RedeemVerification. The method may be empty while only one is open.
func (e *Engine) AnswerVerification(ctx context.Context, id, method string, answer Answer, client Client) error {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return err
	}
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return err
	}
	return e.answerUntrusted(ctx, v, method, answer, client)
}

// answerPart is Answer for a challenge that is part of a verification, as a link's page calls it.
func (e *Engine) answerPart(ctx context.Context, id challengeID, answer Answer, client Client) error {
	_, rec, err := e.read(ctx, id)
	if err != nil {
		return err
	}
	parent, err := e.parseVerification(rec.Verification)
	if err != nil {
		return ErrUnknownChallenge
	}
	v, err := e.readVerification(ctx, parent)
	if errors.Is(err, ErrUnknownVerification) {
		return ErrUnknownChallenge
	}
	if err != nil {
		return err
	}
	for _, m := range v.Methods {
		if m.Challenge == id.text {
			return e.answerUntrusted(ctx, v, m.ID, answer, client)
		}
	}
	return ErrChallengeExpired // the method was opened again since
}

// answerUntrusted checks an answer that takes purpose and respondent from the verification. The receipt waits.
func (e *Engine) answerUntrusted(ctx context.Context, v *verificationRecord, method string, answer Answer, client Client) error {
	if err := e.endedVerification(ctx, v); err != nil {
		return err
	}
	m, challenge, err := e.methodToAnswer(v, method)
	if err != nil {
		return err
	}
	if answer, err = readAnswer(challenge.strategy, answer); err != nil {
		return err
	}
	if err := e.chargeCheck(ctx, client); err != nil {
		return err
	}
	a := attempt{requestID: e.newRequestID(nil), purpose: v.Purpose, respondent: respondentOf(v.Subject, m.Address), answer: answer}
	answered, err := e.answerMethod(ctx, v, m, challenge, &a)
	if err != nil {
		return err
	}
	_, err = e.settleVerification(ctx, v, m.ID, answered, nil)
	return err
}

// endedVerification returns the error of a verification that has ended; nil if it is pending.
func (e *Engine) endedVerification(ctx context.Context, v *verificationRecord) error {
	status := e.verificationStatus(v)
	if status == Expired {
		e.recordVerificationExpired(ctx, v)
	}
	return closedError(status)
}

// methodToAnswer returns the method that a request names, with its challenge. Without a name, it is the one that is open, or the one
// opened last if all have ended: its end is the answer, whether or not it is recorded already. A method that was not opened, or does
// not meet the requirement, cannot be answered.
func (e *Engine) methodToAnswer(v *verificationRecord, id string) (*verificationMethod, challengeID, error) {
	var open []string
	for i := range v.Methods {
		if v.Methods[i].isOpen() {
			open = append(open, v.Methods[i].ID)
		}
	}
	if id == "" {
		switch {
		case len(open) == 1:
			id = open[0]
		case len(open) == 0 && v.Current != "":
			id = v.Current
		case len(open) == 0:
			return nil, challengeID{}, invalid("method", "none is open: open one first")
		default:
			return nil, challengeID{}, invalid("method", "is required once several methods are open")
		}
	}
	m := v.method(id)
	switch {
	case m == nil:
		return nil, challengeID{}, ErrUnknownMethod
	case m.Ended != "":
		return nil, challengeID{}, closedError(m.Ended)
	case m.Challenge == "":
		return nil, challengeID{}, invalid("method", "is not open: open it first")
	}
	challenge, err := e.parse(m.Challenge)
	if err != nil || !v.Require.canBeMet(challenge.strategy.Properties()) { // by another configuration than that of the start
		return nil, challengeID{}, ErrUnknownMethod
	}
	return m, challenge, nil
}

// validateMethodCheck refuses a request that lacks the purpose or the respondent. No try is charged.
func (e *Engine) validateMethodCheck(v *verificationRecord, challenge challengeID, req CheckRequest) error {
	if err := validateCheck(challenge.strategy.Properties(), req); err != nil {
		return err
	}
	if req.Subject == "" && req.To == "" && respondentOf(v.Subject, v.Address) != "" {
		return invalid("subject", "is required")
	}
	return nil
}

// answerMethod checks an answer to the challenge of a method, and returns the result of a right one. The receipt of the challenge
// waits: only the verification turns it into one.
func (e *Engine) answerMethod(ctx context.Context, v *verificationRecord, m *verificationMethod, challenge challengeID, a *attempt) (*Result, error) {
	a.receipt, a.part, a.undecided, a.browser = receiptUncollected, true, true, v.Page.CookieDigest
	began := e.cfg.Clock()
	result, err := e.check(ctx, challenge, a)
	if err != nil {
		if ending, ended := e.tombstones.Find(challenge.random, tombstoneChallenge); ended && ending == Locked {
			method := m.ID
			e.background.RunUntilDone(ctx, func(ctx context.Context) error {
				e.recordMethodEnded(ctx, v, method, challenge.text, ending)
				return nil
			})
		}
		return nil, err
	}
	result.browser = a.browser
	if result.undecided != nil {
		result.undecided.limit = began.Add(tryTimeout)
	}
	return result, nil
}

// recordMethodEnded records in the verification how the challenge of a method ended. Without the record, the challenge says so.
func (e *Engine) recordMethodEnded(ctx context.Context, v *verificationRecord, method, challenge string, ending Status) {
	if err := e.endMethod(ctx, v, method, challenge, ending); err != nil && !errors.Is(err, ErrClosed) {
		e.log.WarnContext(ctx, "end of a method not recorded", "verification", v.ID, "error", err)
	}
	e.watchers.Wake(v.ID)
}

// endMethod writes into the verification how the challenge of a method has ended, unless that is written. ErrClosed: the verification has
// ended, or the method has another challenge.
func (e *Engine) endMethod(ctx context.Context, v *verificationRecord, method, challenge string, ending Status) error {
	_, err := e.updateVerification(ctx, v.id, v, func(v *verificationRecord) error {
		m := v.method(method)
		switch {
		case m == nil || m.Challenge != challenge || v.Answered != "" || v.isCanceled():
			return ErrClosed
		case m.Ended != "":
			return errRepeatedRequest
		}
		m.Ended = ending
		return nil
	})
	if errors.Is(err, errRepeatedRequest) {
		return nil
	}
	return err
}
