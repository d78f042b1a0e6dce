package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// A restClient implements client.BaseClient of twilio-go for one API call. The library's own client supports neither contexts nor
// another base URL, and its errors contain the number.
type restClient struct {
	ctx    context.Context
	sender *sender
}

// AccountSid returns the account for the request's path.
func (c *restClient) AccountSid() string { return c.sender.account }

// SetTimeout has no effect: the context and the HTTP client bound the time.
func (c *restClient) SetTimeout(time.Duration) {}

// SetOauth has no effect: requests are authenticated by the sid and token of the account or of an API key.
func (c *restClient) SetOauth(client.OAuth) {}

// OAuth returns nil, see SetOauth.
func (c *restClient) OAuth() client.OAuth { return nil }

// SendRequest posts the form, or puts it into the query of a GET. For an answer other than 2xx it returns an *apiError. The library reads and closes 2xx answers.
func (c *restClient) SendRequest(method, rawURL string, form url.Values, _ map[string]any, _ ...byte) (*http.Response, error) {
	target, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if base := c.sender.base; base != nil {
		target.Scheme, target.Host = base.Scheme, base.Host
	}
	body := form.Encode()
	if method == http.MethodGet {
		target.RawQuery, body = body, ""
	}
	request, err := http.NewRequestWithContext(c.ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.sender.userAgent)
	request.SetBasicAuth(c.sender.user, c.sender.token.Reveal())
	answer, err := c.sender.client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		defer func() { _ = answer.Body.Close() }()
		return nil, newAPIError(answer, c.sender.now())
	}
	return answer, nil
}

// An apiError is an error answer of Twilio without its text, which may contain the number.
type apiError struct {
	status, code int
	retryAfter   time.Duration
}

// Error returns the status and Twilio's error code.
func (e *apiError) Error() string {
	return fmt.Sprintf("the API answered %d, error %d", e.status, e.code)
}

// Reason returns the text of Error, which may be shown to anybody (see watchword.Pinger).
func (e *apiError) Reason() string { return e.Error() }

func newAPIError(answer *http.Response, now time.Time) *apiError {
	e := &apiError{status: answer.StatusCode, retryAfter: outbound.RetryAfter(answer.Header.Get("Retry-After"), now)}
	var body struct{ Code int }
	if raw, err := io.ReadAll(answer.Body); err == nil && json.Unmarshal(raw, &body) == nil {
		e.code = body.Code
	}
	return e
}

// sendError converts any error to a *watchword.SendError without the URL, the number and the answer's text.
func sendError(err error) error {
	var done *watchword.SendError
	if errors.As(err, &done) {
		return done
	}
	var answered *apiError
	if errors.As(err, &answered) {
		v := judge(answered.status, answered.code)
		return &watchword.SendError{Fault: v.fault, Provider: provider, Permanent: v.permanent, RetryAfter: answered.retryAfter, Cause: answered}
	}
	var request *url.Error
	var reading outbound.Failure
	if errors.As(err, &request) || errors.As(err, &reading) {
		return &watchword.SendError{Provider: provider, Permanent: errors.Is(err, outbound.ErrRefused), Cause: outbound.Reason(err)}
	}
	return &watchword.SendError{Provider: provider, Cause: outbound.Failure("the API's answer cannot be read")}
}

// permanentError returns a refusal before Twilio was asked.
func permanentError(fault watchword.SendFault, cause outbound.Failure) error {
	return &watchword.SendError{Fault: fault, Provider: provider, Permanent: true, Cause: cause}
}
