package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/server"
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

func TestReadinessFailsWhenOneAppIsNotReady(t *testing.T) {
	store := &faultyStore{}
	ready, failing := newTestServer(t, serverOptions{}), newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{})
	store.failAll.Store(true)
	apps := []server.App{validApps(t, ready)[0], validApps(t, failing)[0]}
	apps[1].Engine, apps[1].Keys = failing.engines["bank"], []server.APIKey{newAPIKey("other", server.ScopeChallenges)}
	apps[1].Signer = apps[0].Signer
	for range 2 {
		s, err := server.New(server.Config{Apps: apps})
		must(t, err)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d, though one app is not ready", w.Code)
		}
		apps[0], apps[1] = apps[1], apps[0]
	}
}
