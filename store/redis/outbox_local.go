package redis

import (
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// localCopies keep what this process has queued in the last second with the content of its challenge, so that a message that it
// claims itself is composed without reading the store. They are bounded.
type localCopies struct {
	encode func(watchword.Outgoing) (string, error)

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

func (l *localCopies) add(o watchword.Outgoing) {
	if o.Direct { // whoever repeats its element must not get the claim
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.elements) >= maxLocalCopies {
		l.dropOld(now)
	}
	if element, err := l.encode(o); err == nil && len(l.elements) < maxLocalCopies {
		l.elements[element] = localCopy{o, now}
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
	free     int // how many more messages the waiting Claim takes
	reserved int // how many messages are being queued for it
	queued   []watchword.Outgoing
}

// reserve reserves a place for a message among those that the waiting Claim takes, if there is one.
func (d *directMessages) reserve() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reserved+len(d.queued) >= d.free {
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

// add queues a message for which a place was reserved.
func (d *directMessages) add(o watchword.Outgoing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved--
	d.queued = append(d.queued, o)
}

// begin begins a Claim of at most limit messages. It returns the messages that are queued, and otherwise how many more it takes
// beside those that are being queued.
func (d *directMessages) begin(limit int) (out []watchword.Outgoing, rest int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.queued), limit)
	out, d.queued = d.queued[:n:n], d.queued[n:]
	d.free = limit - n
	return out, limit - d.reserved
}

// end ends a Claim that returns messages of the store.
func (d *directMessages) end(claimed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = max(d.free-claimed, 0)
}

// close ends a Claim after which there may be no other.
func (d *directMessages) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = 0
}

// heldEntries are the claimed entries of the stream that this process has not finished. With them it finds those of which it does
// not know, because the reply that had them was lost. They are safe for concurrent use.
type heldEntries struct {
	mu     sync.Mutex
	claims map[string]bool
}

// add adds entries of the reply to a question about a partition, and returns them. If the question was for what this process has
// claimed, it adds those that were not held before, at most as many as were asked for, and reports whether these were all.
func (h *heldEntries) add(partition int, q claimQuestion, reply []claimedEntry) (added []claimedEntry, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, entry := range reply {
		claim := formatClaim(partition, entry.id)
		switch {
		case q.again && h.claims[claim]:
			continue
		case q.again && len(added) == q.limit:
			return added, false
		}
		h.claims[claim] = true
		added = append(added, entry)
	}
	return added, true
}

// remove removes an entry before it is finished. If that fails, it is claimed once more.
func (h *heldEntries) remove(claim string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.claims, claim)
}
