// Package clienttest helps apps to test against a development server (watchword serve --dev): it has addresses with a fixed code,
// addresses that fail in a known way, and the messages that would have been sent. docs/testing.md explains them.
//
//	to, typed := clienttest.Ordinary.Email(), clienttest.Code
//	refused := clienttest.Expired.Email() // its code is refused as after ten minutes
//
//	inbox := clienttest.NewInbox("http://localhost:8080")
//	message, err := inbox.WaitFor(ctx, clienttest.Query{To: "ann@example.com"})
//	link := message.Link
package clienttest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// pause is the time between two looks.
const pause = 50 * time.Millisecond

// An Inbox is the inbox of a development server.
type Inbox struct{ url string }

// NewInbox returns the inbox of the server with a URL.
func NewInbox(serverURL string) *Inbox {
	return &Inbox{strings.TrimRight(serverURL, "/") + "/inbox/messages"}
}

// A Message is a message that would have been sent.
type Message struct {
	ID          string    `json:"id"`
	ChallengeID string    `json:"challenge_id"`
	Channel     string    `json:"channel"`
	To          string    `json:"to"`
	Subject     string    `json:"subject"` // the title of a mail
	Text        string    `json:"text"`
	HTML        string    `json:"html"` // of a mail
	Code        string    `json:"code"` // empty if the message has none
	Link        string    `json:"link"` // empty if the message has none
	At          time.Time `json:"at"`
}

// A Query selects messages. An empty field selects all.
type Query struct {
	To        string // the address as it was given to the start
	Challenge string // the id of the challenge; of a verification that of its challenge
}

// List returns the messages that a query selects, the newest first. The server keeps the last 200.
func (b *Inbox) List(ctx context.Context, q Query) ([]Message, error) {
	address := b.url
	if q.To != "" {
		address += "?to=" + url.QueryEscape(q.To)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("clienttest: %w", err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("clienttest: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("clienttest: GET %s: %s; only a development server has an inbox", b.url, res.Status)
	}
	var all, found []Message
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("clienttest: GET %s: %w", b.url, err)
	}
	for _, m := range all {
		if q.Challenge == "" || m.ChallengeID == q.Challenge {
			found = append(found, m)
		}
	}
	return found, nil
}

// WaitFor waits for a message that a query selects, and returns the newest. Messages are sent after the start is answered. It waits as
// long as the context allows.
func (b *Inbox) WaitFor(ctx context.Context, q Query) (Message, error) {
	for {
		found, err := b.List(ctx, q)
		if err != nil {
			return Message{}, err
		}
		if len(found) > 0 {
			return found[0], nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Message{}, fmt.Errorf("clienttest: no message: %w", ctx.Err())
		}
	}
}
