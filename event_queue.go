package watchword

import (
	"context"
	"errors"
	"time"
)

// The kinds of Outgoing that name something that happened to a challenge or a verification, for Engine.ComposeEvents.
const (
	KindStarted  OutgoingKind = "started"  // it was created
	KindEnded    OutgoingKind = "ended"    // it was approved, locked or canceled; a verification: its receipt was collected, or it was canceled
	KindExpiry   OutgoingKind = "expiry"   // its time is over, unless it ended before
	KindDelivery OutgoingKind = "delivery" // the state of a challenge's message has changed; Send is the number of the change
)

// IsEvent reports whether the kind is one of Engine.ComposeEvents.
func (k OutgoingKind) IsEvent() bool {
	switch k {
	case KindStarted, KindEnded, KindExpiry, KindDelivery:
		return true
	}
	return false
}

// An EventOutbox is an Outbox in the Store that also queues what happens to challenges and verifications, in the step that writes it:
// an Outgoing with an event's kind in Create, Update, Budget.Ended and Closing.Ended. These wait apart from messages, so that neither delays
// the other. What the queue returns counts as a hint: Engine.ComposeEvents reads the encrypted challenge or verification.
type EventOutbox interface {
	Outbox
	// Events returns the queue of the Outgoing with an event's kind.
	Events() Outbox
}

// ErrQueueFull is returned by EventQueue.Put.
var ErrQueueFull = errors.New("watchword: the queue is full")

// An EventQueue keeps the events that endpoints have not accepted yet, where all processes of a deployment see them. Each endpoint
// has a queue of its own. The queue sees encrypted bytes and no content. It is safe for concurrent use.
type EventQueue interface {
	// Put queues an event for an endpoint, due now. The error is ErrQueueFull if too many wait.
	Put(ctx context.Context, endpoint string, sealed []byte) error
	// Claim blocks until at least one event of an endpoint is due, and claims those that are due, at most limit. What a process
	// claims and does not finish within SendLease, another claims. The error is the context's if it ends first.
	Claim(ctx context.Context, endpoint string, limit int) ([]QueuedEvent, error)
	// Done removes a claimed event that the endpoint has accepted.
	Done(ctx context.Context, endpoint string, q QueuedEvent) error
	// Retry returns a claimed event to the queue, due at the given time, with Attempt increased by one.
	Retry(ctx context.Context, endpoint string, q QueuedEvent, at time.Time) error
	// Bury moves a claimed event to the dead letters of the endpoint.
	Bury(ctx context.Context, endpoint string, q QueuedEvent) error
}

// A QueuedEvent is an element of an EventQueue. Attempt and QueuedAt are not authenticated.
type QueuedEvent struct {
	Sealed   []byte    // by EventSealer.Seal
	Attempt  int       // how often it was retried
	QueuedAt time.Time // in seconds
	Claim    string    // set by Claim: names the claimed element
	Due      time.Time // when it is tried next, in listings; zero: now
}

// An EndpointSwitch remembers which endpoints get no more events. It is safe for concurrent use.
type EndpointSwitch interface {
	// TurnOff stores a note about an endpoint in place of an older one.
	TurnOff(ctx context.Context, endpoint string, note []byte) error
	// NoteOf returns the note of an endpoint, which anybody with access to the store may have removed or replaced; nil: none.
	NoteOf(ctx context.Context, endpoint string) ([]byte, error)
}
