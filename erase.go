package watchword

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

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
	if e.noteRemovals.add(f) && !e.background.runLater(ctx, noteRemovalDelay, func(ctx context.Context) error { return e.removeEndedNotes(ctx, f.ID) }) {
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
	_, ended := e.tombstones.find(n.challenge)
	return ended
}
