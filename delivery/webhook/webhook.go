// Package webhook lets an app bring its own delivery: each message is posted, signed as Standard Webhooks 1.0 says, to
// a URL of the app, which sends it by whatever it likes.
//
//	webhook+https://host/path?secret=whsec_...
//	webhook+https://host/path?secret=whsec_new...&secret=whsec_old...   while a secret is changed
//	webhook+https://host/path?secret=whsec_...&format=clerk             as Clerk's sms.created and email.created
//	webhook+https://host/path?secret=v1,whsec_...&format=supabase       as Supabase's Send-SMS and Send-Email hooks; no transactions
//	webhook+http://localhost:3000/path?secret=whsec_...                 in development only
//
// Beside messages, Events tells an app's endpoints what happened.
//
// The receiver checks the signature and answers 2xx when it has taken the message over; an id that it has seen before
// is a repetition. 408, 425, 429, 5xx, silence and a broken connection mean "again, later", and Retry-After says when;
// anything else, a redirect included, means "never".
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
}

// Open is the delivery.Opener of webhook+https and webhook+http.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	settings, err := parseURL(u, env.Development)
	if err != nil {
		return nil, err
	}
	if _, err := settings.format(watchword.Message{Channel: env.Channel}, env.Now()); errors.Is(err, errVoiceUnsupported) {
		return nil, err
	}
	return &sender{settings: settings, client: env.HTTPClient(), now: env.Now}, nil
}

// CheckMessage is a delivery.Checker's: a format that has no words for a transaction must not carry a code that approves one.
func (s *sender) CheckMessage(m watchword.Message) error {
	if _, err := s.format(m, s.now()); errors.Is(err, errTransactionUnsupported) {
		return delivery.RefuseTransaction("is in no message of this channel: " + errTransactionUnsupported.Error())
	}
	return nil
}

// Send posts the message once. Its errors are *watchword.SendError.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	now := s.now()
	document, err := s.format(m, now)
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
