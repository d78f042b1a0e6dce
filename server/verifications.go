package server

import (
	"context"
	"net/http"

	"github.com/watchword-auth/watchword"
)

// verificationOperations returns the operations of verifications.
func verificationOperations() []operation {
	const one = "/v1/verifications/{id}"
	opening := []string{"destination_refused", "rate_limited", "not_enrolled", "unknown_factor", "factor_disabled", "too_many_guesses"}
	closed := []string{"challenge_approved", "challenge_expired", "challenge_canceled", "attempts_exhausted"}
	problems := func(lists ...[]string) (out []string) {
		for _, l := range lists {
			out = append(out, l...)
		}
		return out
	}
	unknown, method := []string{"unknown_verification"}, []string{"unknown_verification", "unknown_method"}
	return []operation{
		newBodyOperation(operation{method: http.MethodPost, path: "/v1/verifications", id: "startVerification",
			summary:     "Start a verification, which any of several methods may answer",
			description: "Methods that need a factor are offered only where the subject has an active one, and those that do not meet require are left out. Keep id and handle in the session of the browser that you serve. If a trusted device answers, status is approved.",
			scope:       ScopeChallenges, status: http.StatusCreated,
			problems: problems(opening, closed, unknown)}, startVerification),
		newReadOperation(operation{method: http.MethodGet, path: one, id: "readVerification", summary: "Read a verification, or wait until it ends",
			scope: ScopeChallenges, status: http.StatusOK, parameters: []parameter{waitParameter("verification")}, problems: unknown}, readVerification),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/open", id: "openMethod", summary: "Open a method of a verification",
			description: "Starts the challenge of the method and sends its message. A method that is open already is returned as it is, and nothing is sent again.",
			scope:       ScopeChallenges, status: http.StatusOK, problems: problems(method, opening, closed)}, openMethod),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/check", id: "checkVerification", summary: "Check an answer to a verification",
			description: "A 200 is proof: nothing else is a 2xx. Once several methods are open, method is required; without it nothing is compared and no try is charged. When one method is approved, the challenges of the others are canceled.",
			scope:       ScopeChallenges, status: http.StatusOK,
			problems: problems(method, closed, []string{"incorrect_answer", "too_many_guesses", "rate_limited", "not_enrolled", "unknown_factor",
				"factor_disabled"})}, checkVerification),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/redeem", id: "redeemVerification",
			summary:     "Collect the receipt of a verification that was answered on a page or by a link",
			description: "Take handle and id from the session of the browser that comes back to return_url, never by the id in its query. As soon as the hosted page was opened, return_code of the query is required.",
			scope:       ScopeChallenges, status: http.StatusOK,
			problems: problems(unknown, []string{"not_answered", "incorrect_answer", "attempts_exhausted", "challenge_expired", "challenge_canceled",
				"receipt_used", "return_code_invalid"})}, redeemVerification),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/resend", id: "resendVerification", summary: "Send the message of a method again",
			scope: ScopeChallenges, status: http.StatusOK, optionalBody: true,
			problems: problems(method, closed, []string{"resend_too_soon", "sends_exhausted", "rate_limited", "destination_refused"})}, resendVerification),
		newBodyOperation(operation{method: http.MethodPost, path: one + "/cancel", id: "cancelVerification", summary: "Cancel a verification",
			scope: ScopeChallenges, status: http.StatusOK, optionalBody: true,
			problems: problems(unknown, []string{"challenge_approved", "challenge_expired", "attempts_exhausted"})}, cancelVerification),
	}
}

func startVerification(ctx context.Context, c *call, in *verificationRequest) (*startedVerificationView, error) {
	started, err := c.engine.StartVerification(ctx, watchword.VerificationRequest{Purpose: in.Purpose, Subject: in.Subject, Methods: in.listMethods(),
		Open: watchword.OpenChoice(in.Open), Fallback: in.Fallback.wait(), Require: watchword.Requirement(in.Require), Locale: in.Locale,
		ReturnURL: in.ReturnURL, Nonce: in.Nonce, Transaction: in.Transaction, Metadata: in.Metadata, Client: in.Client.toClient(), Decoy: in.Decoy,
		RememberDevice: in.RememberDevice, DeviceToken: watchword.NewCode(in.DeviceToken), Seed: c.seed, Unanswered: c.reservation != nil && c.reservation.TakenOver})
	if err != nil {
		return nil, err
	}
	out := &startedVerificationView{verificationView: newVerificationView(started.VerificationView), DeviceToken: started.DeviceToken.Reveal()}
	if started.Approved != nil {
		out.Claims = started.Approved.Claims
		out.Receipt, err = c.signer.Sign(ctx, *out.Claims)
		return out, err
	}
	out.Handle = started.Handle.Reveal()
	if !started.Ticket.IsZero() {
		out.Ticket = started.Ticket.Reveal()
		out.PageURL = c.publicURL + "/v/" + started.ID + "#" + out.Ticket
	}
	out.Challenge, err = newOpenChallengeView(started.Challenge)
	return out, err
}

func readVerification(ctx context.Context, c *call) (*verificationStatusView, error) {
	view, err := waitForStatus(ctx, c, c.engine.VerificationStatus, c.engine.WaitVerification)
	if err != nil {
		return nil, err
	}
	return newVerificationStatusView(view), nil
}

func openMethod(ctx context.Context, c *call, in *openRequest) (*openedView, error) {
	view, err := c.engine.OpenMethod(ctx, c.request.PathValue("id"), in.Method)
	if err != nil {
		return nil, err
	}
	out := &openedView{verificationView: newVerificationView(view)}
	out.Challenge, err = newOpenChallengeView(view.Challenge)
	return out, err
}

func checkVerification(ctx context.Context, c *call, in *verificationCheckRequest) (*verifiedView, error) {
	result, err := c.engine.CheckVerification(ctx, c.request.PathValue("id"), watchword.VerificationCheck{Method: in.Method,
		CheckRequest: watchword.CheckRequest{Purpose: in.Purpose, Subject: in.Subject, To: in.To, Answer: in.Answer.Answer,
			Transaction: in.Transaction, Client: in.Client.toClient(), Seed: c.seed}})
	return c.newVerifiedView(ctx, result, err)
}

func redeemVerification(ctx context.Context, c *call, in *redeemRequest) (*verifiedView, error) {
	result, err := c.engine.RedeemVerification(ctx, c.request.PathValue("id"), in.toRedemption(c))
	return c.newVerifiedView(ctx, result, err)
}

// newVerifiedView signs the receipt of an approved verification. It returns err unchanged if there is one.
func (c *call) newVerifiedView(ctx context.Context, result *watchword.VerificationResult, err error) (*verifiedView, error) {
	if err != nil {
		return nil, err
	}
	receipt, err := c.signer.Sign(ctx, *result.Claims)
	if err != nil {
		return nil, err
	}
	return &verifiedView{Status: string(watchword.Approved), Receipt: receipt, Claims: result.Claims, Method: result.Method,
		DeviceToken: result.DeviceToken.Reveal()}, nil
}

func resendVerification(ctx context.Context, c *call, in *verificationResendRequest) (*verificationStatusView, error) {
	view, err := c.engine.ResendVerification(ctx, c.request.PathValue("id"), in.Method, c.seed)
	if err != nil {
		return nil, err
	}
	return newVerificationStatusView(view), nil
}

func cancelVerification(ctx context.Context, c *call, _ *cancelRequest) (*verificationStatusView, error) {
	view, err := c.engine.CancelVerification(ctx, c.request.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return newVerificationStatusView(view), nil
}
