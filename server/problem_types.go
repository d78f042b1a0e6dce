package server

import "net/http"

// A problemType is one problem of the API: its stable name, its status and the texts of its page.
type problemType struct {
	Code    string
	Status  int
	Title   string
	Meaning string
	Action  string
}

// listProblemTypes returns all problem types in the order of the page that lists them: requests, authorization, challenges,
// factors, addresses, limits, receipts, server.
func listProblemTypes() []problemType {
	return []problemType{
		{"invalid_request", http.StatusBadRequest, "The request is not valid",
			"A field of the request is missing, unknown, of the wrong type or out of range. Each member of errors names a field and the reason.",
			"Correct the named fields and send the request again. The request had no effect: no try was charged and nothing was sent."},
		{"not_found", http.StatusNotFound, "The path does not exist",
			"The server has no such path.", "Compare the path with the OpenAPI document at /openapi.json."},
		{"method_not_allowed", http.StatusMethodNotAllowed, "The method is not allowed",
			"The path does not support this method.", "Use one of the methods in the Allow header."},
		{"idempotency_mismatch", http.StatusUnprocessableEntity, "The idempotency key was used with another body",
			"An earlier request to the same path had the same Idempotency-Key and another body.",
			"Use a new key for a new request, and exactly the same body when you repeat one."},
		{"idempotency_in_flight", http.StatusConflict, "A request with this idempotency key is in progress",
			"The first request with this Idempotency-Key has no response yet.", "Wait a moment and repeat the request with the same key."},
		{"unauthorized", http.StatusUnauthorized, "The API key is missing or unknown",
			"The request has no API key or an unknown one; detail says which.",
			"Send the header Authorization: Bearer KEY with an API key of your app."},
		{"forbidden", http.StatusForbidden, "The request is not allowed",
			"The API key does not have the scope that this operation requires, which detail names; or the server runs in development mode, in which it accepts only requests to a loopback name.",
			"Use a key with the scope. In development, use http://localhost."},
		{"unknown_challenge", http.StatusNotFound, "The challenge does not exist",
			"Your app has no challenge with this id. A challenge can be read until 15 minutes after it expires. The response to a wrong handle is the same.",
			"Check the id and the key. If time has passed, start a new challenge."},
		{"unknown_verification", http.StatusNotFound, "The verification does not exist",
			"Your app has no verification with this id. A verification can be read until 15 minutes after it expires. The response to a wrong handle is the same.",
			"Check the id and the key. If time has passed, start a new verification."},
		{"unknown_method", http.StatusNotFound, "The verification does not offer this method",
			"method is not the id of one of the methods that the verification offers. Nothing was compared, and no try was charged.",
			"Use an id of the list methods of the verification."},
		{"part_of_verification", http.StatusConflict, "The challenge is part of a verification",
			"The challenge was opened by a verification. It can be read, but it is checked, resent, canceled and redeemed through the verification, whose id is the member verification of the challenge. No try was charged.",
			"Use the paths below /v1/verifications/{id}."},
		{"unknown_factor", http.StatusNotFound, "The factor does not exist",
			"Your app has no factor with this id.", "List the subject's factors."},
		{"incorrect_answer", http.StatusUnprocessableEntity, "The answer is wrong",
			"The answer is not the right one for this challenge, this purpose and this subject or address. The try was charged; attempts_remaining is the number of tries left. details, if present, say what else the server found, such as the clock offset of an authenticator app in seconds.",
			"Let the person try again while attempts_remaining is more than 0. Check that purpose and subject are those of the start. If they differ, the log has a line at the level debug, and in development details name them."},
		{"attempts_exhausted", http.StatusGone, "The challenge is locked",
			"All tries of this challenge have been used. Right answers are rejected too.", "Start a new challenge."},
		{"challenge_expired", http.StatusGone, "The challenge has expired",
			"The answer was sent after the challenge expired.", "Start a new challenge."},
		{"challenge_canceled", http.StatusGone, "The challenge was canceled",
			"The challenge was canceled before it was answered.", "Start a new challenge."},
		{"challenge_approved", http.StatusConflict, "The challenge is already approved",
			"A challenge can be answered once, and this one has been.",
			"If it was answered on a page or by a link, redeem it with its handle. Otherwise use the receipt of the first check, or start a new challenge."},
		{"not_answered", http.StatusConflict, "The challenge has not been answered",
			"A pending challenge has no receipt to collect.", "Wait until it is answered: GET /v1/challenges/{id}?wait=25."},
		{"return_code_invalid", http.StatusUnprocessableEntity, "The return code is not valid",
			"The hosted page was opened, so the receipt goes only to the browser that opened it. The return code of that browser is missing, wrong or older than 60 seconds. The request had no effect.",
			"Send the parameter return_code with which the browser came back to return_url, at once. If the browser of this session did not bring one, start again: somebody else may have answered."},
		{"not_enrolled", http.StatusConflict, "No factor is enrolled",
			"The subject has no factor for this strategy, or a verification has no method left that the subject can use and that meets require.", "Enrol one, or use another strategy or another method."},
		{"factor_disabled", http.StatusForbidden, "The factor is disabled",
			"The factor had too many consecutive wrong answers, or its stored data is damaged.", "Enrol it again, or use another factor."},
		{"proof_required", http.StatusForbidden, "A change of factors requires a recent proof",
			"The subject has an active factor, so the change requires a receipt of purpose manage_factors: for the same subject, at most five minutes old, not used before, and of a factor that is at least as strong.",
			"Start a challenge of purpose manage_factors, check it, and send its receipt: as authorization in the start of an enrolment, in the header Watchword-Authorization with PATCH and DELETE."},
		{"destination_refused", http.StatusForbidden, "Messages to this address are not allowed",
			"The address is valid, but the server sends no messages to it. reason says why: its country, its type of line or its prefix is not allowed, or it is blocked.",
			"Use another address. The server's configuration lists the allowed countries."},
		{"rate_limited", http.StatusTooManyRequests, "Too many requests",
			"A limit has been reached; limit names it. Rejected requests do not count.", "Try again after the number of seconds in Retry-After."},
		{"too_many_guesses", http.StatusTooManyRequests, "Too many wrong answers",
			"This address or factor had too many wrong answers. For some time the server rejects all answers for it, right ones too. A new challenge does not change that.",
			"Wait for the number of seconds in Retry-After, or use another strategy."},
		{"resend_too_soon", http.StatusTooManyRequests, "The message cannot be sent again yet",
			"The previous message may still be in delivery.", "Wait for the number of seconds in Retry-After."},
		{"sends_exhausted", http.StatusTooManyRequests, "The challenge sends no more messages",
			"All messages of this challenge have been sent. The code of the last one still works.", "Start a new challenge, or offer another way."},
		{"receipt_used", http.StatusConflict, "The receipt has already been used",
			"A receipt can be collected once and redeemed once.", "The first request got it. If that was not yours, start a new challenge."},
		{"receipt_invalid", http.StatusUnprocessableEntity, "The receipt is not valid",
			"The receipt has an invalid signature, has expired, or is for another app or another purpose.", "Start a new challenge."},
		{"internal_error", http.StatusInternalServerError, "The server failed",
			"The server or its configuration has a defect. The log has a line with the value of the header X-Request-Id.", "Report the value of X-Request-Id to the operator of the server."},
		{"unavailable", http.StatusServiceUnavailable, "The server is temporarily unavailable",
			"A store that the server needs is unavailable. Nothing was sent and nothing was approved, unless outcome is unknown: then the reply of the store was lost, and the operation may have taken effect.",
			"Try again in a moment. If outcome is unknown, repeat the same request with the same Idempotency-Key: if the challenge was approved, the response has its receipt."},
	}
}

// indexProblemTypes returns the problem types by code.
func indexProblemTypes() map[string]problemType {
	out := map[string]problemType{}
	for _, k := range listProblemTypes() {
		out[k.Code] = k
	}
	return out
}
