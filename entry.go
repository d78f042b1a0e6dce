package watchword

import "time"

// An Entry is what a Store keeps of one challenge.
type Entry struct {
	ID        string
	State     State
	Tries     int      // left
	Used      int      // charged
	Version   int64    // of Sealed and Digests; 1 after Create
	Digests   [][]byte // what guesses are compared with; none: its strategy verifies the answer
	Sealed    []byte
	Mark      []byte // of the guess that won, or of the Closing
	ExpiresAt time.Time
	KeepUntil time.Time // closed and expired entries stay readable until then
	LastTry   time.Time // when the last try or repeat was charged; zero before the first
	Settled   int       // tries that were evaluated, and wrong: Closing.Settles. Others are in flight, or their process died
}

// A State is a Store's view of an entry; that time is over is no state.
type State uint8

// The states. Only StatePending can change.
const (
	StatePending State = iota
	StateApproved
	StateLocked
	StateCanceled
)

// A Guess is one digest that may match, and what its match does.
type Guess struct {
	Digest []byte
	State  State  // StateApproved or StateLocked
	Mark   []byte // stored with it; opaque to the store
}

// A Budget is what wrong answers of one group are charged to. Limits hold together; the zero Budget is unlimited.
type Budget struct {
	Key       string // begins with the same part as the ids of its entries; empty: no budget
	Limits    []Window
	FirstFree bool // the first try of each entry is charged, but never refused
	Repeats   int  // instead of a try, one of so many repeats of the entry is charged; 0: a try, as usual
}

// A Window allows Max events in any stretch of time of length Per.
type Window struct {
	Max int
	Per time.Duration
}

// A Closing is how an entry ends.
type Closing struct {
	State  State
	Mark   []byte
	Sealed []byte // replaces the sealed data and adds one to the version; nil: it stays
	Clear  string // budget key that is emptied; empty: none

	// Before is when an approval comes too late, by the store's clock: ErrExpired. Zero: only ExpiresAt counts.
	Before time.Time
	// Settles counts one try more as settled, whatever else becomes of the closing of a pending entry.
	Settles bool
	// Idle, if set, ends the entry only when it has no tries left and none is in flight: all are settled, or the last
	// was charged at least that long ago. Else it stays pending: ErrInFlight.
	Idle time.Duration
}
