package delivery

import (
	"context"
	"time"
)

// Counters is where all processes of a deployment count, for each app and key (a number's prefix, say), challenges that
// were sent against those of them that were verified, in slots of time, and what they decided from it. Every method is one
// atomic step, also across processes. Nothing is kept for ever, and of an app no more than MaxKeys keys. An error means that
// nothing is known: the step may have been taken or not. Implementations are safe for concurrent use.
type Counters interface {
	// Add counts a batch, all of it or nothing, and nothing more under a name that was used less than BatchIDLifetime ago: so it
	// can be repeated after an error. It returns what is kept of the batch's keys. A count of zero only asks.
	Add(ctx context.Context, app string, b Batch) ([]Count, error)
	// Refuse refuses a key for a while and forgets what was counted for it. False if it is refused already; that stays.
	Refuse(ctx context.Context, app, key string, d time.Duration) (bool, error)
	// Refused lists the keys that are refused, and for how long.
	Refused(ctx context.Context, app string) (map[string]time.Duration, error)
}

const (
	// MaxKeys is how many keys of an app are counted; others are not until some have left.
	MaxKeys = 20_000
	// BatchIDLifetime is for how long the name of a batch is remembered.
	BatchIDLifetime = 10 * time.Minute
)

// A Batch is what one process has counted since its last one.
type Batch struct {
	ID     string // of this batch alone
	Counts []Count
	Oldest int64         // slot; earlier ones of the batch's keys are forgotten, and not counted
	Keep   time.Duration // for which a key is kept that nothing is counted for
}

// A Count is what happened in one slot of time to challenges of one key.
type Count struct {
	Key      string
	Slot     int64 // in which the challenges were created; what a slot is, its counters decide
	Sent     int64
	Verified int64
}
