package storetest

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// Requirements for tries that are under evaluation and for late answers.
var inFlightRequirements = []requirement{
	{"InFlight/repeats are charged apart from tries, and run out", checkRepeatsRunOut},
	{"InFlight/repeats are refused as tries are", checkRepeatsRefused},
	{"InFlight/an entry is locked when its last try is settled", checkLockedWhenSettled},
	{"InFlight/an unsettled try delays a lock only until it is idle", checkLockedWhenIdle},
	{"InFlight/a late approval is refused", checkLateApprovalRefused},
	{"Race/repeats are charged no further than their number", checkRepeatRace},
}

func repeats(n int) watchword.Budget { return watchword.Budget{Repeats: n} }

func (h *harness) mustRepeat(id string, b watchword.Budget, want error) watchword.Entry {
	h.Helper()
	e, err := h.node().Attempt(h.ctx, id, nil, b)
	if outcomeOf(err) != outcomeOf(want) {
		h.Fatalf("Attempt with Repeats: got %v, want %v", err, want)
	}
	return e
}

func checkRepeatsRunOut(h *harness) {
	b := h.budget(0) // spent; repeats ignore it
	b.Repeats = 3
	e := h.mustCreate(withoutDigests, tries(1))
	h.mustAttempt(e.ID, "x", watchword.Budget{}, nil)
	first := h.mustGet(e.ID).LastTry
	h.advance(20 * time.Millisecond)
	for range 3 {
		got := h.mustRepeat(e.ID, b, nil)
		e.Version = 1
		h.wantContent(got, e)
		h.wantCounters(got, watchword.StatePending, 0, 1)
		if passed := got.LastTry.Sub(first); passed < 20*time.Millisecond-precision {
			h.Errorf("a repeat is charged at %s after the try", passed)
		}
	}
	h.mustRepeat(e.ID, b, watchword.ErrSpent)
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 0, 1)
	h.mustAttempt(h.mustCreate().ID, "right", h.budget(1), nil) // the budget was not charged
}

func checkRepeatsRefused(h *harness) {
	h.mustRepeat(h.group+".none", repeats(3), watchword.ErrNotFound)
	e := h.mustCreate(withoutDigests)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	h.mustRepeat(e.ID, repeats(3), watchword.ErrClosed)
	h.mustRepeat(h.mustCreate(withoutDigests, func(e *watchword.Entry) { e.ExpiresAt = h.now() }).ID, repeats(3), watchword.ErrExpired)
}

func settlingClosing() watchword.Closing {
	return watchword.Closing{State: watchword.StateLocked, Settles: true, Idle: time.Hour}
}

func checkLockedWhenSettled(h *harness) {
	e := h.mustCreate(withoutDigests, tries(3))
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: time.Hour}, watchword.ErrInFlight) // tries are left
	for used := 1; used <= 3; used++ {
		if got := h.mustAttempt(e.ID, "x", watchword.Budget{}, nil); got.Settled != 0 {
			h.Errorf("%d settled before any was", got.Settled)
		}
	}
	h.mustClose(e.ID, settlingClosing(), watchword.ErrInFlight)
	h.mustClose(e.ID, settlingClosing(), watchword.ErrInFlight)
	got := h.mustGet(e.ID)
	h.wantCounters(got, watchword.StatePending, 0, 3)
	if got.Settled != 2 || got.Version != 1 {
		h.Errorf("%d settled, version %d, want 2 and 1", got.Settled, got.Version)
	}
	_, err := h.attempt(e.ID, "x", watchword.Budget{})
	if outcomeOf(err) != "spent" {
		h.Errorf("a try beyond the last: %v", err)
	}
	h.mustClose(e.ID, settlingClosing(), nil)
	h.wantCounters(h.mustGet(e.ID), watchword.StateLocked, 0, 3)
	h.mustClose(e.ID, settlingClosing(), watchword.ErrClosed)

	e = h.mustCreate(withoutDigests, tries(1)) // one that is in flight may still win
	h.mustAttempt(e.ID, "x", watchword.Budget{}, nil)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: time.Hour}, watchword.ErrInFlight)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("won")}, nil)
	h.mustClose(e.ID, settlingClosing(), watchword.ErrClosed)
}

func checkLockedWhenIdle(h *harness) {
	const idle = 50 * time.Millisecond
	e := h.mustCreate(withoutDigests, tries(1))
	h.mustAttempt(e.ID, "x", watchword.Budget{}, nil)
	h.advance(idle / 2)
	h.mustRepeat(e.ID, repeats(3), nil) // sets the last try, like a try
	h.advance(idle / 2)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: time.Hour}, watchword.ErrInFlight)
	h.advance(idle)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateLocked, Idle: idle}, nil)
	h.wantCounters(h.mustGet(e.ID), watchword.StateLocked, 0, 1)
}

func checkLateApprovalRefused(h *harness) {
	e := h.mustCreate(withoutDigests)
	charged := h.mustAttempt(e.ID, "x", watchword.Budget{}, nil).LastTry
	h.advance(20 * time.Millisecond)
	late := watchword.Closing{State: watchword.StateApproved, Mark: mark("late"), Before: charged.Add(10 * time.Millisecond)}
	h.mustClose(e.ID, late, watchword.ErrExpired)
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 4, 1)
	late.State = watchword.StateCanceled // only approvals can be too late
	h.mustClose(e.ID, late, nil)
	e = h.mustCreate(withoutDigests)
	charged = h.mustAttempt(e.ID, "x", watchword.Budget{}, nil).LastTry
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved, Before: charged.Add(time.Hour)}, nil)
}

func checkRepeatRace(h *harness) {
	e := h.mustCreate(withoutDigests, tries(0))
	got := h.race(100, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, nil, repeats(3))
		return err
	})
	h.wantOutcomes(got, map[string]int{"ok": 3, "spent": 97})
}
