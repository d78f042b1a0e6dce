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

// The codes of the server's own problems. The root package defines those of the engine.
const (
	codeNotFound         = "not_found"
	codeMethodNotAllowed = "method_not_allowed"
	codeUnauthorized     = "unauthorized"
	codeForbidden        = "forbidden"
	codeInternalError    = "internal_error"
)

const outcomeUnknown = "unknown"

// A problem is a response of type application/problem+json (RFC 9457). Beyond the members of §3.1 it has code, the stable
// name, and members for some of the codes.
type problem struct {
	Type              string         `json:"type" format:"uri" doc:"The URL of a page that explains the problem."`
	Title             string         `json:"title"`
	Status            int            `json:"status" doc:"The HTTP status."`
	Code              string         `json:"code" doc:"The stable name of the problem."`
	Detail            string         `json:"detail,omitempty" doc:"unauthorized, forbidden: what is wrong with the API key, or which scope it needs. rate_limited: in development, how to lift limits. unavailable, of readiness: which parts do not work, and why. The text is for people and may change."`
	Errors            []fieldProblem `json:"errors,omitempty" doc:"invalid_request: the invalid fields."`
	AttemptsRemaining *int           `json:"attempts_remaining,omitempty" minimum:"0" doc:"incorrect_answer: the number of tries left."`
	// RFC 9457 defines the member status as a number, so the status of the challenge has another name.
	ChallengeStatus string `json:"challenge_status,omitempty" enum:"locked" doc:"attempts_exhausted: the challenge is locked."`
	Limit           string `json:"limit,omitempty" doc:"rate_limited: the name of the limit that was reached."`
	Reason          string `json:"reason,omitempty" doc:"destination_refused: country, line_type, prefix or blocked."`
	Outcome         string `json:"outcome,omitempty" enum:"unknown" doc:"unavailable: the operation may have taken effect. Repeat the request with the same Idempotency-Key."`
	// Details are for the app's backend only; the engine sets none for answers from pages and links.
	Details map[string]any `json:"details,omitempty" doc:"incorrect_answer: what the strategy found out about the answer, such as clock_offset_seconds of an authenticator app whose clock is wrong (negative: it is behind). In development also which of purpose, subject, to and transaction differ from the start."`
}

// A fieldProblem names one field of a request and the reason why it is invalid. Names of nested fields have dots. It never
// contains the value of the field.
type fieldProblem struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// invalidFields returns an invalid_request error for several fields with the same reason.
func invalidFields(fields []string, reason string) error {
	e := &watchword.Error{Code: watchword.ErrInvalidRequest.Code}
	for _, f := range fields {
		e.Fields = append(e.Fields, watchword.FieldError{Field: f, Reason: reason})
	}
	return e
}

// newError returns an error with one of the server's own codes.
func newError(code string) error { return &watchword.Error{Code: code} }

// newDetailedError returns an error with a sentence about the request. The sentence must not contain values of the request.
func newDetailedError(code, detail string) error { return &detailedError{newError(code), detail} }

// A detailedError is an error with the detail of its problem (RFC 9457 §3.1.4).
type detailedError struct {
	error
	detail string
}

// Unwrap returns the error without its detail.
func (e *detailedError) Unwrap() error { return e.error }

// invalidField returns an invalid_request error for one field.
func invalidField(field, reason string) error { return invalidFields([]string{field}, reason) }

// translateError is the only place where errors become problems. An exceeded deadline becomes unavailable; any other error
// that is not a *watchword.Error becomes internal_error. The duration is the time for Retry-After; zero means none.
func (s *Server) translateError(err error, publicURL string) (problem, time.Duration) {
	var known *watchword.Error
	if !errors.As(err, &known) {
		known = &watchword.Error{Code: codeInternalError}
		if errors.Is(err, context.DeadlineExceeded) {
			known.Code = watchword.ErrUnavailable.Code
		}
	}
	k, ok := s.problemTypes[known.Code]
	if !ok {
		k = s.problemTypes[codeInternalError]
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

// formatRetryAfter returns the header's value (RFC 9110 §10.2.3): whole seconds, rounded up, at least one.
func formatRetryAfter(d time.Duration) string {
	return strconv.FormatInt(max(int64(math.Ceil(d.Seconds())), 1), 10)
}

// newProblemResponse returns the problem of an error as a response, and sets the headers that belong to it.
func (x *exchange) newProblemResponse(err error) response {
	p, wait := x.server.translateError(err, x.publicURL())
	x.problemCode, x.limit, x.cause = p.Code, p.Limit, err
	if wait > 0 {
		x.Header().Set("Retry-After", formatRetryAfter(wait))
	}
	if p.Status == http.StatusUnauthorized {
		x.Header().Set("WWW-Authenticate", "Bearer")
	}
	body, err := json.Marshal(p)
	if err != nil { // details come from a strategy; the rest always has a JSON form
		p.Details = nil
		body, _ = json.Marshal(p)
	}
	return response{p.Status, body}
}

// writeProblem responds with the problem of an error.
func (x *exchange) writeProblem(err error) { x.writeResponse(x.newProblemResponse(err)) }
