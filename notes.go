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

// A note is stored in the factor that a right answer has spent. It identifies the answer and its time. With the note, the
// same answer to the same challenge can still close the challenge: a copy that comes a moment later does not fail, and an
// answer whose process died can be sent again.
//
// A note proves nothing by itself. It is valid for noteLifetime and only while its challenge is open. It holds the answer as
// a keyed digest. It is removed when the challenge is approved.
type note struct {
	challenge [randomSize]byte // random part of the challenge's id
	digest    []byte           // record.answerDigest
	at        time.Time        // by the clock of the factor store
	subject   string           // the factor's owner, if the challenge has no subject
	amr       []string
	extra     []byte // Proof.Extra as JSON; nil: none
	created   bool   // the factor was created and not replaced
}

const (
	noteLifetime = time.Minute
	maxNotes     = 16 // of a factor; the oldest is dropped
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

// setExtra stores what the strategy adds to the receipt.
func (n *note) setExtra(extra map[string]any) (err error) {
	if extra != nil {
		n.extra, err = json.Marshal(extra)
	}
	return err
}

// proof returns the strategy's proof without its factor.
func (n *note) proof() (Proof, error) {
	p := Proof{AMR: n.amr, Subject: n.subject}
	if n.extra == nil {
		return p, nil
	}
	return p, json.Unmarshal(n.extra, &p.Extra)
}

// answerDigest returns a keyed digest of an answer to the challenge.
func (r *record) answerDigest(a *attempt) []byte {
	sum := r.key.digests.sum("note", r.ID, r.Purpose, a.answer.Text)
	return sum[:]
}

// addNote adds a note to a factor that is about to be stored. It drops notes that are too old and those of challenges that
// ended in this process.
func (e *Engine) addNote(f *Factor, n note) {
	f.notes = slices.DeleteFunc(slices.Clone(f.notes), func(old note) bool {
		return e.isEndedNote(old) || old.challenge == n.challenge || !old.isCurrent(n.at)
	})
	if extra := len(f.notes) + 1 - maxNotes; extra > 0 {
		f.notes = f.notes[extra:]
	}
	f.notes = append(f.notes, n)
}

// findNote returns the challenge's note in a factor that was just read, or nil.
func (f *Factor) findNote(challenge [randomSize]byte, now time.Time) *note {
	for i := range f.notes {
		if n := &f.notes[i]; n.challenge == challenge && n.isCurrent(f.readTime(now)) {
			return n
		}
	}
	return nil
}

func (n *note) isCurrent(now time.Time) bool { return now.Sub(n.at) < noteLifetime }

func (n *note) matchesDigest(digest []byte) bool { return hmac.Equal(n.digest, digest) }

// readTime returns when the factor was read, by the clock of the factor store or, if the store does not report it, of the
// engine.
func (f *Factor) readTime(now time.Time) time.Time {
	if f.readAt.IsZero() {
		return now
	}
	return f.readAt
}

// noteRemovals are the factors with a note of a challenge that was approved here, as last stored. A factor's notes are
// removed together after noteRemovalDelay; an update of the factor within that time removes them too.
type noteRemovals struct {
	mu      sync.Mutex
	factors map[string]Factor
}

const noteRemovalDelay = 50 * time.Millisecond

// scheduleNoteRemoval removes the note of an approved challenge in the background. A note that stays is valid for a minute at
// most, and never for a challenge that is closed.
func (e *Engine) scheduleNoteRemoval(ctx context.Context, f *Factor) {
	if f == nil {
		return
	}
	if e.noteRemovals.add(f) && !e.background.RunLater(ctx, noteRemovalDelay, func(ctx context.Context) error { return e.removeEndedNotes(ctx, f.ID) }) {
		e.noteRemovals.take(f.ID)
	}
}

// add keeps the latest version of a factor, and reports whether no removal was scheduled for it.
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

// removeEndedNotes stores a factor without the notes of challenges that ended in this process.
func (e *Engine) removeEndedNotes(ctx context.Context, id string) error {
	f := e.noteRemovals.take(id)
	for range maxConflictRetries {
		count := len(f.notes)
		if f.notes = slices.DeleteFunc(slices.Clone(f.notes), e.isEndedNote); len(f.notes) == count {
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

// isEndedNote reports whether a note's challenge ended in this process.
func (e *Engine) isEndedNote(n note) bool {
	_, ended := e.tombstones.Find(n.challenge, tombstoneChallenge)
	return ended
}
