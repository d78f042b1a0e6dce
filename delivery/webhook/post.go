package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// maxDrained is how much of an answer is read so that its connection can be used again. Nobody looks at it.
const maxDrained = 16 << 10

// post sends a signed body once. The id stays the same however often that is tried. Errors are *watchword.SendError.
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
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	at, signature := strconv.FormatInt(now.Unix(), 10), Sign(s.secrets, id, now, body)
	for _, prefix := range s.prefixes {
		request.Header[prefix+"Id"] = []string{id}
		request.Header[prefix+"Timestamp"] = []string{at}
		request.Header[prefix+"Signature"] = []string{signature}
	}
	request.Header["Content-Type"] = []string{"application/json"}
	request.Header["User-Agent"] = []string{"watchword"}
	// The id makes a repetition harmless, so net/http may try again on a fresh connection when the receiver has just
	// closed an idle one. An empty list says so without sending the header.
	request.Header["Idempotency-Key"] = []string{}
	return request, nil
}

// statusError is the cause of a refusal: the status of the receiver's answer.
type statusError int

func (a statusError) Error() string { return fmt.Sprintf("the receiver answered %d", int(a)) }

// checkStatus turns an answer's status into nil or a *watchword.SendError.
func checkStatus(answer *http.Response, now time.Time) error {
	status := answer.StatusCode
	cause := statusError(status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return &watchword.SendError{Provider: provider, Cause: cause, RetryAfter: outbound.RetryAfter(answer.Header.Get("Retry-After"), now)}
	}
	return &watchword.SendError{Provider: provider, Permanent: true, Cause: cause}
}

// permanentError is for good, and for a reason that is known without the receiver.
func permanentError(cause error) error {
	return &watchword.SendError{Provider: provider, Permanent: true, Cause: outbound.Reason(cause)}
}

// connectionError leaves out what net/http puts into its errors: the URL, whose path may be a secret of the receiver's, and
// what the receiver answered, which may repeat the request.
func connectionError(err error) error {
	return &watchword.SendError{Provider: provider, Permanent: errors.Is(err, outbound.ErrRefused), Cause: outbound.Reason(err)}
}
