package webhook

import (
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

const errVoiceUnsupported outbound.Failure = "this format does not support voice"

// A clerkEvent is the payload of Clerk's sms.created and email.created events.
type clerkEvent struct {
	Object     string          `json:"object"`
	Type       string          `json:"type"`
	InstanceID string          `json:"instance_id"`
	Timestamp  int64           `json:"timestamp"` // milliseconds
	Attributes clerkAttributes `json:"event_attributes"`
	Data       any             `json:"data"`
}

type clerkAttributes struct {
	Request struct {
		IP        string `json:"client_ip"`
		UserAgent string `json:"user_agent"`
	} `json:"http_request"`
}

// clerkMessage has the fields that both kinds of data have in common.
type clerkMessage struct {
	Object           string      `json:"object"`
	ID               string      `json:"id"`
	Slug             string      `json:"slug"`
	UserID           *string     `json:"user_id"`
	Status           string      `json:"status"`
	Data             clerkSecret `json:"data"`
	DeliveredByClerk bool        `json:"delivered_by_clerk"`
}

type clerkSecret struct {
	Code string   `json:"otp_code,omitempty"`
	Link string   `json:"magic_link,omitempty"`
	App  clerkApp `json:"app"`
}

type clerkApp struct {
	Name string `json:"name"`
}

type clerkSMS struct {
	clerkMessage
	From          string  `json:"from_phone_number"`
	To            string  `json:"to_phone_number"`
	PhoneNumberID *string `json:"phone_number_id"`
	Message       string  `json:"message"`
	CreatedAt     int64   `json:"created_at"` // milliseconds
}

type clerkEmail struct {
	clerkMessage
	FromName       string  `json:"from_email_name"`
	ReplyToName    *string `json:"reply_to_email_name"`
	To             string  `json:"to_email_address"`
	EmailAddressID *string `json:"email_address_id"`
	Subject        string  `json:"subject"`
	Body           string  `json:"body"`
	BodyPlain      string  `json:"body_plain"`
}

func clerkFormat(m watchword.Message, _ string, now time.Time) (any, error) {
	out := clerkEvent{Object: "event", InstanceID: m.App, Timestamp: now.UnixMilli()}
	out.Attributes.Request.IP = m.Client.IP
	out.Attributes.Request.UserAgent = m.Client.UserAgent
	switch m.Channel {
	case "voice":
		return nil, errVoiceUnsupported
	case "email":
		out.Type = "email.created"
		out.Data = clerkEmail{
			clerkMessage: newClerkMessage(m, "email"),
			FromName:     "noreply", // a local part; the receiver adds its domain
			To:           m.To, Subject: m.Title, Body: m.HTML, BodyPlain: m.Text,
		}
	default:
		out.Type = "sms.created"
		out.Data = clerkSMS{
			clerkMessage: newClerkMessage(m, "sms_message"),
			To:           m.To, Message: m.Text, CreatedAt: now.UnixMilli(),
		}
	}
	return out, nil
}

func newClerkMessage(m watchword.Message, object string) clerkMessage {
	out := clerkMessage{
		Object: object, ID: m.ID, Slug: "verification_code", Status: "queued",
		Data: clerkSecret{Code: m.Code.Reveal(), Link: m.Link.Reveal(), App: clerkApp{m.App}},
	}
	if !m.Link.IsZero() {
		out.Slug = "magic_link_sign_in"
	}
	if m.Subject != "" {
		out.UserID = &m.Subject
	}
	return out
}
