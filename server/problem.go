package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword"
)

// Codes of problems that are the server's own; the engine's stand in the root package.
const (
	codeNotFound         = "not_found"
	codeMethodNotAllowed = "method_not_allowed"
	codeUnauthorized     = "unauthorized"
	codeForbidden        = "forbidden"
	codeInternalError    = "internal_error"
)

const outcomeUnknown = "unknown"

// A problem is an answer of type application/problem+json (RFC 9457). Beyond the members of §3.1 it has code, the
// stable name, and what that code calls for.
type problem struct {
	Type              string         `json:"type" format:"uri" doc:"A page that explains the problem."`
	Title             string         `json:"title"`
	Status            int            `json:"status" doc:"The HTTP status again."`
	Code              string         `json:"code" doc:"The stable name of the problem."`
	Detail            string         `json:"detail,omitempty" doc:"unauthorized, forbidden: what is wrong with the key, or which scope it has not. rate_limited: in development, how to lift limits. unavailable, of readiness: which parts do not work, and why. For people; it may change."`
	Errors            []fieldProblem `json:"errors,omitempty" doc:"invalid_request: what is wrong, field by field."`
	AttemptsRemaining *int           `json:"attempts_remaining,omitempty" minimum:"0" doc:"incorrect_answer: tries that are left."`
	// RFC 9457 keeps the member status for the number, so what became of a challenge needs a name of its own.
	ChallengeStatus string `json:"challenge_status,omitempty" enum:"locked" doc:"attempts_exhausted: the challenge is locked."`
	Limit           string `json:"limit,omitempty" doc:"rate_limited: the limit that refused."`
	Reason          string `json:"reason,omitempty" doc:"destination_refused: country, line_type, prefix or blocked."`
	Outcome         string `json:"outcome,omitempty" enum:"unknown" doc:"unavailable: the step may have been taken. Repeat the request with the same Idempotency-Key."`
	// Details are for the app's backend, which is why the engine has none where somebody else answers.
	Details map[string]any `json:"details,omitempty" doc:"incorrect_answer: what the strategy found out about the answer, such as clock_offset_seconds of an authenticator app whose clock is wrong (negative: it is behind). In development also which of purpose, subject, to and transaction are not the start's."`
}

// A fieldProblem names one field of a request, dotted where it is nested, and what is wrong with it. It never repeats
// what the field held.
type fieldProblem struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// invalidAll is an invalid_request of several fields for the same reason.
func invalidAll(fields []string, reason string) error {
	e := &watchword.Error{Code: watchword.ErrInvalidRequest.Code}
	for _, f := range fields {
		e.Fields = append(e.Fields, watchword.FieldError{Field: f, Reason: reason})
	}
	return e
}

// refuse is an error of the server's own.
func refuse(code string) error { return &watchword.Error{Code: code} }

// refuseFor is refuse with a sentence about this request, which repeats nothing of it.
func refuseFor(code, detail string) error { return &detailedError{refuse(code), detail} }

// A detailedError is an error with the sentence that its problem says in detail (RFC 9457 §3.1.4).
type detailedError struct {
	error
	detail string
}

// Unwrap is the error without its sentence.
func (e *detailedError) Unwrap() error { return e.error }

// invalid is an invalid_request of one field.
func invalid(field, reason string) error { return invalidAll([]string{field}, reason) }

// translate is the one place where errors become problems. What is neither the engine's nor the server's own error is
// an internal_error, and time that ran out while a store was waited for is unavailable.
func (s *Server) translate(err error, publicURL string) (problem, time.Duration) {
	var known *watchword.Error
	if !errors.As(err, &known) {
		known = &watchword.Error{Code: codeInternalError}
		if errors.Is(err, context.DeadlineExceeded) {
			known.Code = watchword.ErrUnavailable.Code
		}
	}
	k, ok := s.kinds[known.Code]
	if !ok {
		k = s.kinds[codeInternalError]
	}
	p := problem{Type: publicURL + "/problems/" + k.Code, Title: k.Title, Status: k.Status, Code: k.Code,
		Limit: known.Limit, Reason: known.Reason}
	var detailed *detailedError
	if errors.As(err, &detailed) {
		p.Detail = detailed.detail
	}
	for _, f := range known.Fields {
		p.Errors = append(p.Errors, fieldProblem{f.Field, f.Reason})
	}
	switch k.Code {
	case watchword.ErrIncorrectAnswer.Code:
		p.AttemptsRemaining, p.Details = &known.Remaining, known.Extra
	case watchword.ErrRateLimited.Code:
		p.Detail = s.limitDetail
	case watchword.ErrAttemptsExhausted.Code:
		p.ChallengeStatus = string(watchword.Locked)
	case watchword.ErrUnavailable.Code:
		if known.Unknown {
			p.Outcome = outcomeUnknown
		}
	}
	return p, known.RetryAfter
}

// retryAfter is the header's value (RFC 9110 §10.2.3): whole seconds, never too early, at least one.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(max(int64(math.Ceil(d.Seconds())), 1), 10)
}

// refusal is the answer that err is. It sets the headers that go with it.
func (x *exchange) refusal(err error) answer {
	p, wait := x.server.translate(err, x.publicURL())
	x.code, x.cause = p.Code, err
	if wait > 0 {
		x.Header().Set("Retry-After", retryAfter(wait))
	}
	if p.Status == http.StatusUnauthorized {
		x.Header().Set("WWW-Authenticate", "Bearer")
	}
	body, err := json.Marshal(p)
	if err != nil { // details are a strategy's own; without them it is made of texts and numbers
		p.Details = nil
		body, _ = json.Marshal(p)
	}
	return answer{p.Status, body}
}

// fail answers with the problem that err is.
func (x *exchange) fail(err error) { x.answer(x.refusal(err)) }
