package ratelimit

import "container/list"

// A window is the log of the events that still count. Times are nanoseconds since the store was created.
type window struct {
	key        windowKey
	events     []event  // oldest first; those before head do not count any more
	first      [1]event // initial storage of events, since most windows have only one
	head       int
	total      int64 // sum of the counts from head on
	endsAt     int64 // time after which no event counts
	owner      *ownerState
	expiryList *list.List
	element    *list.Element // of expiryList
}

// A windowKey identifies a window.
type windowKey struct{ space, key string }

// An event is a number of tokens spent at one time.
type event struct{ at, count int64 }

// dropExpired drops the events that are at least as old as the window is long.
func (w *window) dropExpired(now, length int64) {
	for w.head < len(w.events) && w.events[w.head].at+length <= now {
		w.total -= w.events[w.head].count
		w.head++
	}
}

// delay returns the time until cost more tokens fit under the limit; 0 if they fit now. If they never fit, it returns the window's
// length.
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

// nextDelay returns the time until a spent token becomes available; 0 if none is spent.
func (w *window) nextDelay(now, length int64) int64 {
	if w.head == len(w.events) {
		return 0
	}
	return w.events[w.head].at + length - now
}

// add spends cost tokens at a time. If the time is not later than that of the last event, the tokens are added to that event, so
// that the log stays in order when the clock is set back.
func (w *window) add(at, length, cost int64) {
	w.total += cost
	if n := len(w.events); n > w.head && at <= w.events[n-1].at {
		w.events[n-1].count += cost
		return
	}
	if len(w.events) == cap(w.events) && w.head > 0 { // move the events rather than grow the slice
		w.events = w.events[:copy(w.events, w.events[w.head:])]
		w.head = 0
	}
	w.events = append(w.events, event{at, cost})
	w.endsAt = at + length
}

// refund removes the given number of tokens, the latest first.
func (w *window) refund(cost int64) {
	for n := len(w.events) - 1; n >= w.head && cost > 0; n-- {
		removed := min(cost, w.events[n].count)
		w.events[n].count -= removed
		w.total -= removed
		cost -= removed
	}
}
