// Package watch wakes goroutines that wait for a change of an id.
package watch

import "sync"

// Watchers hold the channels of waiting goroutines by id. They are safe for concurrent use.
type Watchers struct {
	mu       sync.Mutex
	channels map[string]map[chan struct{}]bool
}

// New returns Watchers without channels.
func New() *Watchers { return &Watchers{channels: map[string]map[chan struct{}]bool{}} }

// Watch returns a channel that receives a value after each Wake of the id. Several calls of Wake before a receive count as
// one. Call stop to release the channel.
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

// Wake sends to every channel of the id. It does not block.
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
