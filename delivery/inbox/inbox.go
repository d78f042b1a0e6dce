// Package inbox is a sender for development. It sends nothing; it shows messages on a web page and as JSON.
//
// An Inbox accepts the messages of every channel that is configured with the URL inbox: and shows them as their recipients would
// see them, newest first. It keeps the last 200 messages in memory. Codes and links are shown in clear: Open fails outside
// development, and the Handler serves this machine only.
package inbox

import (
	"context"
	"errors"
	"net/url"
	"slices"
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

// clear removes all messages. The numbers of later ones go on.
func (b *Inbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = nil
}

// A snapshot holds the messages of a moment, newest first, and the number of messages ever added.
type snapshot struct {
	messages []storedMessage
	count    int
}

func (b *Inbox) read() snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := snapshot{slices.Clone(b.messages), b.count}
	slices.Reverse(s.messages)
	return s
}

// filter returns the messages that are selected.
func (s snapshot) filter(selects func(storedMessage) bool) (found []storedMessage) {
	for _, m := range s.messages {
		if selects(m) {
			found = append(found, m)
		}
	}
	return found
}

// oldest returns the number of the oldest message that is kept; without one, the number of the next.
func (s snapshot) oldest() int {
	if len(s.messages) == 0 {
		return s.count + 1
	}
	return s.messages[len(s.messages)-1].Number
}
