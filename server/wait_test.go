package server_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// maxWaitTime is less than the wait of 25 s that the tests ask for, and more than any other step takes.
const maxWaitTime = 20 * time.Second

// requireEnds fails if f takes longer than maxWaitTime.
func requireEnds(t *testing.T, what string, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > maxWaitTime {
		t.Errorf("%s: waited for %s", what, took)
	}
}

func TestWaitReturnsWhenChallengeEnds(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	requireEnds(t, "an approved challenge", func() {
		id := ts.startChallenge()
		code := ts.sentCode("shop", id)
		answered := make(chan *apiResponse)
		go func() { answered <- ts.get("/v1/challenges/" + id + "?wait=25") }()
		ts.checkAnswer(id, code).want(t, http.StatusOK, "")
		if r := <-answered; r.stringAt("status") != "approved" {
			t.Errorf("after the answer: %s", r.text)
		}
	})
	requireEnds(t, "a canceled challenge", func() {
		id := ts.startChallenge()
		ts.post("/v1/challenges/"+id+"/cancel", "")
		if r := ts.get("/v1/challenges/" + id + "?wait=25"); r.stringAt("status") != "canceled" {
			t.Errorf("canceled: %s", r.text)
		}
	})
	requireEnds(t, "an unknown challenge", func() {
		ts.get("/v1/challenges/ch_x?wait=25").want(t, http.StatusNotFound, "unknown_challenge")
	})
	requireEnds(t, "a caller that disconnects", func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := newRequest(http.MethodGet, "/v1/challenges/"+ts.startChallenge()+"?wait=25", "").WithContext(ctx)
		if got := ts.send(r); got.stringAt("status") != "pending" {
			t.Errorf("%s", got.text)
		}
	})
}

// A caller beyond the maximum gets a response at once. Callers of other apps can still wait.
func TestWaitersAreBounded(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	release := ts.server.FillWaiters("shop")
	requireEnds(t, "one too many", func() {
		if r := ts.get("/v1/challenges/"+ts.startChallenge()+"?wait=25").want(t, http.StatusOK, ""); r.stringAt("status") != "pending" {
			t.Errorf("%s", r.text)
		}
	})
	if ts.server.WaitersFull("bank") {
		t.Error("callers of one app count for another app")
	}
	release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ts.send(newRequest(http.MethodGet, "/v1/challenges/"+ts.startChallenge()+"?wait=25", "").WithContext(ctx))
	if n := ts.server.WaiterCount("shop"); n != 0 {
		t.Errorf("%d callers are still counted", n)
	}
}

func TestShutdownEndsWaits(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	id := ts.startChallenge()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	srv := server.NewHTTPServer("", ts.server, 10)
	go func() { _ = srv.Serve(listener) }()
	answered := make(chan string, 1)
	go func() {
		r, _ := http.NewRequest(http.MethodGet, "http://"+listener.Addr().String()+"/v1/challenges/"+id+"?wait=25", nil)
		r.Header.Set("Authorization", "Bearer "+shopKey)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		answered <- response.Status
	}()
	for ts.server.WaiterCount("shop") == 0 {
		time.Sleep(time.Millisecond)
	}
	requireEnds(t, "a shutdown", func() {
		must(t, srv.Shutdown(t.Context()))
		if got := <-answered; got != "200 OK" {
			t.Errorf("the caller who waited got %s", got)
		}
	})
}

func TestNewHTTPServerSetsLimits(t *testing.T) {
	srv := server.NewHTTPServer("127.0.0.1:1", http.NotFoundHandler(), 10)
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 25*time.Second || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 {
		t.Errorf("not bounded: %+v", srv)
	}
}

func TestCheckCompletesAfterClientDisconnects(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	id := ts.startChallenge()
	ctx, disconnect := context.WithCancel(t.Context())
	store.onAttempt = func(ctx context.Context) {
		disconnect()
		if err := ctx.Err(); err != nil {
			t.Errorf("the context of the store has ended: %v", err)
		}
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the context of the store has no deadline")
		}
	}
	r := newRequest(http.MethodPost, "/v1/challenges/"+id+"/check", `{"purpose":"sign_in","subject":"user_42","answer":"`+ts.sentCode("shop", id)+`"}`)
	ts.send(r.WithContext(ctx)).want(t, http.StatusOK, "")
	if strings.Contains(ts.log.String(), `"level":"ERROR"`) {
		t.Error("an error in the log")
	}
}
