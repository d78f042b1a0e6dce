package storetest

import (
	"fmt"

	"github.com/watchword-auth/watchword"
)

var racePromises = []promise{
	{"Race/one of 200 right guesses wins", raceRight},
	{"Race/of 500 wrong guesses as many are judged as there are tries", raceWrong},
	{"Race/of 500 judged answers as many are charged as there are tries", raceJudged},
	{"Race/a budget is charged no further than its limit", raceBudget},
	{"Race/one of the right among the wrong wins", raceMixed},
	{"Race/one Close wins", raceClose},
	{"Race/Attempt and Close have one winner", raceBoth},
	{"Race/one Update of a version wins", raceUpdate},
	{"Race/one Create of an id wins", raceCreate},
	{"Race/Attempt and Close are linearizable", linearizable},
}

func raceRight(h *harness) {
	e := h.create(tries(5))
	h.outcomes(h.race(200, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving("right")}, h.budget(5))
		return err
	}), map[string]int{"ok": 1, "closed": 199})
	h.counters(h.get(e.ID), watchword.StateApproved, 4, 1)
}

func raceWrong(h *harness) {
	e := h.create(tries(5))
	h.outcomes(h.race(500, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving("wrong")}, watchword.Budget{})
		return err
	}), map[string]int{"mismatch": 5, "closed": 495})
	h.counters(h.get(e.ID), watchword.StateLocked, 0, 5)
}

func raceJudged(h *harness) {
	e := h.create(judged, tries(3))
	h.outcomes(h.race(500, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, nil, watchword.Budget{})
		return err
	}), map[string]int{"ok": 3, "spent": 497})
	h.counters(h.get(e.ID), watchword.StatePending, 0, 3)
}

func raceBudget(h *harness) {
	var ids []string
	for range 50 {
		ids = append(ids, h.create().ID)
	}
	b := h.budget(5)
	h.outcomes(h.race(500, func(i int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, ids[i%len(ids)], []watchword.Guess{approving("wrong")}, b)
		return err
	}), map[string]int{"mismatch": 5, "budget": 495})
	used := 0
	for _, id := range ids {
		used += h.get(id).Used
	}
	if used != 5 {
		h.Errorf("%d tries were charged for a budget of 5", used)
	}
}

func raceMixed(h *harness) {
	for range 10 {
		e := h.create(tries(10))
		got := h.race(40, func(i int, node watchword.Store) error {
			word := "wrong"
			if i%4 == 0 {
				word = "right"
			}
			_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving(word)}, watchword.Budget{})
			return err
		})
		after := h.get(e.ID)
		switch {
		case got["ok"] > 1 || got["ok"]+got["mismatch"] != after.Used || after.Used > 10 || got["ok"]+got["mismatch"]+got["closed"] != 40:
			h.Errorf("outcomes %v of an entry with %d tries used", got, after.Used)
		case (got["ok"] == 1) != (after.State == watchword.StateApproved):
			h.Errorf("outcomes %v of an entry in state %d", got, after.State)
		}
	}
}

func raceClose(h *harness) {
	e := h.create()
	h.outcomes(h.race(200, func(i int, node watchword.Store) error {
		state := []watchword.State{watchword.StateApproved, watchword.StateLocked, watchword.StateCanceled}[i%3]
		return node.Close(h.ctx, e.ID, watchword.Closing{State: state, Mark: mark(fmt.Sprint(state)), Sealed: []byte{byte(state)}})
	}), map[string]int{"ok": 1, "closed": 199})
	e.Version = 2
	got := h.get(e.ID)
	e.Mark, e.Sealed = mark(fmt.Sprint(got.State)), []byte{byte(got.State)}
	h.content(got, e)
}

func raceBoth(h *harness) {
	for range 20 {
		e := h.create(tries(100))
		h.outcomes(h.race(10, func(i int, node watchword.Store) error {
			if i%2 == 0 {
				return node.Close(h.ctx, e.ID, watchword.Closing{State: watchword.StateCanceled})
			}
			_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving("right")}, watchword.Budget{})
			return err
		}), map[string]int{"ok": 1, "closed": 9})
	}
}

func raceUpdate(h *harness) {
	e := h.create()
	e.Version = 1
	h.outcomes(h.race(100, func(i int, node watchword.Store) error {
		mine := e
		mine.Sealed = []byte{byte(i)}
		return node.Update(h.ctx, mine)
	}), map[string]int{"ok": 1, "conflict": 99})
	if v := h.get(e.ID).Version; v != 2 {
		h.Errorf("version %d after one update", v)
	}
}

func raceCreate(h *harness) {
	e := h.entry()
	h.outcomes(h.race(100, func(i int, node watchword.Store) error {
		mine := e
		mine.Sealed = []byte{byte(i)}
		return node.Create(h.ctx, mine)
	}), map[string]int{"ok": 1, "exists": 99})
	if _, err := h.node().Get(h.ctx, e.ID); err != nil {
		h.Errorf("Get after the race: %v", err)
	}
}
