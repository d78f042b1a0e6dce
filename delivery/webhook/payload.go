package webhook

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// A format converts a message to the payload that is posted as JSON. An empty reportURL means that the receiver cannot report. Its
// errors are permanent: the format cannot represent the message.
type format func(m watchword.Message, reportURL string, now time.Time) (any, error)

// messagePayload is watchword's own format. Empty fields are omitted.
type messagePayload struct {
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"` // of this try
	Data      messageData `json:"data"`
}

type messageData struct {
	MessageID   string            `json:"message_id"`
	ChallengeID string            `json:"challenge_id"`
	Channel     string            `json:"channel"`
	To          string            `json:"to"`
	Locale      string            `json:"locale"`
	Purpose     string            `json:"purpose"`
	Subject     string            `json:"subject,omitempty"` // the app's id of the person
	Title       string            `json:"title,omitempty"`   // the subject line of a mail
	Text        string            `json:"text"`
	HTML        string            `json:"html,omitempty"`
	Code        string            `json:"code,omitempty"`
	Link        string            `json:"link,omitempty"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Transaction map[string]string `json:"transaction,omitempty"`
	ReportURL   string            `json:"report_url,omitempty"`
}

func standardFormat(m watchword.Message, reportURL string, now time.Time) (any, error) {
	return messagePayload{
		Type:      "message.send",
		Timestamp: now.UTC().Truncate(time.Millisecond),
		Data: messageData{
			MessageID: m.ID, ChallengeID: m.ChallengeID,
			Channel: m.Channel, To: m.To, Locale: m.Locale, Purpose: m.Purpose, Subject: m.Subject,
			Title: m.Title, Text: m.Text, HTML: m.HTML,
			Code: m.Code.Reveal(), Link: m.Link.Reveal(),
			ExpiresAt: m.ExpiresAt.UTC().Truncate(time.Second), Transaction: m.Transaction, ReportURL: reportURL,
		},
	}, nil
}
