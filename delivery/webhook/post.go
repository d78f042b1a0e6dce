package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// maxDrained is how many bytes of an answer are read and discarded, so that the connection can be reused.
const maxDrained = 16 << 10

// post sends a signed body once. All tries of one body must have the same id. Errors are *watchword.SendError values.
func (s *settings) post(ctx context.Context, client *http.Client, id string, now time.Time, body []byte) error {
	request, err := s.newRequest(ctx, id, now, body)
	if err != nil {
		return permanentError(outbound.Failure("request cannot be made"))
	}
	answer, err := client.Do(request)
	if err != nil {
		return connectionError(err)
	}
	_, _ = io.CopyN(io.Discard, answer.Body, maxDrained)
	_ = answer.Body.Close()
	return checkStatus(answer, now)
}

func (s *settings) newRequest(ctx context.Context, id string, now time.Time, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.URL, request.Host = s.target, s.target.Host // parsed once
	at, signature := strconv.FormatInt(now.Unix(), 10), Sign(s.secrets, id, now, body)
	for _, prefix := range s.prefixes {
		request.Header[prefix+"Id"] = []string{id}
		request.Header[prefix+"Timestamp"] = []string{at}
		request.Header[prefix+"Signature"] = []string{signature}
	}
	request.Header["Content-Type"] = []string{"application/json"}
	request.Header["User-Agent"] = []string{s.userAgent}
	// Receivers recognize repetitions by the id, so net/http may retry on a new connection when the receiver has just closed an
	// idle one. The empty list makes net/http do so and is not sent.
	request.Header["Idempotency-Key"] = []string{}
	return request, nil
}

// A statusError is an unsuccessful status of the receiver's answer.
type statusError int

// Error names the HTTP status and nothing that the receiver sent.
func (e statusError) Error() string { return fmt.Sprintf("the receiver answered %d", int(e)) }

// checkStatus returns nil for a 2xx answer, and else a *watchword.SendError. docs/senders.md has the same table.
func checkStatus(answer *http.Response, now time.Time) error {
	status := answer.StatusCode
	out := &watchword.SendError{Provider: provider, Permanent: true, Cause: statusError(status)}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		out.Fault, out.Permanent = watchword.FaultProvider, false
		out.RetryAfter = outbound.RetryAfter(answer.Header.Get("Retry-After"), now)
	case status == http.StatusRequestEntityTooLarge, status == http.StatusUnsupportedMediaType:
		out.Fault = watchword.FaultMessage
	case status < 400, slices.Contains(configurationStatuses, status):
		out.Fault = watchword.FaultProvider
	default: // the receiver refuses this message
		out.Fault = watchword.FaultRecipient
	}
	return out
}

// configurationStatuses mean that the receiver would refuse every message: the secret or the URL is wrong.
var configurationStatuses = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}

// permanentError returns a permanent failure of a message, found before the receiver was contacted.
func permanentError(cause error) error {
	return &watchword.SendError{Fault: watchword.FaultMessage, Provider: provider, Permanent: true, Cause: outbound.Reason(cause)}
}

// connectionError converts an error of net/http. It leaves out the URL, whose path may be a secret, and quotes of the answer,
// which may repeat the request.
func connectionError(err error) error {
	return &watchword.SendError{Provider: provider, Permanent: errors.Is(err, outbound.ErrRefused), Cause: outbound.Reason(err)}
}
