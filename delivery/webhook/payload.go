package webhook

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// A format turns a message into the document that a receiver gets. It fails for a message that the format has no words
// for; no later try would change that.
type format func(m watchword.Message, now time.Time) (any, error)

// messagePayload is watchword's own form. What a message does not have is left out.
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
	Subject     string            `json:"subject,omitempty"` // who is asked: the app's own id
	Title       string            `json:"title,omitempty"`   // a mail's subject line
	Text        string            `json:"text"`
	HTML        string            `json:"html,omitempty"`
	Code        string            `json:"code,omitempty"`
	Link        string            `json:"link,omitempty"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Transaction map[string]string `json:"transaction,omitempty"`
}

func standardFormat(m watchword.Message, now time.Time) (any, error) {
	return messagePayload{
		Type:      "message.send",
		Timestamp: now.UTC().Truncate(time.Millisecond),
		Data: messageData{
			MessageID: m.ID, ChallengeID: m.ChallengeID,
			Channel: m.Channel, To: m.To, Locale: m.Locale, Purpose: m.Purpose, Subject: m.Subject,
			Title: m.Title, Text: m.Text, HTML: m.HTML,
			Code: m.Code.Reveal(), Link: m.Link.Reveal(),
			ExpiresAt: m.ExpiresAt.UTC().Truncate(time.Second), Transaction: m.Transaction,
		},
	}, nil
}
