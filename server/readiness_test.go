package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/store/memory"
)

// The response names the parts that do not work. The cause is in the log only, once for each change.
func TestReadinessNamesFailedPartsAndLogsChangesOnce(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	count := func(text string) int { return strings.Count(ts.log.String(), text) }
	for round := range 2 {
		ts.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
		store.failAll.Store(true)
		for range 50 {
			r := ts.get("/readyz", "Authorization", "").want(t, http.StatusServiceUnavailable, "unavailable")
			if r.stringAt("detail") != "challenges: cannot be used" {
				t.Fatalf("answered %s", r.text)
			}
		}
		if n := count("server is not ready"); n != round+1 {
			t.Errorf("'server is not ready' is logged %d times", n)
		}
		store.failAll.Store(false)
		for range 50 {
			ts.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
		}
		if n := count("server is ready again"); n != round+1 {
			t.Errorf("'server is ready again' is logged %d times", n)
		}
	}
	if n := count(`"level":"ERROR"`); n != 2 || count(errConnectionRefused.Error()) < n {
		t.Errorf("%d errors are logged: %s", n, ts.log)
	}
}

// A full memory store rejects new challenges, so the server is not ready.
func TestReadinessFailsWhenStoreIsFull(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	full := memory.New(memory.Config{Clock: ts.clock.Now, MaxEntries: 1})
	store.Store, store.onPing = full, full.Ping
	ts.startChallenge()
	r := ts.get("/readyz", "Authorization", "").want(t, http.StatusServiceUnavailable, "unavailable")
	if r.stringAt("detail") != "challenges: the store is full" {
		t.Errorf("answered %s", r.text)
	}
}
