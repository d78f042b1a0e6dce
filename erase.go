package watchword

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// erasures are the factors that have a note of a challenge which was won here, as they were last stored. They are erased
// together after eraseAfter; whoever uses such a factor again within that time erases them on the way.
type erasures struct {
	mu      sync.Mutex
	waiting map[string]Factor
}

const eraseAfter = 50 * time.Millisecond

// eraseNote removes the note of a challenge that was won from the factor that paid for it. No receipt waits for that: a note
// that stays is believed for a minute at most, and never of a challenge that is known closed.
func (e *Engine) eraseNote(ctx context.Context, f *Factor) {
	if f == nil {
		return
	}
	if e.erasures.add(f) && !e.background.later(ctx, eraseAfter, func(ctx context.Context) error { return e.erase(ctx, f.ID) }) {
		e.erasures.take(f.ID)
	}
}

// add keeps the latest version of a factor, and reports whether it is the first one.
func (r *erasures) add(f *Factor) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, waits := r.waiting[f.ID]
	r.waiting[f.ID] = *f
	return !waits
}

func (r *erasures) take(id string) Factor {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.waiting[id]
	delete(r.waiting, id)
	return f
}

// erase stores a factor without the notes of challenges that ended here.
func (e *Engine) erase(ctx context.Context, id string) error {
	f := e.erasures.take(id)
	for range casTries {
		before := len(f.notes)
		if f.notes = slices.DeleteFunc(slices.Clone(f.notes), e.endedNote); len(f.notes) == before {
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

// endedNote reports whether a note's challenge ended here.
func (e *Engine) endedNote(n note) bool {
	_, ended := e.closed.find(n.challenge)
	return ended
}
