// Package inbox is the sender of development: nothing leaves the process, and what would have been sent can be looked
// at in a browser or read as JSON.
//
// One Inbox takes the messages of every channel that is configured with the URL inbox: and shows them newest first,
// as the people they were meant for would see them. It keeps the last 200 in memory. Its codes and links are in
// clear, so it refuses to open outside development, and whoever mounts its Handler sees to it that only this machine
// reaches it.
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

// maxMessages is how many messages an Inbox remembers.
const maxMessages = 200

// An Inbox keeps messages. The zero Inbox is empty and ready; it is safe for concurrent use.
type Inbox struct {
	mu       sync.Mutex
	count    int // messages ever taken in
	messages []storedMessage
}

// storedMessage is a message, the number by which the page refers to it and the time at which it came in.
type storedMessage struct {
	watchword.Message
	Number int
	At     time.Time
}

type sender struct {
	inbox *Inbox
	now   func() time.Time
}

// Open is the delivery.Opener of inbox: URLs, which have nothing behind the colon. All senders that it opens put their
// messages into this one Inbox.
func (b *Inbox) Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	var problems []error
	if !env.Development {
		problems = append(problems, errors.New("the inbox shows codes to whoever looks: it exists in development only"))
	}
	if *u != (url.URL{Scheme: u.Scheme}) {
		problems = append(problems, errors.New("nothing follows inbox: in the URL"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &sender{inbox: b, now: env.Now}, nil
}

// Send keeps the message and forgets the oldest if there are too many.
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

// newest returns the messages to an address, or all if it is empty, the newest first, and how many have ever come in.
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
