// Package watch wakes those callers of a process who wait for an id.
package watch

import "sync"

// Watchers are the callers who wait, by id. They are safe for concurrent use.
type Watchers struct {
	mu       sync.Mutex
	channels map[string]map[chan struct{}]bool
}

// New returns watchers of nothing.
func New() *Watchers { return &Watchers{channels: map[string]map[chan struct{}]bool{}} }

// Watch returns a channel that receives after each Wake of the id; several before it is read are one. Call stop when it is
// read no more.
func (w *Watchers) Watch(id string) (woken <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channels[id] == nil {
		w.channels[id] = map[chan struct{}]bool{}
	}
	w.channels[id][ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.channels[id], ch); len(w.channels[id]) == 0 {
			delete(w.channels, id)
		}
	}
}

// Wake wakes everybody who watches the id. It does not block.
func (w *Watchers) Wake(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.channels[id] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
