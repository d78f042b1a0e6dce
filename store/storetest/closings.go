package storetest

import (
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

var closeRequirements = []requirement{
	{"Close/once", checkCloseOnce},
	{"Close/keeps or replaces the sealed data", checkCloseSealedData},
	{"Close/replaces the sealed data of the named version only", checkCloseVersion},
	{"Close/an expired entry is not approved", checkCloseExpired},
	{"Close/empties the budget it names", checkCloseClearsBudget},
}

var updateRequirements = []requirement{
	{"Update/compare and set", checkUpdateComparesVersion},
	{"Update/works on closed and expired entries", checkUpdateClosedEntry},
	{"Update/touches nothing else", checkUpdateChangesNothingElse},
	{"Update/new digests are what counts", checkUpdateReplacesDigests},
}

func checkCloseOnce(h *harness) {
	for _, state := range []watchword.State{watchword.StateApproved, watchword.StateLocked, watchword.StateCanceled} {
		e := h.mustCreate()
		h.mustClose(e.ID, watchword.Closing{State: state, Mark: mark("first")}, nil)
		for _, other := range []watchword.State{watchword.StateApproved, watchword.StateLocked, watchword.StateCanceled} {
			h.mustClose(e.ID, watchword.Closing{State: other, Mark: mark("second"), Sealed: []byte("second")}, watchword.ErrClosed)
		}
		h.wantCounters(h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrClosed), state, 5, 0)
		e.Version, e.Mark = 1, mark("first")
		h.wantContent(h.mustGet(e.ID), e)
	}
	e := h.mustCreate()
	h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateCanceled}, watchword.ErrClosed)
}

func checkCloseSealedData(h *harness) {
	for _, c := range []struct {
		sealed  []byte
		version int64
	}{{nil, 1}, {[]byte("claims"), 2}, {[]byte{}, 2}} {
		e := h.mustCreate()
		h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("won"), Sealed: c.sealed}, nil)
		e.Version, e.Mark = c.version, mark("won")
		if c.sealed != nil {
			e.Sealed = c.sealed
		}
		h.wantContent(h.mustGet(e.ID), e)
	}
	e := h.mustCreate()
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	e.Version = 1
	h.wantContent(h.mustGet(e.ID), e)
}

func checkCloseVersion(h *harness) {
	e := h.mustCreate()
	won := watchword.Closing{State: watchword.StateApproved, Mark: mark("won"), Sealed: []byte("claims"), Version: 2}
	h.mustClose(e.ID, won, watchword.ErrConflict)
	e.Version = 1
	got := h.mustGet(e.ID)
	h.wantCounters(got, watchword.StatePending, e.Tries, 0)
	h.wantContent(got, e)
	won.Version = 1
	h.mustClose(e.ID, won, nil)
	e.Version, e.Mark, e.Sealed = 2, won.Mark, won.Sealed
	h.wantContent(h.mustGet(e.ID), e)
	h.mustClose(e.ID, won, watchword.ErrClosed)
}

func checkCloseExpired(h *harness) {
	e := h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved}, watchword.ErrExpired)
	h.wantCounters(h.mustGet(e.ID), watchword.StatePending, 5, 0)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateLocked}, nil)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved}, watchword.ErrClosed)
}

func checkCloseClearsBudget(h *harness) {
	b := h.budget(2)
	spend := func() {
		e := h.mustCreate(withoutDigests)
		h.mustAttempt(e.ID, "x", b, nil)
		h.mustAttempt(e.ID, "x", b, nil)
		h.mustRefuse(e.ID, "x", b)
	}
	spend()
	e := h.mustCreate()
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved}, nil)
	h.mustRefuse(h.mustCreate().ID, "x", b)

	expired := h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	h.mustClose(expired.ID, watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, watchword.ErrExpired)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, watchword.ErrClosed)
	h.mustClose(h.group+".none", watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, watchword.ErrNotFound)
	h.mustClose(h.mustCreate().ID, watchword.Closing{State: watchword.StateApproved, Clear: h.group + ".known"}, nil)
	h.mustRefuse(h.mustCreate().ID, "x", b)

	h.mustClose(h.mustCreate().ID, watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, nil)
	spend()
}

func (h *harness) mustUpdate(e watchword.Entry, want error) {
	h.Helper()
	if err := h.node().Update(h.ctx, e); !errors.Is(err, want) {
		h.Fatalf("Update: got %v, want %v", err, want)
	}
}

func checkUpdateComparesVersion(h *harness) {
	e := h.mustCreate()
	e.Version, e.Sealed, e.Digests = 1, []byte("second"), nil
	h.mustUpdate(e, nil)
	stale := e
	stale.Sealed = []byte("stale")
	for _, version := range []int64{0, 1, 3, -1} {
		stale.Version = version
		h.mustUpdate(stale, watchword.ErrConflict)
	}
	e.Version = 2
	h.wantContent(h.mustGet(e.ID), e)
	e.Sealed, e.Digests = []byte("third"), [][]byte{digest("right")}
	h.mustUpdate(e, nil)
	e.Version = 3
	h.wantContent(h.mustGet(e.ID), e)
	clear(e.Sealed)
	e.Sealed = []byte("third")
	h.wantContent(h.mustGet(e.ID), e)
}

func checkUpdateClosedEntry(h *harness) {
	e := h.mustCreate()
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("won"), Sealed: []byte("claims")}, nil)
	e.Version, e.Sealed, e.Mark = 2, []byte("collected"), mark("won")
	h.mustUpdate(e, watchword.ErrConflict) // decided when it was pending
	e.State = watchword.StateApproved
	h.mustUpdate(e, nil)
	h.mustUpdate(e, watchword.ErrConflict)
	e.Version = 3
	got := h.mustGet(e.ID)
	h.wantContent(got, e)
	h.wantCounters(got, watchword.StateApproved, 5, 0)

	e = h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(-time.Second) })
	e.Version = 1
	h.mustUpdate(e, nil)
}

func checkUpdateChangesNothingElse(h *harness) {
	e := h.mustCreate()
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	before := h.mustGet(e.ID)
	changed := before
	changed.Tries, changed.Used, changed.Mark = 50, 0, mark("planted")
	changed.ExpiresAt, changed.KeepUntil, changed.LastTry = e.ExpiresAt.Add(time.Hour), e.KeepUntil.Add(time.Hour), time.Time{}
	changed.Sealed = []byte("resent")
	h.mustUpdate(changed, nil)
	before.Sealed, before.Version = []byte("resent"), 2
	got := h.mustGet(e.ID)
	h.wantContent(got, before)
	h.wantCounters(got, watchword.StatePending, 4, 1)
	if !got.LastTry.Equal(before.LastTry) {
		h.Errorf("the last try moved from %s to %s", before.LastTry, got.LastTry)
	}
}

func checkUpdateReplacesDigests(h *harness) {
	e := h.mustCreate()
	e.Version, e.Digests = 1, [][]byte{digest("new")}
	h.mustUpdate(e, nil)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrMismatch)
	h.mustAttempt(e.ID, "new", watchword.Budget{}, nil)
}
