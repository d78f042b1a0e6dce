package storetest

import (
	"time"

	"github.com/watchword-auth/watchword"
)

var attemptRequirements = []requirement{
	{"Attempt/a right guess wins once", checkRightGuessWinsOnce},
	{"Attempt/a wrong guess costs a try", checkWrongGuessCostsTry},
	{"Attempt/the last wrong guess locks", checkLastWrongGuessLocks},
	{"Attempt/a guess may lock", checkGuessMayLock},
	{"Attempt/guesses are tried in order", checkGuessOrder},
	{"Attempt/entries without digests match nothing", checkEntryWithoutDigests},
	{"Attempt/an empty digest matches nothing", checkEmptyDigest},
	{"Attempt/expired entries are refused", checkExpiredEntryRefused},
	{"Attempt/refusals have an order", checkRefusalOrder},
	{"Attempt/the last try is remembered", checkLastTryRecorded},
}

func checkRightGuessWinsOnce(h *harness) {
	e := h.mustCreate()
	won := h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
	e.Version, e.Mark = 1, mark("right")
	h.wantCounters(won, watchword.StateApproved, 4, 1)
	h.wantContent(won, e)
	for _, word := range []string{"right", "link", "wrong"} {
		h.wantCounters(h.mustAttempt(e.ID, word, watchword.Budget{}, watchword.ErrClosed), watchword.StateApproved, 4, 1)
	}
	got := h.mustGet(e.ID)
	h.wantCounters(got, watchword.StateApproved, 4, 1)
	h.wantContent(got, e)
}

func checkWrongGuessCostsTry(h *harness) {
	e := h.mustCreate()
	for n := 1; n <= 4; n++ {
		h.wantCounters(h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch), watchword.StatePending, 5-n, n)
	}
	if _, err := h.node().Attempt(h.ctx, e.ID, nil, watchword.Budget{}); outcomeOf(err) != "mismatch" {
		h.Errorf("an attempt without guesses: got %v, want ErrMismatch", err)
	}
	h.wantCounters(h.mustGet(e.ID), watchword.StateLocked, 0, 5)
}

func checkLastWrongGuessLocks(h *harness) {
	e := h.mustCreate(tries(2))
	h.wantCounters(h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch), watchword.StatePending, 1, 1)
	h.wantCounters(h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch), watchword.StateLocked, 0, 2)
	h.wantCounters(h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrClosed), watchword.StateLocked, 0, 2)

	e = h.mustCreate(tries(2))
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	h.wantCounters(h.mustAttempt(e.ID, "right", watchword.Budget{}, nil), watchword.StateApproved, 0, 2)
}

func checkGuessMayLock(h *harness) {
	e := h.mustCreate()
	got, err := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{locking("link")}, watchword.Budget{})
	if err != nil {
		h.Fatalf("a guess that locks: %v", err)
	}
	e.Version, e.Mark = 1, mark("link")
	h.wantCounters(got, watchword.StateLocked, 4, 1)
	h.wantContent(got, e)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrClosed)
}

func checkGuessOrder(h *harness) {
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
		e := h.mustCreate()
		got, err := h.node().Attempt(h.ctx, e.ID, c.guesses, watchword.Budget{})
		if err != nil {
			h.Fatalf("Attempt: %v", err)
		}
		e.Version, e.Mark = 1, c.mark
		h.wantCounters(got, c.state, 4, 1)
		h.wantContent(got, e)
	}
}

func checkEntryWithoutDigests(h *harness) {
	e := h.mustCreate(withoutDigests, tries(2))
	for n := 1; n <= 2; n++ {
		got := h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
		h.wantCounters(got, watchword.StatePending, 2-n, n)
		e.Version = 1
		h.wantContent(got, e)
	}
	h.wantCounters(h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrSpent), watchword.StatePending, 0, 2)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("verified")}, nil)
}

func checkEmptyDigest(h *harness) {
	for _, digests := range [][][]byte{nil, {}, {{}}, {digest("right")}, {{}, digest("right")}, {digest("right")[:31]}} {
		e := h.mustCreate(func(e *watchword.Entry) { e.Digests = digests })
		for _, guess := range [][]byte{nil, {}, digest("right")[:1]} {
			got, _ := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{{Digest: guess, State: watchword.StateApproved}}, watchword.Budget{})
			if got.State != watchword.StatePending {
				h.Errorf("%d digests matched a guess of %d bytes", len(digests), len(guess))
			}
		}
	}
	e := h.mustCreate()
	got, err := h.node().Attempt(h.ctx, e.ID, []watchword.Guess{{State: watchword.StateLocked}, approving("right")}, watchword.Budget{})
	if err != nil || got.State != watchword.StateApproved {
		h.Errorf("a right guess after an empty one: state %d, %v", got.State, err)
	}
}

func checkExpiredEntryRefused(h *harness) {
	e := h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrExpired)
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 5, 0)

	e = h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(100 * time.Millisecond) })
	h.advance(100 * time.Millisecond)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrExpired)
}

// checkRefusalOrder uses entries to which several refusals apply.
func checkRefusalOrder(h *harness) {
	expired := func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(-time.Second) }
	spent := h.budget(0)

	e := h.mustCreate(expired)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	h.mustAttempt(e.ID, "right", spent, watchword.ErrClosed)
	e = h.mustCreate(expired, withoutDigests, tries(0))
	h.mustAttempt(e.ID, "right", spent, watchword.ErrExpired)
	e = h.mustCreate(withoutDigests, tries(0))
	h.mustAttempt(e.ID, "right", spent, watchword.ErrSpent)
	e = h.mustCreate()
	h.mustRefuse(e.ID, "right", spent)
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 5, 0)
	h.mustAttempt(h.group+".none", "right", spent, watchword.ErrNotFound)
}

func checkLastTryRecorded(h *harness) {
	e := h.mustCreate()
	before := h.mustGet(e.ID)
	if !before.LastTry.IsZero() {
		h.Errorf("the last try of a new entry is %s", before.LastTry)
	}
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	first := h.mustGet(e.ID).LastTry
	h.advance(20 * time.Millisecond)
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	if passed := h.mustGet(e.ID).LastTry.Sub(first); passed < 20*time.Millisecond-precision || first.IsZero() {
		h.Errorf("the last try is remembered as %s after the first", passed)
	}
}
