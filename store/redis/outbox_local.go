package redis

import (
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// localCopies keep what this process has queued in the last second with the content of its challenge, so that a message that it
// claims itself is composed without reading the store. They are bounded.
type localCopies struct {
	mu       sync.Mutex
	elements map[string]localCopy
}

type localCopy struct {
	out   watchword.Outgoing
	added time.Time
}

const (
	maxLocalCopies = 256
	localCopyLife  = time.Second
)

func (l *localCopies) add(out []watchword.Outgoing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, o := range out {
		if o.Direct { // whoever repeats its element must not get the claim
			continue
		}
		if len(l.elements) >= maxLocalCopies {
			l.dropOld(now)
		}
		if element, err := encodeElement(o); err == nil && len(l.elements) < maxLocalCopies {
			l.elements[element] = localCopy{o, now}
		}
	}
}

func (l *localCopies) dropOld(now time.Time) {
	for element, c := range l.elements {
		if now.Sub(c.added) > localCopyLife {
			delete(l.elements, element)
		}
	}
}

// take removes and returns a copy.
func (l *localCopies) take(element string) (watchword.Outgoing, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.elements[element]
	delete(l.elements, element)
	return c.out, ok
}

// directMessages are messages that were queued as claimed for the worker of this process. They are safe for concurrent use.
type directMessages struct {
	mu       sync.Mutex
	room     int // how many more messages the waiting Claim takes
	reserved int // how many messages are being queued for it
	queued   []watchword.Outgoing
}

// reserve keeps room for a message, if there is any.
func (d *directMessages) reserve() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reserved+len(d.queued) >= d.room {
		return false
	}
	d.reserved++
	return true
}

func (d *directMessages) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved--
}

// add queues a message for which room was kept.
func (d *directMessages) add(o watchword.Outgoing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved--
	d.queued = append(d.queued, o)
}

// begin begins a Claim of at most limit messages. It returns the messages that are queued, and otherwise for how many more there is
// room beside those that are being queued.
func (d *directMessages) begin(limit int) (out []watchword.Outgoing, rest int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.queued), limit)
	out, d.queued = d.queued[:n:n], d.queued[n:]
	d.room = limit - n
	return out, limit - d.reserved
}

// end ends a Claim that returns messages of the store.
func (d *directMessages) end(claimed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = max(d.room-claimed, 0)
}

// close ends a Claim after which there may be no other.
func (d *directMessages) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = 0
}
