// Package twilio sends through Twilio's REST API: SMS, WhatsApp messages and calls that read the code digit by digit.
//
//	twilio://ACsid:token@/?from=+14155550100                      a number, for SMS, WhatsApp and calls; or a sender id
//	twilio://ACsid:token@/?messaging_service=MG...                Twilio chooses the number; not for calls
//	twilio://ACsid:token@/?from=...&status_callback=https://...   Twilio reports there instead of to the sender
//	twilio://ACsid:token@/?from=...&base_url=http://localhost:1   a Twilio of one's own, in development only
//
// A message that waits at Twilio is dropped there when its code dies. What became of it Twilio reports to a URL of its own,
// below Environment.CallbackURL, which the sender serves as a delivery.Reporter; a program that serves a status_callback
// itself does so with Callbacks. Errors name Twilio's error code and never its text, which may hold the number.
package twilio

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/languages"
)

const provider = "twilio"

// Twilio's bounds of how long a message may wait in its queue.
const (
	minValidity = time.Second
	maxValidity = 36000 * time.Second
)

// ringTime is how many seconds a phone rings: not long enough for most voicemail, where a code would lie about for
// whoever knows a default PIN.
const ringTime = 20

// number is E.164: what goes to Twilio can be neither a client:, sip: nor whatsapp: address of somebody's choice.
var number = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

type sender struct {
	settings
	client *http.Client
	now    func() time.Time
	report func(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error

	callbackURL string // empty: nothing is reported to this sender
	voices      *languages.Matcher
}

// Open is the delivery.Opener of twilio.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	settings, err := parse(u, env.Development)
	if err != nil {
		return nil, err
	}
	spoken, err := languages.NewMatcher(slices.Sorted(maps.Keys(voices)))
	if err != nil {
		return nil, err
	}
	return &sender{settings: settings, client: env.HTTPClient(), now: env.Now, report: env.Report, callbackURL: env.CallbackURL, voices: spoken}, nil
}

// Send asks Twilio once to take the message. Its errors are *watchword.SendError.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	if !number.MatchString(m.To) {
		return watchword.Sent{}, refused("the recipient is not an E.164 number")
	}
	left := m.ExpiresAt.Sub(s.now())
	if left < minValidity {
		return watchword.Sent{}, refused("the code has died")
	}
	service := api.NewApiService(&client.RequestHandler{Client: &restClient{ctx: ctx, sender: s}})
	var reference *string
	var err error
	switch m.Channel {
	case "sms":
		reference, err = s.text(service, m, "", left)
	case "whatsapp":
		reference, err = s.text(service, m, "whatsapp:", left)
	case "voice":
		reference, err = s.call(service, m)
	default:
		err = refused("Twilio carries sms, whatsapp and voice only")
	}
	if err != nil {
		return watchword.Sent{}, sendError(err)
	}
	sent := watchword.Sent{Provider: provider}
	if reference != nil {
		sent.Reference = *reference
	}
	return sent, nil
}

// text sends an SMS or, with the prefix of its addresses, a WhatsApp message.
func (s *sender) text(service *api.ApiService, m watchword.Message, prefix string, left time.Duration) (*string, error) {
	params := new(api.CreateMessageParams)
	params.SetTo(prefix + m.To)
	params.SetBody(m.Text)
	params.SetValidityPeriod(int(min(left, maxValidity) / time.Second))
	if s.from != "" {
		params.SetFrom(prefix + s.from)
	}
	if s.messagingService != "" {
		params.SetMessagingServiceSid(s.messagingService)
	}
	if to := s.reportsTo(m); to != "" {
		params.SetStatusCallback(to)
	}
	answer, err := service.CreateMessage(params)
	if err != nil {
		return nil, err
	}
	return answer.Sid, nil
}

func (s *sender) call(service *api.ApiService, m watchword.Message) (*string, error) {
	if s.from == "" {
		return nil, refused("a call needs the parameter from")
	}
	params := new(api.CreateCallParams)
	params.SetTo(m.To)
	params.SetFrom(s.from)
	params.SetTwiml(s.twiml(m))
	params.SetTimeout(ringTime)
	if to := s.reportsTo(m); to != "" {
		params.SetStatusCallback(to)
		params.SetStatusCallbackEvent([]string{"answered", "completed"})
	}
	answer, err := service.CreateCall(params)
	if err != nil {
		return nil, err
	}
	return answer.Sid, nil
}
