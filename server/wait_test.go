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

// aLongTime is less than a wait that nobody ends, and more than anything else takes.
const aLongTime = 20 * time.Second

// soon fails if a wait was not ended.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > aLongTime {
		t.Errorf("%s: waited for %s", what, took)
	}
}

func TestWaiting(t *testing.T) {
	b := newBench(t, options{})
	soon(t, "a challenge that is answered", func() {
		id := b.start()
		code := b.code("shop", id)
		answered := make(chan *reply)
		go func() { answered <- b.get("/v1/challenges/" + id + "?wait=25") }()
		b.check(id, code).want(t, http.StatusOK, "")
		if r := <-answered; r.str("status") != "approved" {
			t.Errorf("after the answer: %s", r.text)
		}
	})
	soon(t, "a challenge that is over", func() {
		id := b.start()
		b.post("/v1/challenges/"+id+"/cancel", "")
		if r := b.get("/v1/challenges/" + id + "?wait=25"); r.str("status") != "canceled" {
			t.Errorf("canceled: %s", r.text)
		}
	})
	soon(t, "a challenge that is unknown", func() {
		b.get("/v1/challenges/ch_x?wait=25").want(t, http.StatusNotFound, "unknown_challenge")
	})
	soon(t, "a caller who leaves", func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := request(http.MethodGet, "/v1/challenges/"+b.start()+"?wait=25", "").WithContext(ctx)
		if got := b.do(r); got.str("status") != "pending" {
			t.Errorf("%s", got.text)
		}
	})
}

// TestWaitersAreBounded: one too many is answered at once, and another app's callers can still wait.
func TestWaitersAreBounded(t *testing.T) {
	b := newBench(t, options{})
	leave := b.server.CrowdOut("shop")
	soon(t, "one too many", func() {
		if r := b.get("/v1/challenges/"+b.start()+"?wait=25").want(t, http.StatusOK, ""); r.str("status") != "pending" {
			t.Errorf("%s", r.text)
		}
	})
	if b.server.Crowded("bank") {
		t.Error("one app's waiters take another's places")
	}
	leave()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.do(request(http.MethodGet, "/v1/challenges/"+b.start()+"?wait=25", "").WithContext(ctx))
	if n := b.server.Waiting("shop"); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

// TestShutdownEndsWaits over a real connection.
func TestShutdownEndsWaits(t *testing.T) {
	b := newBench(t, options{})
	id := b.start()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	srv := server.HTTPServer("", b.server)
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
	for b.server.Waiting("shop") == 0 {
		time.Sleep(time.Millisecond)
	}
	soon(t, "a shutdown", func() {
		must(t, srv.Shutdown(t.Context()))
		if got := <-answered; got != "200 OK" {
			t.Errorf("the caller who waited got %s", got)
		}
	})
}

func TestHTTPServerIsBounded(t *testing.T) {
	srv := server.HTTPServer("127.0.0.1:1", http.NotFoundHandler())
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 25*time.Second || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 {
		t.Errorf("not bounded: %+v", srv)
	}
}

// TestWhoHangsUpDoesNotStopACheck: what was begun is brought to its end.
func TestWhoHangsUpDoesNotStopACheck(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	id := b.start()
	ctx, hangUp := context.WithCancel(t.Context())
	store.during = func(ctx context.Context) {
		hangUp()
		if err := ctx.Err(); err != nil {
			t.Errorf("the store is told that nobody waits: %v", err)
		}
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the store may take for ever")
		}
	}
	r := request(http.MethodPost, "/v1/challenges/"+id+"/check", `{"purpose":"sign_in","subject":"user_42","answer":"`+b.code("shop", id)+`"}`)
	b.do(r.WithContext(ctx)).want(t, http.StatusOK, "")
	if strings.Contains(b.log.String(), `"level":"ERROR"`) {
		t.Error("an error in the log")
	}
}
