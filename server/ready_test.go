package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/store/memory"
)

// Readiness says which part does not work to everybody, and the log why, when that begins and when it ends.
func TestReadinessNamesPartsAndIsLoggedOnce(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	count := func(text string) int { return strings.Count(b.log.String(), text) }
	for round := range 2 {
		b.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
		store.down.Store(true)
		for range 50 {
			r := b.get("/readyz", "Authorization", "").want(t, http.StatusServiceUnavailable, "unavailable")
			if r.str("detail") != "challenges: cannot be used" {
				t.Fatalf("answered %s", r.text)
			}
		}
		if n := count("server is not ready"); n != round+1 {
			t.Errorf("that it is not ready is logged %d times", n)
		}
		store.down.Store(false)
		for range 50 {
			b.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
		}
		if n := count("server is ready again"); n != round+1 {
			t.Errorf("that it is ready again is logged %d times", n)
		}
	}
	if n := count(`"level":"ERROR"`); n != 2 || count(errDown.Error()) < n {
		t.Errorf("%d errors are logged: %s", n, b.log)
	}
}

// A memory store that is full creates nothing, so the server is not ready.
func TestReadinessIsRedWhereTheStoreIsFull(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	full := memory.New(memory.Config{Clock: b.clock.Now, MaxEntries: 1})
	store.Store, store.ping = full, full.Ping
	b.start()
	r := b.get("/readyz", "Authorization", "").want(t, http.StatusServiceUnavailable, "unavailable")
	if r.str("detail") != "challenges: the store is full" {
		t.Errorf("answered %s", r.text)
	}
}
