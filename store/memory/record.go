package memory

import (
	"crypto/subtle"
	"math"
	"time"

	"github.com/watchword-auth/watchword"
)

// A record is an entry as it is kept: a third smaller than a watchword.Entry, and sharing no memory with any caller.
type record struct {
	id        string
	digests   [][]byte // they and sealed lie in one piece of memory, which is replaced and never written to
	sealed    []byte
	mark      []byte
	version   int64
	expiresAt int64
	keepUntil int64
	lastTry   int64 // 0 before the first
	tries     int32
	used      int32
	heapIndex int32 // in the shard's queue
	settled   uint16
	repeats   uint8
	state     watchword.State
}

// newRecord copies a new entry: pending, unused and of version 1, whatever it says itself.
func newRecord(e watchword.Entry) *record {
	r := &record{id: e.ID, version: 1, tries: int32(min(max(e.Tries, 0), math.MaxInt32)),
		expiresAt: e.ExpiresAt.UnixNano(), keepUntil: e.KeepUntil.UnixNano()}
	r.replace(e.Digests, e.Sealed)
	return r
}

// replace copies digests and sealed data into memory of the record's own.
func (r *record) replace(digests [][]byte, sealed []byte) {
	r.digests, r.sealed, _ = copyAll(digests, sealed, nil)
}

// weight is how many entries the record counts as.
func (r *record) weight() int64 { return entryWeight(r.digests, r.sealed) }

// entryWeight is how many kilobytes something of an entry's begins; 1 if it has nothing.
func entryWeight(digests [][]byte, sealed []byte) int64 {
	size := len(sealed)
	for _, d := range digests {
		size += len(d)
	}
	return int64(max(size-1, 0)>>10 + 1)
}

// entry is the whole record, copied.
func (r *record) entry() watchword.Entry {
	e := r.summary()
	e.Version = r.version
	e.Digests, e.Sealed, e.Mark = copyAll(r.digests, r.sealed, r.mark)
	e.ExpiresAt, e.KeepUntil = fromNano(r.expiresAt), fromNano(r.keepUntil)
	if r.lastTry != 0 {
		e.LastTry = fromNano(r.lastTry)
	}
	return e
}

// summary is what comes with an error: nothing that would have to be copied.
func (r *record) summary() watchword.Entry {
	return watchword.Entry{ID: r.id, State: r.state, Tries: int(r.tries), Used: int(r.used), Settled: int(r.settled)}
}

// refusal says why no try, or none of so many repeats, can be charged.
func (r *record) refusal(now int64, repeats int) error {
	switch {
	case r.state != watchword.StatePending:
		return watchword.ErrClosed
	case now >= r.expiresAt:
		return watchword.ErrExpired
	case repeats > 0 && int(r.repeats) >= min(repeats, math.MaxUint8), repeats == 0 && r.tries == 0:
		return watchword.ErrSpent
	}
	return nil
}

// settle counts one try more that was evaluated.
func (r *record) settle() {
	if r.settled < math.MaxUint16 {
		r.settled++
	}
}

// inFlight reports whether the entry has tries left, or one that may still be right: it was charged less than idle ago,
// and not every one is settled.
func (r *record) inFlight(now int64, idle time.Duration) bool {
	return r.tries > 0 || int32(r.settled) < r.used && now-r.lastTry < int64(idle)
}

// match returns the first guess that is one of the digests. The time it takes says nothing about the digests.
func (r *record) match(guesses []watchword.Guess) *watchword.Guess {
	for i := range guesses {
		if len(guesses[i].Digest) == 0 {
			continue // an empty digest is nobody's answer
		}
		found := 0
		for _, d := range r.digests {
			found |= subtle.ConstantTimeCompare(d, guesses[i].Digest)
		}
		if found == 1 {
			return &guesses[i]
		}
	}
	return nil
}

func (r *record) removalTime() int64   { return r.keepUntil }
func (r *record) heapPosition() *int32 { return &r.heapIndex }

// copyAll copies everything into one piece of memory.
func copyAll(digests [][]byte, sealed, mark []byte) ([][]byte, []byte, []byte) {
	size := len(sealed) + len(mark)
	for _, d := range digests {
		size += len(d)
	}
	room := make([]byte, 0, size)
	piece := func(b []byte) []byte {
		start := len(room)
		room = append(room, b...)
		return room[start:len(room):len(room)]
	}
	var copies [][]byte
	if len(digests) > 0 {
		copies = make([][]byte, len(digests))
	}
	for i, d := range digests {
		copies[i] = piece(d)
	}
	return copies, piece(sealed), piece(mark)
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func fromNano(n int64) time.Time { return time.Unix(0, n).UTC() }
