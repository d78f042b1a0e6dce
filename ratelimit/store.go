package ratelimit

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"
)

// ExactLimit is the largest limit whose windows store the exact time of every event.
const ExactLimit = 1000

// stepsPerWindow is the number of time steps of a window whose limit is larger than ExactLimit.
const stepsPerWindow = 100

// A Store counts events in sliding windows. Every method is atomic, also across processes. A window without events for its whole
// length is removed. After an error the caller must not proceed: the store was unavailable or could not count.
//
// As a limiter.Store it has one window for each key and rate. Get and Increment spend nothing if they are refused (Reached). Peek
// sets Reached if no token is left. Reset in the limiter.Context is the time at which the next token becomes available, in seconds
// since 1970, rounded up; it is the current time if no token is spent.
type Store interface {
	limiter.Store
	// TakeAll spends all charges or none. It returns nil if all were spent, and else the Refusal of the charge with the longest
	// delay. There must be at least one charge, and only one for each pair of Space and Key. Windows that are charged together must
	// have the same group; a distributed store keeps all windows of a group on one node. The name may be empty. Otherwise it is
	// remembered for RefundPeriod, and TakeAll with the same name spends nothing and returns nil.
	TakeAll(ctx context.Context, group, name string, charges []Charge) (*Refusal, error)
	// Refund returns the tokens that TakeAll spent with the name within RefundPeriod. It does so once, and does nothing if TakeAll
	// spent nothing.
	Refund(ctx context.Context, group, name string, charges []Charge) error
}

// RefundPeriod is how long the name of a TakeAll is remembered.
const RefundPeriod = 30 * time.Second

// A Charge is a number of tokens to spend from one window.
type Charge struct {
	Space string // OWNER:RULE; windows of different spaces are separate
	Key   string // of the window in the space
	Rate  limiter.Rate
	Cost  int64 // at least 1
}

// Resolution returns the unit to a multiple of which the time of an event is rounded up: a nanosecond for limits up to ExactLimit,
// else a hundredth of the window.
func (c Charge) Resolution() time.Duration { return timeResolution(c.Rate) }

func timeResolution(rate limiter.Rate) time.Duration {
	if rate.Limit <= ExactLimit {
		return time.Nanosecond
	}
	return max(rate.Period/stepsPerWindow, time.Nanosecond)
}

// A Refusal means that nothing was spent because a charge did not fit into its window.
type Refusal struct {
	Charge     int           // index of the charge with the longest delay
	RetryAfter time.Duration // after this time the same charges pass, if nothing else is spent in between
}
