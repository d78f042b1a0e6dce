package watchword

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"time"
)

// collect approves a verification by the right answer to a method and returns its receipt.
func (e *Engine) collect(ctx context.Context, v *verificationRecord, method string, answered *Result, requestID requestID) (*VerificationResult, error) {
	v, err := e.settleVerification(ctx, v, method, answered, func(v *verificationRecord) error { return v.collect(requestID, e.cfg.Clock()) })
	if errors.Is(err, errRepeatedRequest) {
		err = ErrChallengeApproved // CheckVerification returns the same receipt
	}
	if err != nil {
		return nil, err
	}
	return e.recordCollected(ctx, v)
}

// settleVerification records the right answer to a method. Of any number of them the first one that is recorded approves the
// verification; the others are refused with ErrChallengeApproved. After the verification has ended, none is. If collect is given it
// is called in the same step, also if the answer is recorded already and was the one that closed its challenge. ErrReturnCodeInvalid:
// the content does not name the browser that had opened the page when the answer was given, so the store has returned an earlier one.
// An undecided answer is not written after its limit, by the clock here and in the store.
func (e *Engine) settleVerification(ctx context.Context, v *verificationRecord, method string, answered *Result, collect func(*verificationRecord) error) (*verificationRecord, error) {
	first, undecided := false, answered.undecided
	write := ctx
	if undecided != nil {
		var cancel context.CancelFunc
		write, cancel = context.WithTimeout(ctx, undecided.limit.Sub(e.cfg.Clock()))
		defer cancel()
	}
	v, err := e.updateVerification(write, v.id, v, func(v *verificationRecord) error {
		if err := e.checkAnswerCounts(v, method, answered); err != nil {
			return err
		}
		if !v.Page.isOf(answered.browser) {
			return ErrReturnCodeInvalid
		}
		if first = v.Answered == ""; first {
			v.Answered, v.Claims, v.EnrolledBy = method, answered.Claims, answered.enrolledBy
		}
		if collect == nil {
			return nil
		}
		return collect(v)
	})
	if errors.Is(err, ErrReceiptUsed) {
		err = ErrChallengeApproved
	}
	if err != nil {
		return nil, err
	}
	if first {
		e.tombstones.Add(v.id.random, tombstoneChallenge, Approved)
		e.watchers.Wake(v.ID)
		e.cancelChallenges(ctx, v)
		if undecided != nil {
			e.closeAnswered(ctx, undecided)
		}
	}
	return v, nil
}

// checkAnswerCounts returns nil if a right answer approves the verification, or is the one that has approved it. An undecided answer to
// the challenge that has approved it may be a copy of the one that did, and is refused.
func (e *Engine) checkAnswerCounts(v *verificationRecord, method string, answered *Result) error {
	status := e.verificationStatus(v)
	switch {
	case status == Pending && answered.undecided != nil:
		return e.checkUndecided(v, method, answered.undecided)
	case status == Pending, answered.undecided == nil && v.Answered != "" && v.Claims.ID == answered.Claims.ID:
		return nil
	}
	return closedError(status)
}

// collect marks the receipt as returned to a request; errRepeatedRequest if it was returned to the same request.
func (v *verificationRecord) collect(requestID requestID, now time.Time) error {
	switch {
	case v.Collected && v.CollectedBy == requestID:
		return errRepeatedRequest
	case v.Collected:
		return ErrReceiptUsed
	}
	v.Collected, v.CollectedBy, v.CollectedAt = true, requestID, now.UTC().Truncate(time.Millisecond)
	return nil
}

// collection returns the id of the tombstone of a receipt's collection by one request at its time.
func (v *verificationRecord) collection() (id [randomSize]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(v.CollectedAt.UnixMilli()))
	subtle.XORBytes(id[:], id[:], v.id.random[:])
	subtle.XORBytes(id[:], id[:], v.CollectedBy[:])
	return id
}

// recordCollected ends the collection of a receipt, if it was not collected in this process before. A repetition of the request may have
// been faster to return it.
func (e *Engine) recordCollected(ctx context.Context, v *verificationRecord) (*VerificationResult, error) {
	if !e.tombstones.Add(v.id.random, tombstoneCollected, Approved) {
		if _, repeated := e.tombstones.Find(v.collection(), tombstoneCollected); !repeated {
			e.log.ErrorContext(ctx, "store reopened a collected verification", "verification", v.ID)
			return nil, ErrReceiptUsed
		}
	} else {
		e.emitVerificationApproved(ctx, v, false)
	}
	result := v.result()
	result.DeviceToken = e.rememberDevice(ctx, v, false)
	return result, nil
}

// result returns the receipt's claims with the time of its collection.
func (v *verificationRecord) result() *VerificationResult {
	claims := *v.Claims
	claims.ExpiresAt += v.CollectedAt.Unix() - claims.IssuedAt
	claims.IssuedAt = v.CollectedAt.Unix()
	return &VerificationResult{Claims: &claims, Method: v.Answered}
}

// repeatCollection returns the receipt again to the request that has collected it, unless it has expired or was spent since.
func (e *Engine) repeatCollection(ctx context.Context, v *verificationRecord) (*VerificationResult, error) {
	result := v.result()
	challenge, err := e.parse(result.Claims.ID)
	if err != nil {
		return nil, ErrChallengeApproved
	}
	_, rec, err := e.read(ctx, challenge)
	if errors.Is(err, ErrUnknownChallenge) {
		return nil, ErrChallengeApproved
	}
	if err != nil {
		return nil, err
	}
	if rec.Redeemed || e.cfg.Clock().Unix() >= result.Claims.ExpiresAt {
		return nil, ErrChallengeApproved
	}
	e.tombstones.Add(v.collection(), tombstoneCollected, Approved)
	if e.tombstones.Add(v.id.random, tombstoneCollected, Approved) { // this node has sent no event yet
		e.emitVerificationApproved(ctx, v, true)
	}
	result.DeviceToken = e.rememberDevice(ctx, v, true)
	return result, nil
}

// RedeemVerification returns the claims of an approved verification's receipt, once. Its errors are those of Redeem, with
// ErrUnknownVerification for a wrong handle. Once the page was opened it needs a return code, however the answer came.
func (e *Engine) RedeemVerification(ctx context.Context, id string, req RedeemRequest) (*VerificationResult, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return nil, err
	}
	if err := validateRedeem(req); err != nil {
		return nil, err
	}
	claimed := e.claimedRespondent(CheckRequest{Subject: req.Subject, To: req.To})
	requestID := e.newRequestID(req.Seed)
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(req.Handle), []byte(v.handle().Reveal())) != 1 {
		return nil, ErrUnknownVerification
	}
	if v, err = e.recoverApproval(ctx, v); err != nil {
		return nil, err
	}
	v, err = e.updateVerification(ctx, parsed, v, func(v *verificationRecord) error {
		return e.redeemable(v, req, claimed, requestID)
	})
	if errors.Is(err, errRepeatedRequest) {
		return e.repeatCollection(ctx, v)
	}
	if err != nil {
		return nil, err
	}
	return e.recordCollected(ctx, v)
}

// redeemable marks the receipt as collected by a request; errRepeatedRequest if the same request has collected it.
func (e *Engine) redeemable(v *verificationRecord, req RedeemRequest, claimed string, requestID requestID) error {
	respondent := respondentOf(v.Subject, v.Address)
	status := e.verificationStatus(v)
	switch {
	case claimed == "" && respondent != "":
		return invalid("subject", "is required, or to where the verification has no subject")
	case status == Pending:
		return ErrNotAnswered
	case v.Answered == "":
		return closedError(status)
	case v.Collected && v.CollectedBy != requestID:
		return ErrReceiptUsed
	}
	if v.ReturnURL != "" { // without one, in development, no page can return a code
		if err := v.Page.checkReturnCode(v.key, v.ID, req.ReturnCode, e.cfg.Clock(), v.Collected); err != nil {
			return err
		}
	}
	switch {
	case req.Purpose != v.Purpose || claimed != respondent:
		return &Error{Code: ErrIncorrectAnswer.Code}
	case v.Collected:
		return errRepeatedRequest
	}
	return v.collect(requestID, e.cfg.Clock())
}

// recoverApproval looks for the approved challenge of a pending verification: its answer was right, and its process died before it
// recorded that here.
func (e *Engine) recoverApproval(ctx context.Context, v *verificationRecord) (*verificationRecord, error) {
	if e.verificationStatus(v) != Pending {
		return v, nil
	}
	for _, m := range v.Methods {
		challenge, err := e.parse(m.Challenge)
		if err != nil {
			continue // it was not opened, or its strategy is not configured any more
		}
		entry, rec, err := e.read(ctx, challenge)
		if errors.Is(err, ErrUnavailable) {
			return nil, err
		}
		if err != nil {
			continue
		}
		if status, approved := e.status(rec, entry); status == Approved {
			return e.settleVerification(ctx, v, m.ID, e.resultOfApproval(rec, approved), nil)
		}
	}
	return v, nil
}

// ResendVerification queues another message of a method, by default of the one that was opened last. Its errors are those of
// Resend. A repetition with the same seed sends nothing twice.
func (e *Engine) ResendVerification(ctx context.Context, id, method string, seed []byte) (VerificationView, error) {
	v, err := e.readPending(ctx, id)
	if err != nil {
		return VerificationView{}, err
	}
	if method == "" {
		method = v.Current
	}
	if method == "" {
		return VerificationView{}, invalid("method", "none is open: open one first")
	}
	_, challenge, err := e.methodToAnswer(v, method)
	if err != nil {
		return VerificationView{}, err
	}
	view, err := e.resend(ctx, challenge, ResendRequest{Seed: seed})
	if err != nil {
		return VerificationView{}, err
	}
	out := e.verificationView(v, nil)
	out.Method, out.Challenge = method, &MethodChallenge{View: view}
	return out, nil
}
