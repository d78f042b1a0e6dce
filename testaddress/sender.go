package testaddress

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Sender is a sender that refuses the messages of Undeliverable, delays those of Slow, and passes all others on. It is safe for
// concurrent use.
type Sender struct {
	Next watchword.Sender // required
}

var (
	errUndeliverable = errors.New("the test address cannot be delivered to")
	errNotYet        = errors.New("the test address gets its messages late")
)

// provider names the Sender in errors.
const provider = "testaddress"

// Send delivers a message as the persona of its address says.
func (s *Sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	persona, _ := Find(m.To)
	early := Delay - time.Since(m.RequestedAt)
	switch {
	case persona == Undeliverable:
		return watchword.Sent{}, &watchword.SendError{Fault: watchword.FaultRecipient, Permanent: true, Provider: provider, Cause: errUndeliverable}
	case persona == Slow && early > 0: // the worker waits, not the Sender, so that a server can end meanwhile
		return watchword.Sent{}, &watchword.SendError{Fault: watchword.FaultRecipient, RetryAfter: early, Provider: provider, Cause: errNotYet}
	}
	return s.Next.Send(ctx, m)
}

// CheckMessage returns the error of the next sender if it checks messages (delivery.MessageChecker).
func (s *Sender) CheckMessage(m watchword.Message) error {
	if next, ok := s.Next.(interface{ CheckMessage(watchword.Message) error }); ok {
		return next.CheckMessage(m)
	}
	return nil
}
