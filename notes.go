package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// A note stands in the factor that a right answer has spent something of: whose answer it was, and when. With it the very
// same answer to the very same challenge goes on to win, so that a right answer does not lose to a copy of itself that
// was a moment earlier, and one whose process died before it won can be sent again.
//
// A note proves nothing by itself. It is believed for noteLife, and only of a challenge that is still open; it holds the
// answer as a keyed digest; and it is erased when the challenge is won.
type note struct {
	challenge [randomSize]byte // the random part of its id
	digest    []byte           // of the answer: record.answerDigest
	at        time.Time        // by the clock of the store of factors
	subject   string           // the factor's owner, where the challenge named nobody
	amr       []string
	extra     []byte // of the proof, as JSON; nil: none
	created   bool   // the factor is a new one
}

const (
	noteLife = time.Minute
	maxNotes = 16 // of one factor; the oldest goes
)

func (n *note) fields(c *codec.Codec) {
	id := n.challenge[:]
	c.Bytes(&id)
	copy(n.challenge[:], id)
	c.Bytes(&n.digest)
	c.Moment(&n.at)
	c.Text(&n.subject)
	c.Words(&n.amr)
	c.Bytes(&n.extra)
	c.Flag(&n.created)
}

// setExtra keeps what the strategy adds to the receipt.
func (n *note) setExtra(extra map[string]any) (err error) {
	if extra != nil {
		n.extra, err = json.Marshal(extra)
	}
	return err
}

// proof is the result of the strategy that accepted the answer, but for the factor.
func (n *note) proof() (Proof, error) {
	p := Proof{AMR: n.amr, Subject: n.subject}
	if n.extra == nil {
		return p, nil
	}
	return p, json.Unmarshal(n.extra, &p.Extra)
}

// answerDigest is a keyed digest of an answer to the challenge, as it is compared with a note's.
func (r *record) answerDigest(a *attempt) []byte {
	sum := r.key.digests.sum("note", r.ID, r.Purpose, a.answer.Text)
	return sum[:]
}

// addNote adds a note to a factor that is about to be stored. What is too old to be believed leaves, and what belongs to
// a challenge that ended here.
func (e *Engine) addNote(f *Factor, n note) {
	f.notes = slices.DeleteFunc(slices.Clone(f.notes), func(old note) bool {
		return e.isEndedNote(old) || old.challenge == n.challenge || !old.isCurrent(n.at)
	})
	if extra := len(f.notes) + 1 - maxNotes; extra > 0 {
		f.notes = f.notes[extra:]
	}
	f.notes = append(f.notes, n)
}

// findNote finds the challenge's note in a factor as it was just read.
func (f *Factor) findNote(challenge [randomSize]byte, now time.Time) *note {
	for i := range f.notes {
		if n := &f.notes[i]; n.challenge == challenge && n.isCurrent(f.readTime(now)) {
			return n
		}
	}
	return nil
}

func (n *note) isCurrent(now time.Time) bool { return now.Sub(n.at) < noteLife }

func (n *note) matchesDigest(digest []byte) bool { return hmac.Equal(n.digest, digest) }

// readTime is the clock of the store of factors when the factor was read; where a store does not say, the engine's.
func (f *Factor) readTime(now time.Time) time.Time {
	if f.readAt.IsZero() {
		return now
	}
	return f.readAt
}

// noteRemovals are the factors that have a note of a challenge which was won here, as they were last stored. They are erased
// together after eraseAfter; whoever uses such a factor again within that time erases them on the way.
type noteRemovals struct {
	mu      sync.Mutex
	factors map[string]Factor
}

const noteRemovalDelay = 50 * time.Millisecond

// scheduleNoteRemoval removes the note of a challenge that was won from the factor that paid for it. No receipt waits for that: a note
// that stays is believed for a minute at most, and never of a challenge that is known closed.
func (e *Engine) scheduleNoteRemoval(ctx context.Context, f *Factor) {
	if f == nil {
		return
	}
	if e.noteRemovals.add(f) && !e.background.RunLater(ctx, noteRemovalDelay, func(ctx context.Context) error { return e.removeEndedNotes(ctx, f.ID) }) {
		e.noteRemovals.take(f.ID)
	}
}

// add keeps the latest version of a factor, and reports whether it is the first one.
func (r *noteRemovals) add(f *Factor) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, waits := r.factors[f.ID]
	r.factors[f.ID] = *f
	return !waits
}

func (r *noteRemovals) take(id string) Factor {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.factors[id]
	delete(r.factors, id)
	return f
}

// removeEndedNotes stores a factor without the notes of challenges that ended here.
func (e *Engine) removeEndedNotes(ctx context.Context, id string) error {
	f := e.noteRemovals.take(id)
	for range casTries {
		before := len(f.notes)
		if f.notes = slices.DeleteFunc(slices.Clone(f.notes), e.isEndedNote); len(f.notes) == before {
			return nil
		}
		err := e.env.factors.update(ctx, f)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if f, err = e.env.factors.get(ctx, id); err != nil {
			return err
		}
	}
	return ErrConflict
}

// isEndedNote reports whether a note's challenge ended here.
func (e *Engine) isEndedNote(n note) bool {
	_, ended := e.tombstones.Find(n.challenge, endChallenge)
	return ended
}
