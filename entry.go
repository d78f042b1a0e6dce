package watchword

import "time"

// An Entry is the record of one challenge in a Store.
type Entry struct {
	ID        string // two parts with a dot between; see Store
	State     State
	Tries     int       // tries left
	Used      int       // tries charged
	Version   int64     // of Sealed and Digests; 1 after Create
	Digests   [][]byte  // HMAC-SHA-256 of the right answers; none: the strategy verifies the answer
	Sealed    []byte    // encrypted content; opaque to the store
	Mark      []byte    // of the guess that matched, or of the Closing; opaque to the store
	ExpiresAt time.Time // no attempt after this time
	KeepUntil time.Time // the entry stays readable until then, whatever its state
	LastTry   time.Time // when the last try or repeat was charged; zero: none so far
	Settled   int       // tries whose evaluation ended without an approval (Closing.Settles); the others are in flight, or their process died
}

// A State is the state of an entry in a Store. An entry that expires keeps its state; see Entry.ExpiresAt.
type State uint8

// The states of an entry. Only StatePending changes.
const (
	StatePending State = iota
	StateApproved
	StateLocked
	StateCanceled
)

// A Guess is one digest that an entry may have, and the effect of a match.
type Guess struct {
	Digest []byte // HMAC-SHA-256
	State  State  // StateApproved or StateLocked
	Mark   []byte // stored if the digest matches; opaque to the store
}

// A Budget is the guess budget of a group of entries. Each try is charged to all Limits at once, before the answer is
// compared; an approval empties the budget. The zero Budget is unlimited.
type Budget struct {
	Key       string   // begins with the first part of the ids of its entries; empty: no budget
	Limits    []Window // all of them apply
	FirstFree bool     // the first try of each entry is charged, but never refused
	Repeats   int      // if positive, Attempt charges a repeat instead of a try: the greatest number of repeats of an entry

	// Ended is queued in the step in which the attempt ends the entry, by a match or by the last wrong answer, if the store is an
	// EventOutbox too.
	Ended []Outgoing
}

// A Window allows Max events in every period of length Per.
type Window struct {
	Max int
	Per time.Duration
}

// A Closing describes how Store.Close ends an entry.
type Closing struct {
	State  State  // StateApproved, StateLocked or StateCanceled
	Mark   []byte // stored in the entry; opaque to the store
	Sealed []byte // replaces the encrypted content and adds one to the version; nil: no change
	Clear  string // key of a budget to empty; empty: none

	// Version is the version whose encrypted content Sealed replaces. If the entry has another one, Close returns ErrConflict.
	// Zero: any.
	Version int64
	// Before, if set, is the latest time, by the store's clock, at which the entry may be approved. After it Close returns
	// ErrExpired. Zero: only ExpiresAt limits the approval.
	Before time.Time
	// Settles makes Close add one to Entry.Settled of a pending entry, even if Close then returns ErrInFlight.
	Settles bool
	// Idle, if set, ends the entry only if it has no tries left and none is in flight: all tries are settled, or the last one
	// was charged at least Idle ago. Otherwise the entry stays pending, and Close returns ErrInFlight.
	Idle time.Duration
	// Ended is queued in the step that ends the entry, if the store is an EventOutbox too.
	Ended []Outgoing
}
