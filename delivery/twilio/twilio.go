// Package twilio sends SMS, WhatsApp messages and voice calls through Twilio's REST API. Its configuration is a URL:
//
//	twilio://ACsid:token@/?from=+14155550100                         a number, for SMS, WhatsApp and calls; or a sender id
//	twilio://ACsid:token@/?messaging_service=MG...                   Twilio chooses the number; not for calls
//	twilio://ACsid:token@/?from=...&content_sid=HX...                the template of WhatsApp messages, whose variable 1 is the code
//	twilio://ACsid:token@/?...&content_variables=1:code,2:minutes    its variables: app, code, link, minutes, text, transaction
//	twilio://SKsid:secret@/?account=AC...&from=...                   an API key and its account
//	twilio://SKsid:secret@/?account=AC...&account_token=...&from=... also the account's auth token, to verify delivery reports
//	twilio://ACsid:token@/?from=...&region=ie1&edge=dublin           the account's region and edge
//	twilio://ACsid:token@/?from=...&status_callback=https://...      delivery reports go to this URL instead of the sender
//	twilio://ACsid:token@/?from=...&base_url=http://localhost:1      another API server, in development only
//
// WhatsApp accepts only approved templates for messages that start a conversation, so the channel whatsapp needs content_sid. A
// template without the variable transaction or text is not used for messages about a transaction.
//
// Twilio drops a queued message when its code expires. It sends delivery reports to URLs below Environment.CallbackURL, which the
// sender serves as a delivery.Reporter. If a program serves a status_callback itself, it can use the type Callbacks. Errors contain
// Twilio's error code but not its text, which may contain the number.
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

// The supported channels.
const (
	channelSMS      = "sms"
	channelWhatsApp = "whatsapp"
	channelVoice    = "voice"
)

// Twilio's bounds of the time that a message may be queued.
const (
	minValidity = time.Second
	maxValidity = 36000 * time.Second
)

// ringSeconds is how long a phone rings. It is too short for most voicemail, where anybody who knows a default PIN could hear the
// code.
const ringSeconds = 20

// numberPattern matches E.164 numbers, so that a recipient cannot be an address such as client:, sip: or whatsapp:.
var numberPattern = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

type sender struct {
	settings
	client *http.Client
	now    func() time.Time
	report func(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error

	userAgent   string // of requests
	callbackURL string // empty: this sender gets no reports
	id          string // in its channel
	voices      *languages.Matcher
}

// Open is the delivery.Opener of the scheme twilio.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	settings, err := parseURL(u, env.Channel, env.Development)
	if err != nil {
		return nil, err
	}
	if env.CallbackURL != "" && settings.accountToken.IsZero() && settings.statusCallback == "" {
		env.Logger.Warn("delivery reports are off: an API key needs the parameter account_token for them", "sender", provider)
	}
	voiceLanguages, err := languages.NewMatcher(slices.Sorted(maps.Keys(voices)))
	if err != nil {
		return nil, err
	}
	return &sender{settings: settings, client: env.HTTPClient(), now: env.Now, report: env.Report, userAgent: env.WithDefaults().UserAgent, callbackURL: env.CallbackURL, id: env.Sender, voices: voiceLanguages}, nil
}

// CheckMessage implements delivery.MessageChecker. It refuses WhatsApp messages about a transaction if the template does not show
// it.
func (s *sender) CheckMessage(m watchword.Message) error {
	if m.Channel == channelWhatsApp && s.content.hidesTransaction(m) {
		return delivery.RefuseTransaction("is in no message of this channel: " + errHidesTransaction.Error())
	}
	return nil
}

// Check implements delivery.Checker: it reads the account's latest message, which also an API key may.
func (s *sender) Check(ctx context.Context) error {
	service := api.NewApiService(&client.RequestHandler{Client: &restClient{ctx: ctx, sender: s}, Region: s.region, Edge: s.edge})
	_, err := service.PageMessage(new(api.ListMessageParams).SetPageSize(1), "", "")
	if err != nil {
		return sendError(err)
	}
	return nil
}

// Send passes the message to Twilio once. Its errors are *watchword.SendError values.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	if !numberPattern.MatchString(m.To) {
		return watchword.Sent{}, permanentError(watchword.FaultRecipient, "the recipient is not an E.164 number")
	}
	left := m.ExpiresAt.Sub(s.now())
	if left < minValidity {
		return watchword.Sent{}, permanentError(watchword.FaultMessage, "the code has expired")
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
		err = permanentError(watchword.FaultProvider, errChannelUnsupported)
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

// createWhatsAppMessage sends the configured template with the message's values.
func (s *sender) createWhatsAppMessage(service *api.ApiService, m watchword.Message, left time.Duration) (*string, error) {
	if s.content.sid == "" {
		return nil, permanentError(watchword.FaultProvider, errContentMissing)
	}
	variables, err := s.content.encodeVariables(m, left)
	if err != nil {
		return nil, err
	}
	params := new(api.CreateMessageParams).SetContentSid(s.content.sid).SetContentVariables(variables)
	return s.createMessage(service, params, m, "whatsapp:", left)
}

// createMessage completes the parameters and creates the message. The prefix is that of the channel's addresses.
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
		return nil, permanentError(watchword.FaultProvider, errFromMissing)
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
