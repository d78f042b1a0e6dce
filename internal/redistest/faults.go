package redistest

import (
	"bytes"
	"sync"
	"time"
)

// faults holds the faults that the proxies of one server, or of all nodes of a Cluster, cause.
type faults struct {
	mu       sync.Mutex
	word     []byte // in the command whose reply is dropped; nil: none
	cutAfter int    // matching commands before it
	cutMore  int    // matching commands after it whose replies are dropped too
	cuts     int
	toServer time.Duration
	toClient time.Duration
	hold     *Hold // nil: no command is held
}

// CutNext drops the connection of the next command that contains word, for example its name, before the reply arrives.
func (f *faults) CutNext(word string) { f.CutNth(word, 1) }

// CutNth is CutNext for the nth such command, counted from 1.
func (f *faults) CutNth(word string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word, f.cutAfter, f.cutMore = []byte(word), n-1, 0
}

// CutEach is CutNext for each of the next n such commands. Commands that arrive together, as in a pipeline, count as one.
func (f *faults) CutEach(word string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word, f.cutAfter, f.cutMore = []byte(word), 0, n-1
}

// CutNone cancels CutNext, CutNth and CutEach.
func (f *faults) CutNone() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word = nil
}

// Cuts returns the number of dropped replies.
func (f *faults) Cuts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cuts
}

// takeCut reports whether the reply to this request is dropped.
func (f *faults) takeCut(request []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.word == nil || !bytes.Contains(request, f.word) {
		return false
	}
	if f.cutAfter--; f.cutAfter >= 0 {
		return false
	}
	f.cuts++
	if f.cutMore--; f.cutMore < 0 {
		f.word = nil
	}
	return true
}

// SetLag sets the delay of data in each direction.
func (f *faults) SetLag(toServer, toClient time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.toServer, f.toClient = toServer, toClient
}

func (f *faults) lagToServer() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.toServer
}

func (f *faults) lagToClient() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.toClient
}

// A Hold withholds one command from the server. Other connections are not affected.
type Hold struct {
	word []byte
	left int // commands up to the one that is held
	held chan struct{}
	once sync.Once
	end  chan struct{}
	pass bool
}

// HoldNth holds the nth command from now on that contains word, counted from 1. Only one command can be held at a time. A command
// that is not released is dropped at the end of the test.
func (f *faults) HoldNth(word string, n int) *Hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = &Hold{word: []byte(word), left: n, held: make(chan struct{}), end: make(chan struct{})}
	return f.hold
}

// Held returns a channel that is closed when the command is held.
func (h *Hold) Held() <-chan struct{} { return h.held }

// Release forwards the command.
func (h *Hold) Release() { h.finish(true) }

// Drop discards the command and drops its connection.
func (h *Hold) Drop() { h.finish(false) }

func (h *Hold) finish(pass bool) {
	h.once.Do(func() {
		h.pass = pass
		close(h.end)
	})
}

// waitForHold waits while a request is held and reports whether to forward it.
func (f *faults) waitForHold(request []byte, over <-chan struct{}) bool {
	h := f.takeHold(request)
	if h == nil {
		return true
	}
	close(h.held)
	select {
	case <-h.end:
		return h.pass
	case <-over:
		return false
	}
}

// takeHold returns the hold that matches a request, once; otherwise nil.
func (f *faults) takeHold(request []byte) *Hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hold
	if h == nil {
		return nil
	}
	if h.left -= bytes.Count(request, h.word); h.left > 0 {
		return nil
	}
	f.hold = nil
	return h
}
