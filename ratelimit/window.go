package ratelimit

import "container/list"

// A window is the log of what was spent and still counts. Times are nanoseconds since its store began.
type window struct {
	key        windowKey
	events     []event  // oldest first; those before head do not count any more
	first      [1]event // where events begins: most windows never see a second one
	head       int
	total      int64       // the counts of the events from head on
	endsAt     int64       // when nothing counts any more
	owner      *ownerState // its owner's
	expiryList *list.List
	element    *list.Element // in its lane
}

// A windowKey names a window.
type windowKey struct{ space, key string }

// An event is some tokens that were spent at one time.
type event struct{ at, count int64 }

// dropExpired forgets the events that are as old as the window is long.
func (w *window) dropExpired(now, length int64) {
	for w.head < len(w.events) && w.events[w.head].at+length <= now {
		w.total -= w.events[w.head].count
		w.head++
	}
}

// delay is how long it takes until cost more tokens fit under the limit; 0 if they do now. What never fits waits for the
// window's whole length.
func (w *window) delay(now, length, limit, cost int64) int64 {
	excess := w.total + cost - limit
	if excess <= 0 {
		return 0
	}
	for _, e := range w.events[w.head:] {
		if excess -= e.count; excess <= 0 {
			return e.at + length - now
		}
	}
	return length
}

// nextDelay is how long it takes until one token comes back; 0 if none was spent.
func (w *window) nextDelay(now, length int64) int64 {
	if w.head == len(w.events) {
		return 0
	}
	return w.events[w.head].at + length - now
}

// add spends cost tokens at a time. A time that is not later than the last event's counts as that, so that the log stays
// in order when a clock is set back.
func (w *window) add(at, length, cost int64) {
	w.total += cost
	if n := len(w.events); n > w.head && at <= w.events[n-1].at {
		w.events[n-1].count += cost
		return
	}
	if len(w.events) == cap(w.events) && w.head > 0 { // rather move than grow
		w.events = w.events[:copy(w.events, w.events[w.head:])]
		w.head = 0
	}
	w.events = append(w.events, event{at, cost})
	w.endsAt = at + length
}

// refund forgets the latest tokens that were spent, as many as that.
func (w *window) refund(cost int64) {
	for n := len(w.events) - 1; n >= w.head && cost > 0; n-- {
		back := min(cost, w.events[n].count)
		w.events[n].count -= back
		w.total -= back
		cost -= back
	}
}
