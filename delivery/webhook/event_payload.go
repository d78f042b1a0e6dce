package webhook

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/watchword-auth/watchword"
)

// An eventPayload is the JSON form of an event. Empty fields are omitted.
type eventPayload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // of the event
	Data      eventData `json:"data"`
}

type eventData struct {
	App          string            `json:"app,omitempty"`
	ChallengeID  string            `json:"challenge_id,omitempty"`
	Verification string            `json:"verification_id,omitempty"`
	Strategy     string            `json:"strategy,omitempty"`
	Purpose      string            `json:"purpose,omitempty"`
	Subject      string            `json:"subject,omitempty"`
	Channel      string            `json:"channel,omitempty"`
	Provider     string            `json:"provider,omitempty"`
	Factor       string            `json:"factor,omitempty"`
	Limit        string            `json:"limit,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

// EncodeEvent returns the body that an endpoint gets for an event, a JSON object.
func EncodeEvent(ev watchword.Event) ([]byte, error) {
	return encodePayload(eventPayload{Type: ev.Type, Timestamp: ev.At.UTC().Truncate(time.Millisecond), Data: eventData{
		App: ev.App, ChallengeID: ev.ChallengeID, Verification: ev.Verification, Strategy: ev.Strategy, Purpose: ev.Purpose, Subject: ev.Subject,
		Channel: ev.Channel, Provider: ev.Provider, Factor: ev.Factor, Limit: ev.Limit, Metadata: ev.Metadata}})
}

// encodePayload returns the JSON text without HTML escaping, which would make metadata up to six times as long. The text has no
// spare capacity, because many wait in a backlog that counts their lengths.
func encodePayload(p eventPayload) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(p)
	return bytes.Clone(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), err
}
