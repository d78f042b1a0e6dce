package storetest

import (
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

var entryRequirements = []requirement{
	{"Create/keeps the entry whole", checkCreateKeepsEntry},
	{"Create/starts pending and unused", checkCreateStartsPending},
	{"Create/refuses a second of one id", checkCreateRefusesSecondID},
	{"Create/copies what it is given", checkCreateCopies},
	{"Get/copies what it gives", checkGetCopies},
	{"Get/knows nothing of other ids", checkGetUnknownID},
	{"Get/reads closed and expired entries", checkGetClosedAndExpired},
	{"KeepUntil/ends an entry", checkKeepUntil},
}

func checkCreateKeepsEntry(h *harness) {
	for _, adjust := range []func(e *watchword.Entry){
		func(*watchword.Entry) {},
		withoutDigests,
		func(e *watchword.Entry) { e.Sealed = nil },
		func(e *watchword.Entry) { e.Sealed = []byte("\x00\r\n\xff") },
		func(e *watchword.Entry) { e.Sealed = randomBytes(64 << 10) },
		func(e *watchword.Entry) { e.Digests = [][]byte{digest("a"), {1}, digest("b"), randomBytes(64)} },
	} {
		want := h.mustCreate(adjust)
		want.Version = 1
		h.wantContent(h.mustGet(want.ID), want)
	}
}

func checkCreateStartsPending(h *harness) {
	e := h.mustCreate(func(e *watchword.Entry) {
		e.State, e.Used, e.Version, e.Mark, e.LastTry = watchword.StateApproved, 3, 7, mark("planted"), h.now()
	})
	got := h.mustGet(e.ID)
	h.wantCounters(got, watchword.StatePending, 5, 0)
	if got.Version != 1 || len(got.Mark) != 0 || !got.LastTry.IsZero() {
		h.Errorf("a new entry has version %d, a mark of %d bytes and a last try at %s", got.Version, len(got.Mark), got.LastTry)
	}
}

func checkCreateRefusesSecondID(h *harness) {
	e := h.mustCreate()
	second := h.entry()
	second.ID = e.ID
	if err := h.node().Create(h.ctx, second); !errors.Is(err, watchword.ErrExists) {
		h.Errorf("a second entry of one id: got %v, want ErrExists", err)
	}
	e.Version = 1
	h.wantContent(h.mustGet(e.ID), e)
	h.mustClose(e.ID, watchword.Closing{State: watchword.StateCanceled}, nil)
	if err := h.node().Create(h.ctx, second); !errors.Is(err, watchword.ErrExists) {
		h.Errorf("an entry in place of a closed one: got %v, want ErrExists", err)
	}
}

func checkCreateCopies(h *harness) {
	e := h.mustCreate()
	want := e
	want.Version, want.Sealed, want.Digests = 1, append([]byte(nil), e.Sealed...), [][]byte{digest("right"), digest("link")}
	clear(e.Sealed)
	clear(e.Digests[0])
	e.Digests[1] = digest("planted")
	h.wantContent(h.mustGet(want.ID), want)

	guess := approving("right")
	if _, err := h.node().Attempt(h.ctx, want.ID, []watchword.Guess{guess}, watchword.Budget{}); err != nil {
		h.Fatalf("Attempt: %v", err)
	}
	want.Mark = mark("right")
	clear(guess.Mark)
	h.wantContent(h.mustGet(want.ID), want)
}

func checkGetCopies(h *harness) {
	want := h.mustCreate()
	want.Version = 1
	for range h.nodes {
		got := h.mustGet(want.ID)
		clear(got.Sealed)
		clear(got.Digests[0])
		got.Digests[1] = digest("planted")
	}
	h.wantContent(h.mustGet(want.ID), want)
	won := h.mustAttempt(want.ID, "right", watchword.Budget{}, nil)
	want.Mark = mark("right")
	h.wantContent(won, want)
	clear(won.Sealed)
	clear(won.Mark)
	h.wantContent(h.mustGet(want.ID), want)
}

func checkGetUnknownID(h *harness) {
	e := h.mustCreate()
	for _, id := range []string{h.group + "." + randomText(16), randomText(8) + "." + randomText(16), e.ID + "x", e.ID[1:], h.group + "."} {
		if _, err := h.node().Get(h.ctx, id); !errors.Is(err, watchword.ErrNotFound) {
			h.Errorf("Get(%q): got %v, want ErrNotFound", id, err)
		}
		h.mustAttempt(id, "right", watchword.Budget{}, watchword.ErrNotFound)
		h.mustClose(id, watchword.Closing{State: watchword.StateCanceled}, watchword.ErrNotFound)
		if err := h.node().Update(h.ctx, watchword.Entry{ID: id, Version: 1}); !errors.Is(err, watchword.ErrNotFound) {
			h.Errorf("Update(%q): got %v, want ErrNotFound", id, err)
		}
	}
}

func checkGetClosedAndExpired(h *harness) {
	expired := h.mustCreate(func(e *watchword.Entry) { e.ExpiresAt = h.now().Add(-time.Second) })
	expired.Version = 1
	h.wantContent(h.mustGet(expired.ID), expired)

	canceled := h.mustCreate()
	h.mustClose(canceled.ID, watchword.Closing{State: watchword.StateCanceled, Mark: mark("canceled")}, nil)
	canceled.Version, canceled.Mark = 1, mark("canceled")
	got := h.mustGet(canceled.ID)
	h.wantContent(got, canceled)
	h.wantCounters(got, watchword.StateCanceled, 5, 0)
}

func checkKeepUntil(h *harness) {
	const short = 100 * time.Millisecond
	e := h.mustCreate(func(e *watchword.Entry) { e.KeepUntil = h.now().Add(short) })
	closed := h.mustCreate(func(e *watchword.Entry) { e.KeepUntil = h.now().Add(short) })
	// With a real clock its retention may have ended already, if the machine is slow.
	if err := h.node().Close(h.ctx, closed.ID, watchword.Closing{State: watchword.StateCanceled}); err != nil && h.clock != nil {
		h.Fatalf("Close: %v", err)
	}
	h.advance(short)
	for _, id := range []string{e.ID, closed.ID} {
		if _, err := h.node().Get(h.ctx, id); !errors.Is(err, watchword.ErrNotFound) {
			h.Errorf("Get after KeepUntil: got %v, want ErrNotFound", err)
		}
		h.mustAttempt(id, "right", watchword.Budget{}, watchword.ErrNotFound)
		h.mustClose(id, watchword.Closing{State: watchword.StateCanceled}, watchword.ErrNotFound)
	}
	again := h.entry()
	again.ID = e.ID
	if err := h.node().Create(h.ctx, again); err != nil {
		h.Errorf("Create in place of an expired entry: %v", err)
	}
	again.Version = 1
	h.wantContent(h.mustGet(again.ID), again)
}
