package storetest

import (
	"fmt"

	"github.com/watchword-auth/watchword"
)

var raceRequirements = []requirement{
	{"Race/one of 200 right guesses wins", checkRightGuessRace},
	{"Race/of 500 wrong guesses as many are evaluated as there are tries", checkWrongGuessRace},
	{"Race/of 500 attempts without digests as many are charged as there are tries", checkRaceWithoutDigests},
	{"Race/a budget is charged no further than its limit", checkBudgetRace},
	{"Race/one of the right among the wrong wins", checkMixedGuessRace},
	{"Race/one Close wins", checkCloseRace},
	{"Race/Attempt and Close have one winner", checkAttemptCloseRace},
	{"Race/one Update of a version wins", checkUpdateRace},
	{"Race/one Create of an id wins", checkCreateRace},
	{"Race/Attempt and Close are linearizable", checkLinearizable},
}

func checkRightGuessRace(h *harness) {
	e := h.mustCreate(tries(5))
	h.wantOutcomes(h.race(200, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving("right")}, h.budget(5))
		return err
	}), map[string]int{"ok": 1, "closed": 199})
	h.wantCounters(h.mustGet(e.ID), watchword.StateApproved, 4, 1)
}

func checkWrongGuessRace(h *harness) {
	e := h.mustCreate(tries(5))
	h.wantOutcomes(h.race(500, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving("wrong")}, watchword.Budget{})
		return err
	}), map[string]int{"mismatch": 5, "closed": 495})
	h.wantCounters(h.mustGet(e.ID), watchword.StateLocked, 0, 5)
}

func checkRaceWithoutDigests(h *harness) {
	e := h.mustCreate(withoutDigests, tries(3))
	h.wantOutcomes(h.race(500, func(_ int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, e.ID, nil, watchword.Budget{})
		return err
	}), map[string]int{"ok": 3, "spent": 497})
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 0, 3)
}

func checkBudgetRace(h *harness) {
	var ids []string
	for range 50 {
		ids = append(ids, h.mustCreate().ID)
	}
	b := h.budget(5)
	h.wantOutcomes(h.race(500, func(i int, node watchword.Store) error {
		_, err := node.Attempt(h.ctx, ids[i%len(ids)], []watchword.Guess{approving("wrong")}, b)
		return err
	}), map[string]int{"mismatch": 5, "budget": 495})
	used := 0
	for _, id := range ids {
		used += h.mustGet(id).Used
	}
	if used != 5 {
		h.Errorf("%d tries were charged for a budget of 5", used)
	}
}

func checkMixedGuessRace(h *harness) {
	for range 10 {
		e := h.mustCreate(tries(10))
		got := h.race(40, func(i int, node watchword.Store) error {
			word := "wrong"
			if i%4 == 0 {
				word = "right"
			}
			_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving(word)}, watchword.Budget{})
			return err
		})
		after := h.mustGet(e.ID)
		switch {
		case got["ok"] > 1 || got["ok"]+got["mismatch"] != after.Used || after.Used > 10 || got["ok"]+got["mismatch"]+got["closed"] != 40:
			h.Errorf("outcomes %v of an entry with %d tries used", got, after.Used)
		case (got["ok"] == 1) != (after.State == watchword.StateApproved):
			h.Errorf("outcomes %v of an entry in state %d", got, after.State)
		}
	}
}

func checkCloseRace(h *harness) {
	e := h.mustCreate()
	h.wantOutcomes(h.race(200, func(i int, node watchword.Store) error {
		state := []watchword.State{watchword.StateApproved, watchword.StateLocked, watchword.StateCanceled}[i%3]
		return node.Close(h.ctx, e.ID, watchword.Closing{State: state, Mark: mark(fmt.Sprint(state)), Sealed: []byte{byte(state)}})
	}), map[string]int{"ok": 1, "closed": 199})
	e.Version = 2
	got := h.mustGet(e.ID)
	e.Mark, e.Sealed = mark(fmt.Sprint(got.State)), []byte{byte(got.State)}
	h.wantContent(got, e)
}

func checkAttemptCloseRace(h *harness) {
	for range 20 {
		e := h.mustCreate(tries(100))
		h.wantOutcomes(h.race(10, func(i int, node watchword.Store) error {
			if i%2 == 0 {
				return node.Close(h.ctx, e.ID, watchword.Closing{State: watchword.StateCanceled})
			}
			_, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{approving("right")}, watchword.Budget{})
			return err
		}), map[string]int{"ok": 1, "closed": 9})
	}
}

func checkUpdateRace(h *harness) {
	e := h.mustCreate()
	e.Version = 1
	h.wantOutcomes(h.race(100, func(i int, node watchword.Store) error {
		mine := e
		mine.Sealed = []byte{byte(i)}
		return node.Update(h.ctx, mine)
	}), map[string]int{"ok": 1, "conflict": 99})
	if v := h.mustGet(e.ID).Version; v != 2 {
		h.Errorf("version %d after one update", v)
	}
}

func checkCreateRace(h *harness) {
	e := h.entry()
	h.wantOutcomes(h.race(100, func(i int, node watchword.Store) error {
		mine := e
		mine.Sealed = []byte{byte(i)}
		return node.Create(h.ctx, mine)
	}), map[string]int{"ok": 1, "exists": 99})
	if _, err := h.node().Get(h.ctx, e.ID); err != nil {
		h.Errorf("Get after the race: %v", err)
	}
}
