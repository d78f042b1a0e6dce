package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Problem is a refusal by the server (RFC 9457). It wraps a *watchword.Error with the same code: compare with errors.Is and
// watchword.ErrIncorrectAnswer and the others, and use errors.As for either type.
type Problem struct {
	Code       string        // stable name; empty if the response is none of watchword's, such as the page of a proxy
	Status     int           // of HTTP
	Type       string        // URL of a page that explains the problem
	Title      string        // for people
	Detail     string        // what is wrong with this request, for people
	RequestID  string        // id of the request in the server's log
	RetryAfter time.Duration // time to wait before another try; 0: the server named none

	call  string
	cause *watchword.Error
}

// Error returns the call, the code, the title and what the server says about the request.
func (p *Problem) Error() string {
	if p.Code == "" {
		return fmt.Sprintf("client: %s: unexpected response with status %d", p.call, p.Status)
	}
	parts := []string{fmt.Sprintf("client: %s: %s: %s", p.call, p.Code, p.Title)}
	for _, f := range p.cause.Fields {
		parts = append(parts, f.Field+" "+f.Reason)
	}
	if p.Detail != "" {
		parts = append(parts, p.Detail)
	}
	return strings.Join(parts, "; ")
}

// Unwrap returns the *watchword.Error.
func (p *Problem) Unwrap() error {
	if p.cause == nil {
		return nil
	}
	return p.cause
}

func (p *Problem) isTemporary() bool {
	switch p.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// problemBody is the body of a problem.
type problemBody struct {
	Type              string           `json:"type"`
	Title             string           `json:"title"`
	Status            int              `json:"status"`
	Code              string           `json:"code"`
	Detail            string           `json:"detail"`
	Errors            []fieldProblem   `json:"errors"`
	AttemptsRemaining int              `json:"attempts_remaining"`
	ChallengeStatus   watchword.Status `json:"challenge_status"` // always locked, which the code says too
	Limit             string           `json:"limit"`
	Reason            string           `json:"reason"`
	Outcome           string           `json:"outcome"`
	Details           map[string]any   `json:"details"`
}

type fieldProblem struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func newProblem(r *request, res *http.Response, text []byte) *Problem {
	p := &Problem{Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), call: r.method + " " + r.path}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	var body problemBody
	if json.Unmarshal(text, &body) != nil || body.Code == "" {
		return p
	}
	p.Code, p.Type, p.Title, p.Detail = body.Code, body.Type, body.Title, body.Detail
	p.cause = &watchword.Error{Code: body.Code, Remaining: body.AttemptsRemaining, Limit: body.Limit, Reason: body.Reason,
		RetryAfter: p.RetryAfter, Extra: body.Details, Unknown: body.Outcome == "unknown"}
	for _, f := range body.Errors {
		p.cause.Fields = append(p.cause.Fields, watchword.FieldError{Field: f.Field, Reason: f.Reason})
	}
	return p
}
