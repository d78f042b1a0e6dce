package server

import (
	"context"
	"net/http"

	"github.com/watchword-auth/watchword"
)

// challengeOperations returns the operations of challenges and receipts.
func challengeOperations() []operation {
	const one = "/v1/challenges/{id}"
	return []operation{
		newBodyOperation(operation{method: http.MethodPost, path: "/v1/challenges", id: "startChallenge", summary: "Start a challenge",
			scope: ScopeChallenges, status: http.StatusCreated, startsChallenge: true,
			problems: []string{"destination_refused", "rate_limited", "not_enrolled", "unknown_factor", "factor_disabled", "proof_required", "too_many_guesses",
				"challenge_approved", "challenge_expired", "challenge_canceled", "attempts_exhausted", "unknown_challenge"}}, startChallenge),
		newReadOperation(operation{method: http.MethodGet, path: one, id: "readChallenge", summary: "Read a challenge, or wait until it ends",
			scope: ScopeChallenges, status: http.StatusOK, parameters: []parameter{waitParameter("challenge")}, problems: []string{"unknown_challenge"}}, readChallenge),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/check", id: "checkChallenge", summary: "Check an answer",
			scope: ScopeChallenges, status: http.StatusOK,
			problems: []string{"unknown_challenge", "incorrect_answer", "attempts_exhausted", "challenge_expired", "challenge_canceled",
				"challenge_approved", "too_many_guesses", "rate_limited", "not_enrolled", "unknown_factor", "factor_disabled", "proof_required",
				"part_of_verification"}}, checkChallenge),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/redeem", id: "redeemChallenge", summary: "Collect the receipt of a challenge that was answered on a page or by a link",
			scope: ScopeChallenges, status: http.StatusOK,
			problems: []string{"unknown_challenge", "not_answered", "incorrect_answer", "attempts_exhausted", "challenge_expired",
				"challenge_canceled", "receipt_used", "return_code_invalid", "part_of_verification"}}, redeemChallenge),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/resend", id: "resendChallenge", summary: "Send the message again",
			scope: ScopeChallenges, status: http.StatusOK, optionalBody: true,
			problems: []string{"unknown_challenge", "resend_too_soon", "sends_exhausted", "rate_limited", "destination_refused",
				"challenge_approved", "challenge_expired", "challenge_canceled", "attempts_exhausted", "part_of_verification"}}, resendChallenge),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/cancel", id: "cancelChallenge", summary: "Cancel a challenge",
			scope: ScopeChallenges, status: http.StatusOK, optionalBody: true,
			problems: []string{"unknown_challenge", "challenge_approved", "challenge_expired", "attempts_exhausted", "part_of_verification"}}, cancelChallenge),
		newBodyOperation(operation{method: http.MethodPost, path: "/v1/receipts/redeem", id: "redeemReceipt", summary: "Redeem a receipt, once",
			scope: ScopeChallenges, status: http.StatusOK, problems: []string{"receipt_invalid", "receipt_used"}}, redeemReceipt),
	}
}

func startChallenge(ctx context.Context, c *call, in *startRequest) (*startedView, error) {
	authority, err := c.parseEnrolmentAuthority(ctx, in)
	if err != nil {
		return nil, err
	}
	started, err := c.engine.Start(ctx, watchword.StartRequest{Strategy: in.Strategy, Purpose: in.Purpose, Subject: in.Subject,
		Channel: in.Channel, To: in.To, Locale: in.Locale, ReturnURL: in.ReturnURL, Nonce: in.Nonce, Label: in.Label, Factor: in.Factor,
		Transaction: in.Transaction, Metadata: in.Metadata, Client: in.Client.toClient(), DeviceToken: watchword.NewCode(in.Client.DeviceToken), Decoy: in.Decoy, Authority: authority, Seed: c.seed,
		Unanswered: c.reservation != nil && c.reservation.TakenOver})
	if err != nil {
		return nil, err
	}
	if c.reservation != nil && in.Purpose == watchword.PurposeEnrol {
		c.reservation.RepeatWhile(started.ID)
	}
	out := &startedView{challengeView: newChallengeView(started.View), Handle: started.Handle.Reveal(), DeviceToken: started.DeviceToken.Reveal()}
	if !started.Ticket.IsZero() {
		out.PageURL = c.publicURL + "/c/" + started.ID + "#" + started.Ticket.Reveal()
	}
	out.Public, err = encodePublic(started.Public)
	return out, err
}

func readChallenge(ctx context.Context, c *call) (*challengeView, error) {
	view, err := waitForStatus(ctx, c, c.engine.Status, c.engine.Wait)
	if err != nil {
		return nil, err
	}
	out := newChallengeView(view)
	return &out, nil
}

func checkChallenge(ctx context.Context, c *call, in *checkRequest) (*approvedView, error) {
	result, err := c.engine.Check(ctx, c.request.PathValue("id"), watchword.CheckRequest{Purpose: in.Purpose, Subject: in.Subject,
		To: in.To, Answer: in.Answer.Answer, Transaction: in.Transaction, Client: in.Client.toClient(), Seed: c.seed})
	return c.newApprovedView(ctx, result, err)
}

func redeemChallenge(ctx context.Context, c *call, in *redeemRequest) (*approvedView, error) {
	result, err := c.engine.Redeem(ctx, c.request.PathValue("id"), in.toRedemption(c))
	return c.newApprovedView(ctx, result, err)
}

// newApprovedView signs the receipt of an approved challenge. It returns err unchanged if there is one.
func (c *call) newApprovedView(ctx context.Context, result *watchword.Result, err error) (*approvedView, error) {
	if err != nil {
		return nil, err
	}
	receipt, err := c.signer.Sign(ctx, *result.Claims)
	if err != nil {
		return nil, err
	}
	out := &approvedView{Status: string(watchword.Approved), Receipt: receipt, Claims: result.Claims}
	if result.Factor != nil {
		out.Factor = newFactorView(result.Factor)
	}
	return out, nil
}

func resendChallenge(ctx context.Context, c *call, in *resendRequest) (*challengeView, error) {
	view, err := c.engine.Resend(ctx, c.request.PathValue("id"), watchword.ResendRequest{Channel: in.Channel, Seed: c.seed})
	out := newChallengeView(view)
	return &out, err
}

func cancelChallenge(ctx context.Context, c *call, _ *cancelRequest) (*challengeView, error) {
	view, err := c.engine.Cancel(ctx, c.request.PathValue("id"))
	out := newChallengeView(view)
	return &out, err
}

func redeemReceipt(ctx context.Context, c *call, in *redeemReceiptRequest) (*watchword.Claims, error) {
	claims, err := c.signer.Parse(ctx, in.Receipt)
	if err != nil {
		return nil, err
	}
	return &claims, c.engine.RedeemReceipt(ctx, claims, in.Purpose, c.seed)
}
