package storetest

import (
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

var closePromises = []promise{
	{"Close/once", closeOnce},
	{"Close/keeps or replaces the sealed data", closeSealed},
	{"Close/an expired entry is not approved", closeExpired},
	{"Close/empties the budget it names", closeClears},
}

var updatePromises = []promise{
	{"Update/compare and set", updateCompares},
	{"Update/works on closed and expired entries", updateClosed},
	{"Update/touches nothing else", updateTouches},
	{"Update/new digests are what counts", updateDigests},
}

func closeOnce(h *harness) {
	for _, state := range []watchword.State{watchword.StateApproved, watchword.StateLocked, watchword.StateCanceled} {
		e := h.create()
		h.close(e.ID, watchword.Closing{State: state, Mark: mark("first")}, nil)
		for _, other := range []watchword.State{watchword.StateApproved, watchword.StateLocked, watchword.StateCanceled} {
			h.close(e.ID, watchword.Closing{State: other, Mark: mark("second"), Sealed: []byte("second")}, watchword.ErrClosed)
		}
		h.counters(h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrClosed), state, 5, 0)
		e.Version, e.Mark = 1, mark("first")
		h.content(h.get(e.ID), e)
	}
	e := h.create()
	h.mustAttempt(e.ID, "right", watchword.Budget{}, nil)
	h.close(e.ID, watchword.Closing{State: watchword.StateCanceled}, watchword.ErrClosed)
}

func closeSealed(h *harness) {
	for _, c := range []struct {
		sealed  []byte
		version int64
	}{{nil, 1}, {[]byte("claims"), 2}, {[]byte{}, 2}} {
		e := h.create()
		h.close(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("won"), Sealed: c.sealed}, nil)
		e.Version, e.Mark = c.version, mark("won")
		if c.sealed != nil {
			e.Sealed = c.sealed
		}
		h.content(h.get(e.ID), e)
	}
	e := h.create()
	h.close(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	e.Version = 1
	h.content(h.get(e.ID), e)
}

func closeExpired(h *harness) {
	e := h.create(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved}, watchword.ErrExpired)
	h.counters(h.get(e.ID), watchword.StatePending, 5, 0)
	h.close(e.ID, watchword.Closing{State: watchword.StateLocked}, nil)
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved}, watchword.ErrClosed)
}

func closeClears(h *harness) {
	b := h.budget(2)
	spend := func() {
		e := h.create(judged)
		h.mustAttempt(e.ID, "x", b, nil)
		h.mustAttempt(e.ID, "x", b, nil)
		h.mustRefuse(e.ID, "x", b)
	}
	spend()
	e := h.create()
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved}, nil)
	h.mustRefuse(h.create().ID, "x", b)

	expired := h.create(func(e *watchword.Entry) { e.ExpiresAt = h.now() })
	h.close(expired.ID, watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, watchword.ErrExpired)
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, watchword.ErrClosed)
	h.close(h.group+".none", watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, watchword.ErrNotFound)
	h.close(h.create().ID, watchword.Closing{State: watchword.StateApproved, Clear: h.group + ".known"}, nil)
	h.mustRefuse(h.create().ID, "x", b)

	h.close(h.create().ID, watchword.Closing{State: watchword.StateApproved, Clear: b.Key}, nil)
	spend()
}

func (h *harness) update(e watchword.Entry, want error) {
	h.Helper()
	if err := h.node().Update(h.ctx, e); !errors.Is(err, want) {
		h.Fatalf("Update: got %v, want %v", err, want)
	}
}

func updateCompares(h *harness) {
	e := h.create()
	e.Version, e.Sealed, e.Digests = 1, []byte("second"), nil
	h.update(e, nil)
	stale := e
	stale.Sealed = []byte("stale")
	for _, version := range []int64{0, 1, 3, -1} {
		stale.Version = version
		h.update(stale, watchword.ErrConflict)
	}
	e.Version = 2
	h.content(h.get(e.ID), e)
	e.Sealed, e.Digests = []byte("third"), [][]byte{digest("right")}
	h.update(e, nil)
	e.Version = 3
	h.content(h.get(e.ID), e)
	clear(e.Sealed)
	e.Sealed = []byte("third")
	h.content(h.get(e.ID), e)
}

func updateClosed(h *harness) {
	e := h.create()
	h.close(e.ID, watchword.Closing{State: watchword.StateApproved, Mark: mark("won"), Sealed: []byte("claims")}, nil)
	e.Version, e.Sealed, e.Mark = 2, []byte("collected"), mark("won")
	h.update(e, watchword.ErrConflict) // decided when it was pending
	e.State = watchword.StateApproved
	h.update(e, nil)
	h.update(e, watchword.ErrConflict)
	e.Version = 3
	got := h.get(e.ID)
	h.content(got, e)
	h.counters(got, watchword.StateApproved, 5, 0)

	e = h.create(func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(-time.Second) })
	e.Version = 1
	h.update(e, nil)
}

func updateTouches(h *harness) {
	e := h.create()
	h.mustAttempt(e.ID, "wrong", watchword.Budget{}, watchword.ErrMismatch)
	before := h.get(e.ID)
	changed := before
	changed.Tries, changed.Used, changed.Mark = 50, 0, mark("planted")
	changed.ExpiresAt, changed.KeepUntil, changed.LastTry = e.ExpiresAt.Add(time.Hour), e.KeepUntil.Add(time.Hour), time.Time{}
	changed.Sealed = []byte("resent")
	h.update(changed, nil)
	before.Sealed, before.Version = []byte("resent"), 2
	got := h.get(e.ID)
	h.content(got, before)
	h.counters(got, watchword.StatePending, 4, 1)
	if !got.LastTry.Equal(before.LastTry) {
		h.Errorf("the last try moved from %s to %s", before.LastTry, got.LastTry)
	}
}

func updateDigests(h *harness) {
	e := h.create()
	e.Version, e.Digests = 1, [][]byte{digest("new")}
	h.update(e, nil)
	h.mustAttempt(e.ID, "right", watchword.Budget{}, watchword.ErrMismatch)
	h.mustAttempt(e.ID, "new", watchword.Budget{}, nil)
}
