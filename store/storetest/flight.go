package storetest

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// What tries in flight and late answers rest on.
var flightPromises = []promise{
	{"Flight/repeats are charged apart from tries, and run out", repeatsRunOut},
	{"Flight/repeats are refused as tries are", repeatsRefused},
	{"Flight/an entry is locked when its last try is settled", lockedWhenSettled},
	{"Flight/a try that is never settled holds a lock up only so long", lockedWhenIdle},
	{"Flight/an approval that comes after its time is refused", approvedInTime},
	{"Race/repeats are charged no further than their number", repeatsRace},
}

func repeats(n int) watchword.Budget { return watchword.Budget{Repeats: n} }

func (h *harness) repeat(id string, b watchword.Budget, want error) watchword.Entry {
	h.Helper()
	e, err := h.node().Attempt(h.ctx, id, nil, b)
	if outcome(err) != outcome(want) {
		h.Fatalf("Attempt with Repeats: got %v, want %v", err, want)
	}
	return e
}

func repeatsRunOut(h *harness) {
	b := h.budget(0) // spent, which does not matter to repeats
	b.Repeats = 3
	e := h.create(judged, tries(1))
	h.mustAttempt(e.ID, "x", watchword.Budget{}, nil)
	first := h.get(e.ID).LastTry
	h.pass(20 * time.Millisecond)
	for range 3 {
		got := h.repeat(e.ID, b, nil)
		e.Version = 1
		h.content(got, e)
		h.counters(got, watchword.StatePending, 0, 1)
		if passed := got.LastTry.Sub(first); passed < 20*time.Millisecond-precision {
			h.Errorf("a repeat is charged at %s after the try", passed)
		}
	}
	h.repeat(e.ID, b, watchword.ErrSpent)
	h.counters(h.get(e.ID), watchword.StatePending, 0, 1)
	h.mustAttempt(h.create().ID, "right", h.budget(1), nil) // the budget was not charged
}

func repeatsRefused(h *harness) {
	h.repeat(h.group+".none", repeats(3), watchword.ErrNotFound)
	e := h.create(judged)
	h.close(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	h.repeat(e.ID, repeats(3), watchword.ErrClosed)
	h.repeat(h.create(judged, func(e *watchword.Entry) { e.ExpiresAt = h.now() }).ID, repeats(3), watchword.ErrExpired)
}

func settling() watchword.Closing {
	return watchword.Closing{State: watchword.StateLocked, Settles: true, Idle: time.Hour}
}

func lockedWhenSettled(h *harness) {
	e := h.create(judged, tries(3))
	h.close(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: time.Hour}, watchword.ErrInFlight) // tries are left
	for used := 1; used <= 3; used++ {
		if got := h.mustAttempt(e.ID, "x", watchword.Budget{}, nil); got.Settled != 0 {
			h.Errorf("%d settled before any was", got.Settled)
		}
	}
	h.close(e.ID, settling(), watchword.ErrInFlight)
	h.close(e.ID, settling(), watchword.ErrInFlight)
	got := h.get(e.ID)
	h.counters(got, watchword.StatePending, 0, 3)
	if got.Settled != 2 || got.Version != 1 {
		h.Errorf("%d settled, version %d, want 2 and 1", got.Settled, got.Version)
	}
	_, err := h.attempt(e.ID, "x", watchword.Budget{})
	if outcome(err) != "spent" {
		h.Errorf("a try beyond the last: %v", err)
	}
	h.close(e.ID, settling(), nil)
	h.counters(h.get(e.ID), watchword.StateLocked, 0, 3)
	h.close(e.ID, settling(), watchword.ErrClosed)

	e = h.create(judged, tries(1)) // one that is in flight may still win
	h.mustAttempt(e.ID, "x", watchword.Budget{}, nil)
	h.close(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: time.Hour}, watchword.ErrInFlight)
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("won")}, nil)
	h.close(e.ID, settling(), watchword.ErrClosed)
}

func lockedWhenIdle(h *harness) {
	const idle = 50 * time.Millisecond
	e := h.create(judged, tries(1))
	h.mustAttempt(e.ID, "x", watchword.Budget{}, nil)
	h.pass(idle / 2)
	h.repeat(e.ID, repeats(3), nil) // which is as fresh as a try
	h.pass(idle / 2)
	h.close(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: time.Hour}, watchword.ErrInFlight)
	h.pass(idle)
	h.close(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: idle}, nil)
	h.counters(h.get(e.ID), watchword.StateLocked, 0, 1)
}

func approvedInTime(h *harness) {
	e := h.create(judged)
	charged := h.mustAttempt(e.ID, "x", watchword.Budget{}, nil).LastTry
	h.pass(20 * time.Millisecond)
	late := watchword.Closing{State: watchword.StateApproved, Mark: mark("late"), Before: charged.Add(10 * time.Millisecond)}
	h.close(e.ID, late, watchword.ErrExpired)
	h.counters(h.get(e.ID), watchword.StatePending, 4, 1)
	late.State = watchword.StateCanceled // whatever else ends it is never too late
	h.close(e.ID, late, nil)
	e = h.create(judged)
	charged = h.mustAttempt(e.ID, "x", watchword.Budget{}, nil).LastTry
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved, Before: charged.Add(time.Hour)}, nil)
}

func repeatsRace(h *harness) {
	e := h.create(judged, tries(0))
	got := h.race(100, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, nil, repeats(3))
		return err
	})
	h.outcomes(got, map[string]int{"ok": 3, "spent": 97})
}
