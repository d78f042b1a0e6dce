package delivery

import (
	"context"
	"time"
)

// Counters hold what all processes of a deployment have counted: for each app and key, such as a number's prefix, the
// challenges that were sent and those that were verified, by time slot, and the keys that are refused. Every method is atomic,
// also across processes. All data expires, and an app has at most MaxKeys keys. After an error the outcome is unknown: the
// step may or may not have taken effect. Implementations are safe for concurrent use.
type Counters interface {
	// Add adds all counts of a batch or none. It adds nothing if the batch's ID was used less than BatchIDLifetime ago, so that a
	// batch can be sent again after an error. It returns the stored counts of the batch's keys. A zero count only reads.
	Add(ctx context.Context, app string, b Batch) ([]Count, error)
	// Refuse refuses a key for the duration d, removes its counts and returns true. If the key is already refused, or if
	// MaxKeys keys are already refused, Refuse changes nothing and returns false.
	Refuse(ctx context.Context, app, key string, d time.Duration) (bool, error)
	// Refused returns the refused keys and how long each remains refused.
	Refused(ctx context.Context, app string) (map[string]time.Duration, error)
}

const (
	// MaxCounterKeys is the greatest number of keys that are counted for an app. Counts of further keys are dropped until some keys
	// expire.
	MaxCounterKeys = 20_000
	// BatchIDLifetime is how long the ID of a batch is remembered.
	BatchIDLifetime = 10 * time.Minute
)

// A Batch holds what one process has counted since its last batch.
type Batch struct {
	ID     string // unique
	Counts []Count
	Oldest int64         // oldest slot that counts; earlier slots of the batch's keys are removed
	Keep   time.Duration // a key expires this long after its last count
}

// A Count is the number of challenges of one key that were created in one time slot.
type Count struct {
	Key      string
	Slot     int64 // number of the slot; the caller defines its length
	Sent     int64
	Verified int64
}
