package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/watchword-auth/watchword"
)

// A RouteSender names a sender of a Router. Two senders of a channel may have the same provider.
type RouteSender struct {
	Channel  string
	Position int // in the channel, from 0
	Provider string
}

// A Try is a call of a sender, or one that its circuit breaker has prevented. It has nothing of the message and its recipient.
type Try struct {
	Sender RouteSender
	Result TryResult
	Waited time.Duration // from the request for the message to the call; negative: unknown
	Took   time.Duration // duration of the call
}

// A TryResult is what became of a Try.
type TryResult string

// The results. Those of failures say whose fault it was.
const (
	TryAccepted  TryResult = "accepted"
	TryRecipient TryResult = "recipient"
	TryMessage   TryResult = "message"
	TryProvider  TryResult = "provider"
	TrySkipped   TryResult = "skipped"  // the circuit breaker was open, and the sender was not called
	TryCanceled  TryResult = "canceled" // the process ends
)

// TryResults returns all results.
func TryResults() []TryResult {
	return []TryResult{TryAccepted, TryRecipient, TryMessage, TryProvider, TrySkipped, TryCanceled}
}

func newTry(p *protectedProvider, m watchword.Message, err error, started time.Time, took time.Duration) Try {
	t := Try{Sender: p.routeSender(), Result: tryResult(err), Waited: -1, Took: took}
	if !m.RequestedAt.IsZero() {
		t.Waited = max(started.Sub(m.RequestedAt), 0)
	}
	return t
}

func tryResult(err error) TryResult {
	var skipped *skippedError
	switch {
	case err == nil:
		return TryAccepted
	case errors.As(err, &skipped):
		return TrySkipped
	case errors.Is(err, context.Canceled):
		return TryCanceled
	}
	switch asSendError(err, "").Fault {
	case watchword.FaultRecipient:
		return TryRecipient
	case watchword.FaultMessage:
		return TryMessage
	}
	return TryProvider
}

func (p *protectedProvider) routeSender() RouteSender {
	return RouteSender{Channel: p.channel, Position: p.position, Provider: p.name}
}

// Senders returns the senders of all channels, in no order, and whether the circuit breaker of each is closed, so that it is called.
func (r *Router) Senders() map[RouteSender]bool {
	senders := map[RouteSender]bool{}
	for _, route := range r.routes {
		for _, p := range route {
			senders[p.routeSender()] = p.breaker.State() == gobreaker.StateClosed
		}
	}
	return senders
}
