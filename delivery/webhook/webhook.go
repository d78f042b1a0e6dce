// Package webhook lets an app bring its own delivery: each message is posted, signed as Standard Webhooks 1.0 says, to
// a URL of the app, which sends it by whatever it likes.
//
//	webhook+https://host/path?secret=whsec_...
//	webhook+https://host/path?secret=whsec_new...&secret=whsec_old...   while a secret is changed
//	webhook+https://host/path?secret=whsec_...&format=clerk             as Clerk's sms.created and email.created
//	webhook+https://host/path?secret=v1,whsec_...&format=supabase       as Supabase's Send-SMS and Send-Email hooks
//	webhook+http://localhost:3000/path?secret=whsec_...                 in development only
//
// The receiver checks the signature and answers 2xx when it has taken the message over; an id that it has seen before
// is a repetition. 408, 425, 429, 5xx, silence and a broken connection mean "again, later", and Retry-After says when;
// anything else, a redirect included, means "never".
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/outbound"
)

const provider = "webhook"

// drainLimit is how much of an answer is read so that its connection can be used again. Nobody looks at it.
const drainLimit = 16 << 10

// maxRetryAfter bounds what a receiver may ask for; no code lives that long.
const maxRetryAfter = 24 * time.Hour

type sender struct {
	settings
	client *http.Client
	now    func() time.Time
}

// Open is the delivery.Opener of webhook+https and webhook+http.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	settings, err := parse(u, env.Development)
	if err != nil {
		return nil, err
	}
	return &sender{settings: settings, client: env.HTTPClient(), now: env.Now}, nil
}

// Send posts the message once. Its errors are *watchword.SendError.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	now := s.now()
	document, err := s.format(m, now)
	if err != nil {
		return watchword.Sent{}, refused(err)
	}
	body, err := json.Marshal(document)
	if err != nil {
		return watchword.Sent{}, refused(errors.New("the message cannot be written as JSON"))
	}
	request, err := s.request(ctx, m.ID, now, body)
	if err != nil {
		return watchword.Sent{}, refused(errors.New("the request cannot be made"))
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return watchword.Sent{}, unreachable(err)
	}
	_, _ = io.CopyN(io.Discard, answer.Body, drainLimit)
	_ = answer.Body.Close()
	if err := judge(answer, now); err != nil {
		return watchword.Sent{}, err
	}
	return watchword.Sent{Provider: provider, Reference: m.ID}, nil
}

func (s *sender) request(ctx context.Context, id string, now time.Time, body []byte) (*http.Request, error) {
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

// judge turns an answer's status into nil or a *watchword.SendError.
func judge(answer *http.Response, now time.Time) error {
	status := answer.StatusCode
	cause := fmt.Errorf("the receiver answered %d", status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return &watchword.SendError{Provider: provider, Cause: cause, RetryAfter: retryAfter(answer.Header.Get("Retry-After"), now)}
	}
	return refused(cause)
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3); zero if there is neither.
func retryAfter(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

func refused(cause error) error {
	return &watchword.SendError{Provider: provider, Permanent: true, Cause: cause}
}

// unreachable leaves out the URL that net/http puts into its errors: its path may be a secret of the receiver's.
func unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &watchword.SendError{Provider: provider, Permanent: errors.Is(err, outbound.ErrRefused), Cause: err}
}
