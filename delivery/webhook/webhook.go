// Package webhook posts messages and events to an app's own URLs, signed according to Standard Webhooks 1.0.
//
// As a sender it lets an app deliver messages itself. Its configuration is a URL:
//
//	webhook+https://host/path?secret=whsec_...
//	webhook+https://host/path?secret=whsec_new...&secret=whsec_old...   two secrets, while one replaces the other
//	webhook+https://host/path?secret=whsec_...&format=clerk             posts Clerk's sms.created and email.created events
//	webhook+https://host/path?secret=v1,whsec_...&format=supabase       calls Supabase's Send-SMS and Send-Email hooks; no transactions
//	webhook+http://localhost:3000/path?secret=whsec_...                 plain http, in development only
//
// A Dispatcher posts the engine's events to an app's endpoints.
//
// The receiver must verify the signature and answer 2xx when it has accepted the message. A message with an id that it has
// received before is a retry. The statuses 408, 425, 429 and 5xx, time-outs and broken connections are temporary failures, and
// Retry-After is respected. Every other status, including redirects, is a permanent failure. With Environment.CallbackURL a message
// in watchword's own format contains a report_url, to which the receiver may report what became of the message.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/outbound"
)

const provider = "webhook"

type sender struct {
	settings
	client *http.Client
	now    func() time.Time
	env    delivery.Environment

	callbackURL string // empty: this sender gets no reports
}

// Open is the delivery.Opener of the schemes webhook+https and webhook+http.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	settings, err := parseURL(u, env.Development)
	if err != nil {
		return nil, err
	}
	if _, err := settings.format(watchword.Message{Channel: env.Channel}, "", env.Now()); errors.Is(err, errVoiceUnsupported) {
		return nil, err
	}
	settings.userAgent = env.WithDefaults().UserAgent
	s := &sender{settings: settings, client: env.HTTPClient(), now: env.Now, env: env}
	if settings.reports {
		s.callbackURL = env.CallbackURL
	}
	return s, nil
}

// CheckMessage implements delivery.MessageChecker. It refuses messages about a transaction if the format cannot contain it.
func (s *sender) CheckMessage(m watchword.Message) error {
	if _, err := s.format(m, "", s.now()); errors.Is(err, errTransactionUnsupported) {
		return delivery.RefuseTransaction("is in no message of this channel: " + errTransactionUnsupported.Error())
	}
	return nil
}

// Send posts the message once. Its errors are *watchword.SendError values.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	now := s.now()
	document, err := s.format(m, s.reportURL(m), now)
	if err != nil {
		return watchword.Sent{}, permanentError(err)
	}
	body, err := json.Marshal(document)
	if err != nil {
		return watchword.Sent{}, permanentError(outbound.Failure("message cannot be written as JSON"))
	}
	if err := s.post(ctx, s.client, m.ID, now, body); err != nil {
		return watchword.Sent{}, err
	}
	return watchword.Sent{Provider: provider, Reference: m.ID}, nil
}
