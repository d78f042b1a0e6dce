package memory

import (
	"crypto/subtle"
	"math"
	"time"

	"github.com/watchword-auth/watchword"
)

// A record is the stored form of a watchword.Entry. It is a third smaller and shares no memory with callers.
type record struct {
	id        string
	digests   [][]byte // digests and sealed share one allocation, which is replaced and never written to
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

// newRecord copies a new entry. State, counters and version are those of a new entry, whatever e has.
func newRecord(e watchword.Entry) *record {
	r := &record{id: e.ID, version: 1, tries: int32(min(max(e.Tries, 0), math.MaxInt32)),
		expiresAt: e.ExpiresAt.UnixNano(), keepUntil: e.KeepUntil.UnixNano()}
	r.replace(e.Digests, e.Sealed)
	return r
}

// replace sets digests and sealed data to copies.
func (r *record) replace(digests [][]byte, sealed []byte) {
	r.digests, r.sealed, _ = copyAll(digests, sealed, nil)
}

// weight returns how many entries the record counts as.
func (r *record) weight() int64 { return entryWeight(r.digests, r.sealed) }

// entryWeight returns how many KiB the digests and sealed data begin, at least 1.
func entryWeight(digests [][]byte, sealed []byte) int64 {
	size := len(sealed)
	for _, d := range digests {
		size += len(d)
	}
	return int64(max(size-1, 0)>>10 + 1)
}

// entry returns a copy of the whole entry.
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

// summary returns the fields of an entry that accompany an error. They need no copies.
func (r *record) summary() watchword.Entry {
	return watchword.Entry{ID: r.id, State: r.state, Tries: int(r.tries), Used: int(r.used), Settled: int(r.settled)}
}

// refusal returns why no try can be charged or, if repeats is positive, no repeat of at most so many.
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

// settle counts one more evaluated try.
func (r *record) settle() {
	if r.settled < math.MaxUint16 {
		r.settled++
	}
}

// inFlight reports whether the entry has tries left, or a charged try may still be under evaluation: not all are settled and
// the last was charged less than idle ago.
func (r *record) inFlight(now int64, idle time.Duration) bool {
	return r.tries > 0 || int32(r.settled) < r.used && now-r.lastTry < int64(idle)
}

// match returns the first guess that equals a digest. Its time does not depend on the digests' values.
func (r *record) match(guesses []watchword.Guess) *watchword.Guess {
	for i := range guesses {
		if len(guesses[i].Digest) == 0 {
			continue // an empty digest matches nothing
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

// copyAll returns copies that share one allocation.
func copyAll(digests [][]byte, sealed, mark []byte) ([][]byte, []byte, []byte) {
	size := len(sealed) + len(mark)
	for _, d := range digests {
		size += len(d)
	}
	buffer := make([]byte, 0, size)
	appendCopy := func(b []byte) []byte {
		start := len(buffer)
		buffer = append(buffer, b...)
		return buffer[start:len(buffer):len(buffer)]
	}
	var copies [][]byte
	if len(digests) > 0 {
		copies = make([][]byte, len(digests))
	}
	for i, d := range digests {
		copies[i] = appendCopy(d)
	}
	return copies, appendCopy(sealed), appendCopy(mark)
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func fromNano(n int64) time.Time { return time.Unix(0, n).UTC() }
