// Package twilio sends through Twilio's REST API: SMS, WhatsApp messages and calls that read the code digit by digit.
//
//	twilio://ACsid:token@/?from=+14155550100                         a number, for SMS, WhatsApp and calls; or a sender id
//	twilio://ACsid:token@/?messaging_service=MG...                   Twilio chooses the number; not for calls
//	twilio://ACsid:token@/?from=...&content_sid=HX...                the template of WhatsApp messages, whose variable 1 is the code
//	twilio://ACsid:token@/?...&content_variables=1:code,2:minutes    its variables: app, code, link, minutes, text, transaction
//	twilio://SKsid:secret@/?account=AC...&from=...                   an API key, and the account that it is of
//	twilio://SKsid:secret@/?account=AC...&account_token=...&from=... the account's token too, by which reports are signed
//	twilio://ACsid:token@/?from=...&region=ie1&edge=dublin           where the account is
//	twilio://ACsid:token@/?from=...&status_callback=https://...      Twilio reports there instead of to the sender
//	twilio://ACsid:token@/?from=...&base_url=http://localhost:1      a Twilio of one's own, in development only
//
// Outside of a session that the person began WhatsApp takes approved templates only, so that channel needs a content_sid. A
// template without the variable transaction or text carries no transactions.
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

// The channels that Twilio carries.
const (
	channelSMS      = "sms"
	channelWhatsApp = "whatsapp"
	channelVoice    = "voice"
)

// Twilio's bounds of how long a message may wait in its queue.
const (
	minValidity = time.Second
	maxValidity = 36000 * time.Second
)

// ringSeconds is how many seconds a phone rings: not long enough for most voicemail, where a code would lie about for
// whoever knows a default PIN.
const ringSeconds = 20

// numberPattern is E.164: what goes to Twilio can be neither a client:, sip: nor whatsapp: address of somebody's choice.
var numberPattern = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

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
	settings, err := parseURL(u, env.Channel, env.Development)
	if err != nil {
		return nil, err
	}
	if env.CallbackURL != "" && settings.accountToken.IsZero() && settings.statusCallback == "" {
		env.Logger.Warn("delivery reports are off: an API key needs the parameter account_token for them", "sender", provider)
	}
	spoken, err := languages.NewMatcher(slices.Sorted(maps.Keys(voices)))
	if err != nil {
		return nil, err
	}
	return &sender{settings: settings, client: env.HTTPClient(), now: env.Now, report: env.Report, callbackURL: env.CallbackURL, voices: spoken}, nil
}

// CheckMessage is a delivery.Checker's: a template without a place for it must not carry a code that approves something.
func (s *sender) CheckMessage(m watchword.Message) error {
	if m.Channel == channelWhatsApp && s.content.hidesTransaction(m) {
		return delivery.RefuseTransaction("is in no message of this channel: " + errHidesTransaction.Error())
	}
	return nil
}

// Send asks Twilio once to take the message. Its errors are *watchword.SendError.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	if !numberPattern.MatchString(m.To) {
		return watchword.Sent{}, permanentError("the recipient is not an E.164 number")
	}
	left := m.ExpiresAt.Sub(s.now())
	if left < minValidity {
		return watchword.Sent{}, permanentError("the code has died")
	}
	service := api.NewApiService(&client.RequestHandler{Client: &restClient{ctx: ctx, sender: s}, Region: s.region, Edge: s.edge})
	var reference *string
	var err error
	switch m.Channel {
	case channelSMS:
		reference, err = s.createMessage(service, new(api.CreateMessageParams).SetBody(m.Text), m, "", left)
	case channelWhatsApp:
		reference, err = s.createWhatsAppMessage(service, m, left)
	case channelVoice:
		reference, err = s.createCall(service, m)
	default:
		err = permanentError(errChannelUnsupported)
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

// createWhatsAppMessage sends the template with the message's values.
func (s *sender) createWhatsAppMessage(service *api.ApiService, m watchword.Message, left time.Duration) (*string, error) {
	if s.content.sid == "" {
		return nil, permanentError(errContentMissing)
	}
	variables, err := s.content.encodeVariables(m, left)
	if err != nil {
		return nil, err
	}
	params := new(api.CreateMessageParams).SetContentSid(s.content.sid).SetContentVariables(variables)
	return s.createMessage(service, params, m, "whatsapp:", left)
}

// createMessage sends what the parameters say, with the prefix of the channel's addresses.
func (s *sender) createMessage(service *api.ApiService, params *api.CreateMessageParams, m watchword.Message, prefix string, left time.Duration) (*string, error) {
	params.SetTo(prefix + m.To)
	params.SetValidityPeriod(int(min(left, maxValidity) / time.Second))
	if s.from != "" {
		params.SetFrom(prefix + s.from)
	}
	if s.messagingService != "" {
		params.SetMessagingServiceSid(s.messagingService)
	}
	if to := s.statusCallbackURL(m); to != "" {
		params.SetStatusCallback(to)
	}
	answer, err := service.CreateMessage(params)
	if err != nil {
		return nil, err
	}
	return answer.Sid, nil
}

func (s *sender) createCall(service *api.ApiService, m watchword.Message) (*string, error) {
	if s.from == "" {
		return nil, permanentError(errFromMissing)
	}
	params := new(api.CreateCallParams)
	params.SetTo(m.To)
	params.SetFrom(s.from)
	params.SetTwiml(s.twiml(m))
	params.SetTimeout(ringSeconds)
	if to := s.statusCallbackURL(m); to != "" {
		params.SetStatusCallback(to)
		params.SetStatusCallbackEvent([]string{"answered", "completed"})
	}
	answer, err := service.CreateCall(params)
	if err != nil {
		return nil, err
	}
	return answer.Sid, nil
}
