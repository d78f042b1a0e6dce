package storetest

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/watchword-auth/watchword"
)

var budgetPromises = []promise{
	{"Budget/is shared by the entries of a group", budgetShared},
	{"Budget/a refusal costs nothing", budgetRefusal},
	{"Budget/refuses right guesses too", budgetRight},
	{"Budget/slides, several limits together, and says when to come back", budgetSlides},
	{"Budget/each limit holds", budgetEach},
	{"Budget/lives as long as its longest limit", budgetLives},
	{"Budget/the first try of an entry passes", budgetFirstFree},
	{"Budget/is emptied by an approval", budgetApproval},
	{"Budget/is not emptied by a lock", budgetLock},
	{"Budget/known devices have their own", budgetKnown},
	{"Budget/is charged only for a try", budgetUncharged},
	{"Budget/none is unlimited", budgetNone},
}

func budgetShared(h *harness) {
	b := h.budget(3)
	one, two, three := h.create(), h.create(judged), h.create()
	h.mustAttempt(one.ID, "wrong", b, watchword.ErrMismatch)
	h.mustAttempt(two.ID, "x", b, nil)
	h.mustAttempt(three.ID, "wrong", b, watchword.ErrMismatch)
	for _, id := range []string{one.ID, two.ID, three.ID, h.create().ID} {
		h.mustRefuse(id, "wrong", b)
	}
}

func budgetRefusal(h *harness) {
	b := h.budget(1)
	e := h.create()
	h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
	earlier := h.mustRefuse(e.ID, "wrong", b)
	for range 10 {
		later := h.mustRefuse(e.ID, "wrong", b)
		if later > earlier || later <= 0 || later > time.Hour {
			h.Fatalf("asked to wait for %s after %s", later, earlier)
		}
		earlier = later
	}
	h.counters(h.get(e.ID), watchword.StatePending, 4, 1)
}

func budgetRight(h *harness) {
	b := h.budget(1)
	e := h.create()
	h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(e.ID, "right", b)
	h.mustRefuse(h.create().ID, "right", b)
	h.counters(h.get(e.ID), watchword.StatePending, 4, 1)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
}

// budgetSlides makes wrong guesses at odd moments and compares each refusal with what the log of charges says.
func budgetSlides(h *harness) {
	const unit = 30 * time.Millisecond
	b := watchword.Budget{Key: h.group + ".any", Limits: []watchword.Window{{Max: 2, Per: 4 * unit}, {Max: 5, Per: 20 * unit}, {Max: 3, Per: 9 * unit}}}
	e := h.create(judged, tries(1000))
	random := rand.New(rand.NewPCG(1, 2))
	var log charges
	var refused, charged int
	for range 60 {
		before := h.now()
		_, err := h.attempt(e.ID, "x", b)
		after := h.now()
		var spent *watchword.BudgetError
		switch {
		case err == nil:
			charged++
			h.mayCharge(log, b, before, after)
			log = append(log, moment{before, after})
		case errors.As(err, &spent):
			refused++
			h.mayRefuse(log, b, before, after, spent.RetryAfter)
		default:
			h.Fatalf("Attempt: %v", err)
		}
		if spent != nil && random.IntN(4) == 0 {
			h.pass(spent.RetryAfter)
			if _, err := h.attempt(e.ID, "x", b); err != nil {
				h.Fatalf("refused after having waited as long as was asked: %v", err)
			}
			log = append(log, moment{before.Add(spent.RetryAfter), h.now()})
			continue
		}
		h.pass(time.Duration(random.Int64N(int64(3 * unit))))
	}
	if refused == 0 || charged == 0 {
		h.Errorf("%d refused, %d charged: the test shows nothing", refused, charged)
	}
}

// budgetEach has limits of which now the short, now the long one refuses.
func budgetEach(h *harness) {
	for _, limits := range [][]watchword.Window{
		{{Max: 2, Per: time.Hour}, {Max: 9, Per: 24 * time.Hour}},
		{{Max: 9, Per: 24 * time.Hour}, {Max: 2, Per: time.Hour}},
		{{Max: 9, Per: time.Minute}, {Max: 2, Per: time.Hour}},
	} {
		h.group = randomText(8)
		b := watchword.Budget{Key: h.group + ".any", Limits: limits}
		e := h.create()
		start := h.now()
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		wait := h.mustRefuse(e.ID, "wrong", b)
		if passed := h.now().Sub(start); wait > time.Hour+precision || wait < time.Hour-passed-precision {
			h.Errorf("limits %v: asked to wait for %s, %s after the first charge", limits, wait, passed)
		}
	}
}

// budgetLives waits until the short limit is over; what a store forgets on the way must not be the long one's charges.
func budgetLives(h *harness) {
	short, long := watchword.Window{Max: 1000, Per: 20 * time.Millisecond}, watchword.Window{Max: 2, Per: time.Hour}
	for _, limits := range [][]watchword.Window{{short, long}, {long, short}} {
		h.group = randomText(8)
		b := watchword.Budget{Key: h.group + ".any", Limits: limits}
		e := h.create()
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.pass(short.Per)
		other := b
		other.Key = h.group + ".known"
		h.mustAttempt(h.create().ID, "wrong", other, watchword.ErrMismatch)
		h.mustRefuse(e.ID, "right", b)
	}
}

func budgetFirstFree(h *harness) {
	b := h.budget(2)
	b.FirstFree = true
	live, first := h.create(), h.create()
	h.mustAttempt(live.ID, "wrong", b, watchword.ErrMismatch)
	h.mustAttempt(live.ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(live.ID, "right", b)

	h.mustAttempt(first.ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(first.ID, "right", b)
	h.counters(h.get(first.ID), watchword.StatePending, 4, 1)

	free := h.create(judged)
	h.mustAttempt(free.ID, "x", b, nil)
	h.mustRefuse(free.ID, "x", b)

	h.mustAttempt(h.create().ID, "right", b, nil)
	h.mustAttempt(live.ID, "right", b, nil)

	// The free try is charged: after it one is left of two.
	h.mustAttempt(h.create().ID, "wrong", b, watchword.ErrMismatch)
	e := h.create(judged)
	h.mustAttempt(e.ID, "x", b, nil)
	h.mustRefuse(e.ID, "x", b)

	// Of those that pass though the budget is spent, each is a charge from which the hour runs anew.
	h.pass(20 * time.Millisecond)
	start := h.now()
	h.mustAttempt(h.create().ID, "wrong", b, watchword.ErrMismatch)
	h.mustAttempt(h.create().ID, "wrong", b, watchword.ErrMismatch)
	wait := h.mustRefuse(e.ID, "x", b)
	if passed := h.now().Sub(start); wait < time.Hour-passed-h.slack() {
		h.Errorf("asked to wait for %s, though %s ago no free try had been made", wait, passed)
	}
}

func budgetApproval(h *harness) {
	b, other := h.budget(2), h.budget(2)
	other.Key = h.group + ".known"
	spend := func(b watchword.Budget) watchword.Entry {
		e := h.create()
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		h.mustRefuse(e.ID, "right", b)
		return e
	}
	spend(b)
	kept := spend(other)
	b.FirstFree = true
	h.mustAttempt(h.create().ID, "right", b, nil)
	b.FirstFree = false
	h.mustRefuse(kept.ID, "right", other)
	spend(b)
}

func budgetLock(h *harness) {
	b := h.budget(2)
	e := h.create()
	h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
	if _, err := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{locking("link")}, b); err != nil {
		h.Fatalf("a guess that locks: %v", err)
	}
	h.mustRefuse(h.create().ID, "right", b)
}

func budgetKnown(h *harness) {
	stranger, known := h.budget(1), h.budget(1)
	known.Key = h.group + ".known"
	e, own := h.create(), h.create()
	h.mustAttempt(e.ID, "wrong", stranger, watchword.ErrMismatch)
	h.mustRefuse(e.ID, "wrong", stranger)
	h.mustAttempt(own.ID, "wrong", known, watchword.ErrMismatch)
	h.mustRefuse(own.ID, "wrong", known)
}

func budgetUncharged(h *harness) {
	b := h.budget(1)
	expired := h.create(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	closed := h.create()
	h.close(closed.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	for range 3 {
		h.mustAttempt(h.group+"."+randomText(16), "wrong", b, watchword.ErrNotFound)
		h.mustAttempt(expired.ID, "wrong", b, watchword.ErrExpired)
		h.mustAttempt(closed.ID, "wrong", b, watchword.ErrClosed)
		h.mustAttempt(h.create(judged, tries(0)).ID, "wrong", b, watchword.ErrSpent)
		h.close(h.create().ID, watchword.Closing{State: watchword.StateLocked}, nil)
	}
	h.mustAttempt(h.create().ID, "wrong", b, watchword.ErrMismatch)
	h.mustRefuse(h.create().ID, "wrong", b)
}

func budgetNone(h *harness) {
	for _, b := range []watchword.Budget{{}, {Limits: []watchword.Window{{Max: 1, Per: time.Hour}}}, {Key: h.group + ".any"}} {
		e := h.create(tries(40))
		for range 20 {
			h.mustAttempt(e.ID, "wrong", b, watchword.ErrMismatch)
		}
		h.mustAttempt(e.ID, "right", b, nil)
	}
}
