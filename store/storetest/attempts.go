package storetest

import (
	"time"

	"github.com/watchword-auth/watchword"
)

var attemptPromises = []promise{
	{"Attempt/a right guess wins once", attemptWins},
	{"Attempt/a wrong guess costs a try", attemptCosts},
	{"Attempt/the last wrong guess locks", attemptLocks},
	{"Attempt/a guess may lock", attemptGuessLocks},
	{"Attempt/guesses are tried in order", attemptOrder},
	{"Attempt/entries without digests match nothing", attemptJudged},
	{"Attempt/an empty digest matches nothing", attemptEmpty},
	{"Attempt/expired entries are refused", attemptExpired},
	{"Attempt/refusals have an order", attemptRefusals},
	{"Attempt/the last try is remembered", attemptLastTry},
}

func attemptWins(h *harness) {
	e := h.create()
	won := h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
	e.Version, e.Mark = 1, mark("right")
	h.counters(won, watchword.StateApproved, 4, 1)
	h.content(won, e)
	for _, word := range []string{"right", "link", "wrong"} {
		h.counters(h.mustAttempt(e.ID, word, watchword.Budget{}, watchword.ErrClosed), watchword.StateApproved, 4, 1)
	}
	got := h.get(e.ID)
	h.counters(got, watchword.StateApproved, 4, 1)
	h.content(got, e)
}

func attemptCosts(h *harness) {
	e := h.create()
	for n := 1; n <= 4; n++ {
		h.counters(h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch), watchword.StatePending, 5-n, n)
	}
	if _, err := h.node().Attempt(h.ctx, e.ID, nil, watchword.Budget{}); outcome(err) != "mismatch" {
		h.Errorf("an attempt without guesses: got %v, want ErrMismatch", err)
	}
	h.counters(h.get(e.ID), watchword.StateLocked, 0, 5)
}

func attemptLocks(h *harness) {
	e := h.create(tries(2))
	h.counters(h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch), watchword.StatePending, 1, 1)
	h.counters(h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch), watchword.StateLocked, 0, 2)
	h.counters(h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrClosed), watchword.StateLocked, 0, 2)

	e = h.create(tries(2))
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	h.counters(h.mustAttempt(e.ID, "right", watchword.Budget{}, nil), watchword.StateApproved, 0, 2)
}

func attemptGuessLocks(h *harness) {
	e := h.create()
	got, err := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{locking("link")}, watchword.Budget{})
	if err != nil {
		h.Fatalf("a guess that locks: %v", err)
	}
	e.Version, e.Mark = 1, mark("link")
	h.counters(got, watchword.StateLocked, 4, 1)
	h.content(got, e)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrClosed)
}

func attemptOrder(h *harness) {
	for _, c := range []struct {
		guesses []watchword.Guess
		state   watchword.State
		mark    []byte
	}{
		{[]watchword.Guess{approving("right"), locking("link")}, watchword.StateApproved, mark("right")},
		{[]watchword.Guess{locking("link"), approving("right")}, watchword.StateLocked, mark("link")},
		{[]watchword.Guess{approving("wrong"), locking("link")}, watchword.StateLocked, mark("link")},
		{[]watchword.Guess{locking("wrong"), approving("other"), approving("link")}, watchword.StateApproved, mark("link")},
	} {
		e := h.create()
		got, err := h.node().Attempt(h.ctx, e.ID, c.guesses, watchword.Budget{})
		if err != nil {
			h.Fatalf("Attempt: %v", err)
		}
		e.Version, e.Mark = 1, c.mark
		h.counters(got, c.state, 4, 1)
		h.content(got, e)
	}
}

func attemptJudged(h *harness) {
	e := h.create(judged, tries(2))
	for n := 1; n <= 2; n++ {
		got := h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
		h.counters(got, watchword.StatePending, 2-n, n)
		e.Version = 1
		h.content(got, e)
	}
	h.counters(h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrSpent), watchword.StatePending, 0, 2)
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("judged")}, nil)
}

func attemptEmpty(h *harness) {
	for _, digests := range [][][]byte{nil, {}, {{}}, {digest("right")}, {{}, digest("right")}, {digest("right")[:31]}} {
		e := h.create(func(e *watchword.Entry) { e.Digests = digests })
		for _, guess := range [][]byte{nil, {}, digest("right")[:1]} {
			got, _ := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{{Digest: guess, State: watchword.StateApproved}}, watchword.Budget{})
			if got.State != watchword.StatePending {
				h.Errorf("%d digests matched a guess of %d bytes", len(digests), len(guess))
			}
		}
	}
	e := h.create()
	got, err := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{{State: watchword.StateLocked}, approving("right")}, watchword.Budget{})
	if err != nil || got.State != watchword.StateApproved {
		h.Errorf("a right guess after an empty one: state %d, %v", got.State, err)
	}
}

func attemptExpired(h *harness) {
	e := h.create(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrExpired)
	h.counters(h.get(e.ID), watchword.StatePending, 5, 0)

	e = h.create(func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(100 * time.Millisecond) })
	h.pass(100 * time.Millisecond)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrExpired)
}

// attemptRefusals has entries for which more than one refusal holds.
func attemptRefusals(h *harness) {
	expired := func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(-time.Second) }
	spent := h.budget(0)

	e := h.create(expired)
	h.close(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	h.mustAttempt(e.ID, "right", spent, watchword.ErrClosed)
	e = h.create(expired, judged, tries(0))
	h.mustAttempt(e.ID, "right", spent, watchword.ErrExpired)
	e = h.create(judged, tries(0))
	h.mustAttempt(e.ID, "right", spent, watchword.ErrSpent)
	e = h.create()
	h.mustRefuse(e.ID, "right", spent)
	h.counters(h.get(e.ID), watchword.StatePending, 5, 0)
	h.mustAttempt(h.group+".none", "right", spent, watchword.ErrNotFound)
}

func attemptLastTry(h *harness) {
	e := h.create()
	before := h.get(e.ID)
	if !before.LastTry.IsZero() {
		h.Errorf("the last try of a new entry is %s", before.LastTry)
	}
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	first := h.get(e.ID).LastTry
	h.pass(20 * time.Millisecond)
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	if passed := h.get(e.ID).LastTry.Sub(first); passed < 20*time.Millisecond-precision || first.IsZero() {
		h.Errorf("the last try is remembered as %s after the first", passed)
	}
}
