// Package inbox is a sender for development. It sends nothing; it shows messages on a web page and as JSON.
//
// An Inbox accepts the messages of every channel that is configured with the URL inbox: and shows them as their recipients would
// see them, newest first. It keeps the last 200 messages in memory. Codes and links are shown in clear: Open fails outside
// development, and the program must serve the Handler to this machine only.
package inbox

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

const provider = "inbox"

// maxMessages is the number of messages that an Inbox keeps.
const maxMessages = 200

// An Inbox stores the messages that its senders get. The zero Inbox is empty and ready to use. It is safe for concurrent use.
type Inbox struct {
	mu       sync.Mutex
	count    int // messages ever added
	messages []storedMessage
}

// A storedMessage is a message with its number, by which the page refers to it, and the time at which it was added.
type storedMessage struct {
	watchword.Message
	Number int
	At     time.Time
}

type sender struct {
	inbox *Inbox
	now   func() time.Time
}

// Open is the delivery.Opener of the URL inbox: (with nothing after the colon). All senders that it returns add their messages to
// this Inbox.
func (b *Inbox) Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	var problems []error
	if !env.Development {
		problems = append(problems, errors.New("the inbox shows codes in clear: it is available in development only"))
	}
	if *u != (url.URL{Scheme: u.Scheme}) {
		problems = append(problems, errors.New("nothing follows inbox: in the URL"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &sender{inbox: b, now: env.Now}, nil
}

// Send adds the message to the Inbox and removes the oldest if there are too many.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	if err := ctx.Err(); err != nil {
		return watchword.Sent{}, &watchword.SendError{Provider: provider, Cause: err}
	}
	s.inbox.add(m, s.now())
	return watchword.Sent{Provider: provider, Reference: m.ID}, nil
}

func (b *Inbox) add(m watchword.Message, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	if len(b.messages) == maxMessages {
		copy(b.messages, b.messages[1:])
		b.messages = b.messages[:maxMessages-1]
	}
	b.messages = append(b.messages, storedMessage{m, b.count, at})
}

// newest returns the messages to an address, or all messages if the address is empty, newest first. It also returns the number
// of messages ever added.
func (b *Inbox) newest(to string) (found []storedMessage, count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.messages) - 1; i >= 0; i-- {
		if to == "" || strings.EqualFold(b.messages[i].To, to) {
			found = append(found, b.messages[i])
		}
	}
	return found, b.count
}

func (b *Inbox) find(number int) (storedMessage, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.Number == number {
			return m, true
		}
	}
	return storedMessage{}, false
}
