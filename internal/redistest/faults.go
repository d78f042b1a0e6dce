package redistest

import (
	"bytes"
	"sync"
	"time"
)

// faults are what the proxies of one server, or of all nodes of a Cluster, do to what passes.
type faults struct {
	mu       sync.Mutex
	word     []byte // of the command whose reply is to be lost; nil: none
	cutAfter int    // such commands that pass before it
	cuts     int
	toServer time.Duration
	toClient time.Duration
	hold     *Hold // nil: nothing is held
}

// CutNext loses the reply to the next command that holds a word, its verb say, and with the reply the connection.
func (f *faults) CutNext(word string) { f.CutNth(word, 1) }

// CutNth is CutNext for the nth such command from now on, counted from 1.
func (f *faults) CutNth(word string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word, f.cutAfter = []byte(word), n-1
}

// CutNone forgets a cut that has not been made.
func (f *faults) CutNone() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word = nil
}

// Cuts is the number of replies that were lost.
func (f *faults) Cuts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cuts
}

// takeCut reports whether this is the command whose reply is to be lost; it is, once.
func (f *faults) takeCut(request []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.word == nil || !bytes.Contains(request, f.word) {
		return false
	}
	if f.cutAfter--; f.cutAfter >= 0 {
		return false
	}
	f.word = nil
	f.cuts++
	return true
}

// SetLag delays what is passed from now on, in each direction.
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

// A Hold waits for a command and keeps it from the server. Other connections go on.
type Hold struct {
	word []byte
	left int // commands that pass, and the one that is held
	held chan struct{}
	once sync.Once
	end  chan struct{}
	pass bool
}

// HoldNth lets commands pass until the nth from now on that holds a word, counted from 1, and holds that one. It may
// hold one command at a time; what is never let go of ends with the test.
func (f *faults) HoldNth(word string, n int) *Hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = &Hold{word: []byte(word), left: n, held: make(chan struct{}), end: make(chan struct{})}
	return f.hold
}

// Held is closed when the command is being held.
func (h *Hold) Held() <-chan struct{} { return h.held }

// Release passes the command on.
func (h *Hold) Release() { h.finish(true) }

// Drop forgets the command, which the server never sees, and cuts its connection.
func (h *Hold) Drop() { h.finish(false) }

func (h *Hold) finish(pass bool) {
	h.once.Do(func() {
		h.pass = pass
		close(h.end)
	})
}

// waitForHold reports whether a request is to be passed on, and takes as long to say so as it is held.
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

// takeHold is the hold that a request is for, once.
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
