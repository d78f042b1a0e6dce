package server

import "net/http"

// A kind is one problem that the API knows: its stable name, its status and what its page says.
type kind struct {
	Code    string
	Status  int
	Title   string
	Meaning string
	Todo    string
}

// catalogue lists every problem, in the order of its page: what can be wrong with a request, with the caller's rights,
// with a challenge, with a factor, with limits and receipts, and with the server.
func catalogue() []kind {
	return []kind{
		{"invalid_request", http.StatusBadRequest, "The request is not well-formed",
			"Something in the request is missing, misspelled, of another type or out of bounds. Each member of errors names a field and says what is wrong with it.",
			"Correct the named fields and send the request again. Nothing has happened: no try was charged and nothing was sent."},
		{"not_found", http.StatusNotFound, "There is nothing here",
			"The server knows no such path.", "Compare the path with the OpenAPI document at /openapi.json."},
		{"method_not_allowed", http.StatusMethodNotAllowed, "This method is not allowed here",
			"The path exists, but not with this method.", "Use one of the methods in the header Allow."},
		{"idempotency_mismatch", http.StatusUnprocessableEntity, "This idempotency key was used with another body",
			"An earlier request to the same path had the same Idempotency-Key and another body.",
			"Use a new key for a new request, and the very same bytes when you repeat one."},
		{"idempotency_in_flight", http.StatusConflict, "A request with this idempotency key is being answered",
			"The first request with this Idempotency-Key has no answer yet.", "Wait a moment and repeat the request with the same key."},
		{"unauthorized", http.StatusUnauthorized, "A key is needed",
			"The request has no API key, or one that the server does not know; detail says which.",
			"Send the header Authorization: Bearer KEY with a key of your app."},
		{"forbidden", http.StatusForbidden, "This is not allowed",
			"The key has not the scope that this operation needs, which detail names; or the server runs in development mode, where it answers only requests to a loopback name.",
			"Use a key with the scope. In development, use http://localhost."},
		{"unknown_challenge", http.StatusNotFound, "There is no such challenge",
			"Your app has no challenge of this id, or not any more: a challenge can be read for a quarter of an hour after it ended. A wrong handle is answered the same way.",
			"Check the id and the key. If time has passed, start a new challenge."},
		{"unknown_factor", http.StatusNotFound, "There is no such factor",
			"Your app has no factor of this id.", "List the subject's factors."},
		{"incorrect_answer", http.StatusUnprocessableEntity, "The answer is wrong",
			"The answer is not the right one for this challenge, this purpose and this subject or address. The try is used up; attempts_remaining says how many are left. details, where there are any, say what else was noticed, such as by how many seconds the clock of an authenticator app is off.",
			"Let the person try again while attempts_remaining is more than 0. Check that purpose and subject are those of the start: the log has a line at the level debug if they are not, and in development details say so."},
		{"attempts_exhausted", http.StatusGone, "The challenge is locked",
			"All tries of this challenge are used up. Right answers are refused too.", "Start a new challenge."},
		{"challenge_expired", http.StatusGone, "The challenge has expired",
			"The answer came too late.", "Start a new challenge."},
		{"challenge_canceled", http.StatusGone, "The challenge was canceled",
			"Somebody ended this challenge before it was answered.", "Start a new challenge."},
		{"challenge_approved", http.StatusConflict, "The challenge is proven already",
			"A challenge can be answered once, and this one was.",
			"If it was answered on a page or by a link, redeem it with its handle. Otherwise use the receipt of the first check, or start a new challenge."},
		{"not_answered", http.StatusConflict, "The challenge is not answered yet",
			"There is no receipt to collect while the challenge is pending.", "Wait for it: GET /v1/challenges/{id}?wait=25."},
		{"not_enrolled", http.StatusConflict, "Nothing is enrolled",
			"The subject has no factor for this strategy.", "Enrol one, or use another strategy."},
		{"factor_disabled", http.StatusForbidden, "The factor is disabled",
			"Too many wrong answers in a row were given for this factor, or what is stored of it is damaged.", "Enrol it again, or use another factor."},
		{"proof_required", http.StatusForbidden, "Changing factors needs a fresh proof",
			"The subject has an active factor already, so a receipt of purpose manage_factors is needed: for the same subject, at most five minutes old, not used before, and of a factor that is at least as strong.",
			"Run a challenge of purpose manage_factors and send its receipt."},
		{"destination_refused", http.StatusForbidden, "Nothing is sent to this address",
			"The address is well-formed, but messages to it are refused; reason says why: its country is not allowed, its kind of line or prefix is never written to, or it is blocked.",
			"Use another address. Countries are allowed in the server's configuration."},
		{"rate_limited", http.StatusTooManyRequests, "Too many requests",
			"A limit is reached; limit names it. What was refused is not counted.", "Try again after the seconds in Retry-After."},
		{"too_many_guesses", http.StatusTooManyRequests, "Too many wrong answers",
			"So many wrong answers were given for this address or factor that further ones are refused for a while, right ones too. A new challenge does not change that.",
			"Wait for the seconds in Retry-After, or use another strategy."},
		{"resend_too_soon", http.StatusTooManyRequests, "It is too soon to send again",
			"The last message may still be on its way.", "Wait for the seconds in Retry-After."},
		{"sends_exhausted", http.StatusTooManyRequests, "This challenge sends no more messages",
			"All messages of this challenge have been sent. The code of the last one still works.", "Start a new challenge, or offer another way."},
		{"receipt_used", http.StatusConflict, "The receipt was used already",
			"A receipt can be collected once and redeemed once.", "Whoever was first has it. If that was not you, start a new challenge."},
		{"receipt_invalid", http.StatusUnprocessableEntity, "The receipt is not valid",
			"The receipt is forged, has expired, or is for another app or another purpose.", "Start a new challenge."},
		{"internal_error", http.StatusInternalServerError, "Something went wrong in the server",
			"This is a defect of the server or its set-up. Its log has a line with the value of the header X-Request-Id.", "Tell whoever runs the server."},
		{"unavailable", http.StatusServiceUnavailable, "The server cannot work at the moment",
			"A store that the server needs cannot be reached. Nothing was sent and nothing was approved, unless outcome is unknown: then a reply was lost, and the step may have been taken.",
			"Try again in a moment. Where outcome is unknown repeat the very same request with the same Idempotency-Key: if it was approved you get its receipt."},
	}
}

// kinds is the catalogue by code.
func kinds() map[string]kind {
	out := map[string]kind{}
	for _, k := range catalogue() {
		out[k.Code] = k
	}
	return out
}
