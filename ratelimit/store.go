package ratelimit

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"
)

// ExactLimit is the largest limit whose windows remember the time of every single event.
const ExactLimit = 1000

// stepsPerWindow is into how many parts a window is divided whose limit is larger than ExactLimit.
const stepsPerWindow = 100

// A Store counts events in sliding windows. Every method is one atomic step, also across processes; a window that
// nothing was spent from for its whole length is forgotten. Any error means that the store could not be reached or
// refused to count: then the caller must not go on.
//
// As a limiter.Store it counts one window for each key and rate. Get and Increment spend nothing when they are refused
// (Reached). Peek's Reached says that nothing is left. Reset in the limiter.Context is when the next token comes back, in
// seconds since 1970, rounded up; it is now while nothing was spent.
type Store interface {
	limiter.Store
	// TakeAll spends every charge or none. The Refusal is of the charge that makes one wait longest, nil if all were
	// spent. There is at least one charge; those of the same Space and Key must be one. Group says which windows are ever charged
	// together: a store that is spread over machines keeps all windows of a group on one of them. A name, if there is one,
	// is remembered for RefundPeriod: TakeAll under it again spends nothing more.
	TakeAll(ctx context.Context, group, name string, charges []Charge) (*Refusal, error)
	// Refund takes back what TakeAll spent under the name within RefundPeriod, once; nothing if it spent nothing.
	Refund(ctx context.Context, group, name string, charges []Charge) error
}

// RefundPeriod is for how long the name of a TakeAll is remembered.
const RefundPeriod = 30 * time.Second

// A Charge is what is spent from one window.
type Charge struct {
	Space string // whose rule, OWNER:RULE: windows of different spaces have nothing in common
	Key   string // which window of the space
	Rate  limiter.Rate
	Cost  int64 // 1 or more
}

// Resolution is the unit of time to whose next multiple the time of an event is rounded up: a nanosecond, which is none, up to
// ExactLimit, and a hundredth of the window above it.
func (c Charge) Resolution() time.Duration { return timeResolution(c.Rate) }

func timeResolution(rate limiter.Rate) time.Duration {
	if rate.Limit <= ExactLimit {
		return time.Nanosecond
	}
	return max(rate.Period/stepsPerWindow, time.Nanosecond)
}

// A Refusal says that nothing was spent, and why.
type Refusal struct {
	Charge     int           // the index of the charge that makes one wait longest
	RetryAfter time.Duration // the same charges pass after this long, if nothing else is spent meanwhile
}
