package storetest

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/watchword-auth/watchword"
)

var budgetRequirements = []requirement{
	{"Budget/is shared by the entries of a group", checkBudgetShared},
	{"Budget/a refusal costs nothing", checkBudgetRefusalIsFree},
	{"Budget/refuses right guesses too", checkBudgetRefusesRightGuess},
	{"Budget/slides with several limits and returns the time to wait", checkBudgetSlides},
	{"Budget/each limit holds", checkEachBudgetLimit},
	{"Budget/is kept as long as its longest limit", checkBudgetLifetime},
	{"Budget/the first try of an entry passes", checkFirstTryFree},
	{"Budget/is emptied by an approval", checkApprovalClearsBudget},
	{"Budget/is not emptied by a lock", checkLockKeepsBudget},
	{"Budget/trusted devices have their own", checkTrustedDeviceBudget},
	{"Budget/is charged only for a try", checkBudgetUncharged},
	{"Budget/no budget is unlimited", checkNoBudget},
}

func checkBudgetShared(h *harness) {
	b := h.budget(3)
	one, two, three := h.mustCreate(), h.mustCreate(withoutDigests), h.mustCreate()
	h.mustAttempt(one.ID, "wrong", b, watchword.ErrMismatch)
	h.mustAttempt(two.ID, "x", b, nil)
	h.mustAttempt(three.ID, "wrong", b, watchword.ErrMismatch)
	for _, id := range []string{one.ID, two.ID, three.ID, h.mustCreate().ID} {
		h.mustRefuse(id, "wrong", b)
	}
}

func checkBudgetRefusalIsFree(h *harness) {
	b := h.budget(1)
	e := h.mustCreate()
	h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
	earlier := h.mustRefuse(e.ID, "wrong", b)
	for range 10 {
		later := h.mustRefuse(e.ID, "wrong", b)
		if later > earlier || later <= 0 || later > time.Hour {
			h.Fatalf("asked to wait for %s after %s", later, earlier)
		}
		earlier = later
	}
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 4, 1)
}

func checkBudgetRefusesRightGuess(h *harness) {
	b := h.budget(1)
	e := h.mustCreate()
	h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(e.ID, "right", b)
	h.mustRefuse(h.mustCreate().ID, "right", b)
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 4, 1)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
}

// checkBudgetSlides uses longer limits if none refuses, because in real time a busy machine makes few attempts.
func checkBudgetSlides(h *harness) {
	unit := 30 * time.Millisecond
	refused, charged := h.slideBudget(unit)
	for ; refused == 0 && h.clock == nil && unit < time.Second; refused, charged = h.slideBudget(unit) {
		h.group, unit = randomText(8), 4*unit
	}
	if refused == 0 || charged == 0 {
		h.Errorf("%d refused, %d charged: the test proves nothing", refused, charged)
	}
}

// slideBudget makes attempts at random times and compares each result with the log of charges. The limits are multiples of unit.
func (h *harness) slideBudget(unit time.Duration) (refused, charged int) {
	h.Helper()
	b := watchword.Budget{Key: h.group + ".any", Limits: []watchword.Window{{Max: 2, Per: 4 * unit}, {Max: 5, Per: 20 * unit}, {Max: 3, Per: 9 * unit}}}
	e := h.mustCreate(withoutDigests, tries(1000))
	random := rand.New(rand.NewPCG(1, 2))
	var log chargeLog
	for range 60 {
		before := h.now()
		_, err := h.attempt(e.ID, "x", b)
		after := h.now()
		var spent *watchword.BudgetError
		switch {
		case err == nil:
			charged++
			h.checkCharge(log, b, before, after)
			log = append(log, clockReading{before, after})
		case errors.As(err, &spent):
			refused++
			h.checkRefusal(log, b, before, after, spent.RetryAfter)
		default:
			h.Fatalf("Attempt: %v", err)
		}
		if spent != nil && random.IntN(4) == 0 {
			h.advance(spent.RetryAfter)
			if _, err := h.attempt(e.ID, "x", b); err != nil {
				h.Fatalf("refused after having waited as long as was asked: %v", err)
			}
			log = append(log, clockReading{before.Add(spent.RetryAfter), h.now()})
			continue
		}
		h.advance(time.Duration(random.Int64N(int64(3 * unit))))
	}
	return refused, charged
}

// checkEachBudgetLimit uses limits of which either the shorter or the longer one refuses.
func checkEachBudgetLimit(h *harness) {
	for _, limits := range [][]watchword.Window{
		{{Max: 2, Per: time.Hour}, {Max: 9, Per: 24 * time.Hour}},
		{{Max: 9, Per: 24 * time.Hour}, {Max: 2, Per: time.Hour}},
		{{Max: 9, Per: time.Minute}, {Max: 2, Per: time.Hour}},
	} {
		h.group = randomText(8)
		b := watchword.Budget{Key: h.group + ".any", Limits: limits}
		e := h.mustCreate()
		start := h.now()
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		wait := h.mustRefuse(e.ID, "wrong", b)
		if passed := h.now().Sub(start); wait > time.Hour+precision || wait < time.Hour-passed-precision {
			h.Errorf("limits %v: asked to wait for %s, %s after the first charge", limits, wait, passed)
		}
	}
}

// checkBudgetLifetime waits until the shorter limit has passed. The store must still have the charges for the longer one.
func checkBudgetLifetime(h *harness) {
	short, long := watchword.Window{Max: 1000, Per: 20 * time.Millisecond}, watchword.Window{Max: 2, Per: time.Hour}
	for _, limits := range [][]watchword.Window{{short, long}, {long, short}} {
		h.group = randomText(8)
		b := watchword.Budget{Key: h.group + ".any", Limits: limits}
		e := h.mustCreate()
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.advance(short.Per)
		other := b
		other.Key = h.group + ".known"
		h.mustAttempt(h.mustCreate().ID, "wrong", other, watchword.ErrMismatch)
		h.mustRefuse(e.ID, "right", b)
	}
}

func checkFirstTryFree(h *harness) {
	b := h.budget(2)
	b.FirstFree = true
	live, first := h.mustCreate(), h.mustCreate()
	h.mustAttempt(live.ID, "wrong", b, watchword.ErrMismatch)
	h.mustAttempt(live.ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(live.ID, "right", b)

	h.mustAttempt(first.ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(first.ID, "right", b)
	h.wantCounters(h.mustGet(first.ID), watchword.StatePending, 4, 1)

	free := h.mustCreate(withoutDigests)
	h.mustAttempt(free.ID, "x", b, nil)
	h.mustRefuse(free.ID, "x", b)

	h.mustAttempt(h.mustCreate().ID, "right", b, nil)
	h.mustAttempt(live.ID, "right", b, nil)

	// The free try is charged: after it one of two is left.
	h.mustAttempt(h.mustCreate().ID, "wrong", b, watchword.ErrMismatch)
	e := h.mustCreate(withoutDigests)
	h.mustAttempt(e.ID, "x", b, nil)
	h.mustRefuse(e.ID, "x", b)

	// Each try that is free although the budget is spent is a charge, from which the hour begins again.
	h.advance(20 * time.Millisecond)
	start := h.now()
	h.mustAttempt(h.mustCreate().ID, "wrong", b, watchword.ErrMismatch)
	h.mustAttempt(h.mustCreate().ID, "wrong", b, watchword.ErrMismatch)
	wait := h.mustRefuse(e.ID, "x", b)
	if passed := h.now().Sub(start); wait < time.Hour-passed-h.clockTolerance() {
		h.Errorf("asked to wait for %s, though %s ago no free try had been made", wait, passed)
	}
}

func checkApprovalClearsBudget(h *harness) {
	b, other := h.budget(2), h.budget(2)
	other.Key = h.group + ".known"
	spend := func(b watchword.Budget) watchword.Entry {
		e := h.mustCreate()
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustRefuse(e.ID, "right", b)
		return e
	}
	spend(b)
	kept := spend(other)
	b.FirstFree = true
	h.mustAttempt(h.mustCreate().ID, "right", b, nil)
	b.FirstFree = false
	h.mustRefuse(kept.ID, "right", other)
	spend(b)
}

func checkLockKeepsBudget(h *harness) {
	b := h.budget(2)
	e := h.mustCreate()
	h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
	if _, err := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{locking("link")}, b); err != nil {
		h.Fatalf("a guess that locks: %v", err)
	}
	h.mustRefuse(h.mustCreate().ID, "right", b)
}

func checkTrustedDeviceBudget(h *harness) {
	anyone, trusted := h.budget(1), h.budget(1)
	trusted.Key = h.group + ".known"
	e, own := h.mustCreate(), h.mustCreate()
	h.mustAttempt(e.ID, "wrong", anyone, watchword.ErrMismatch)
	h.mustRefuse(e.ID, "wrong", anyone)
	h.mustAttempt(own.ID, "wrong", trusted, watchword.ErrMismatch)
	h.mustRefuse(own.ID, "wrong", trusted)
}

func checkBudgetUncharged(h *harness) {
	b := h.budget(1)
	expired := h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	closed := h.mustCreate()
	h.mustClose(closed.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	for range 3 {
		h.mustAttempt(h.group+"."+randomText(16), "wrong", b, watchword.ErrNotFound)
		h.mustAttempt(expired.ID, "wrong", b, watchword.ErrExpired)
		h.mustAttempt(closed.ID, "wrong", b, watchword.ErrClosed)
		h.mustAttempt(h.mustCreate(withoutDigests, tries(0)).ID, "wrong", b, watchword.ErrSpent)
		h.mustClose(h.mustCreate().ID, watchword.Closing{State: watchword.StateLocked}, nil)
	}
	h.mustAttempt(h.mustCreate().ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(h.mustCreate().ID, "wrong", b)
}

func checkNoBudget(h *harness) {
	for _, b := range []watchword.Budget{{}, {Limits: []watchword.Window{{Max: 1, Per: time.Hour}}}, {Key: h.group + ".any"}} {
		e := h.mustCreate(tries(40))
		for range 20 {
			h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		}
		h.mustAttempt(e.ID, "right", b, nil)
	}
}
