package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

func TestUnavailableStoreReturns503(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	id := ts.startChallenge()
	code := ts.sentCode("shop", id)
	ts.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
	store.failAll.Store(true)
	for _, r := range []*apiResponse{ts.get("/readyz", "Authorization", ""), ts.post("/v1/challenges", signInRequest), ts.checkAnswer(id, code), ts.get("/v1/challenges/" + id),
		ts.get("/v1/challenges/" + id + "?wait=25"), ts.post("/v1/challenges/"+id+"/resend", ""), ts.post("/v1/challenges/"+id+"/cancel", ""),
		ts.post("/v1/challenges", signInRequest, idempotencyKey, "k")} {
		r.want(t, http.StatusServiceUnavailable, "unavailable")
		if strings.Contains(r.text, "10.0.0.7") {
			t.Errorf("the response contains the address of the store: %s", r.text)
		}
	}
	ts.get("/healthz", "Authorization", "").want(t, http.StatusOK, "")
	if n := ts.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
	if !strings.Contains(ts.log.String(), errConnectionRefused.Error()) {
		t.Error("the log does not contain the cause")
	}
	store.failAll.Store(false)
	ts.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
	ts.checkAnswer(id, code).want(t, http.StatusOK, "")
}

func TestUnknownErrorReturnsInternalErrorWithoutCause(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return errConnectionRefused }}}})
	r := ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa"}`).want(t, http.StatusInternalServerError, "internal_error")
	if strings.Contains(r.text, "dial") || !strings.Contains(ts.log.String(), r.header.Get("X-Request-Id")) {
		t.Errorf("answer %s, log %s", r.text, ts.log.String())
	}
}

func TestExceededDeadlineReturnsUnavailable(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return fmt.Errorf("asking: %w", context.DeadlineExceeded) }}}})
	ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa"}`).want(t, http.StatusServiceUnavailable, "unavailable")
}

func TestRateLimitReturnsLimitAndRetryAfter(t *testing.T) {
	limits := &settableLimiter{}
	ts := newTestServer(t, serverOptions{starts: limits})
	limits.set(&watchword.LimitError{Rule: "address-10m", RetryAfter: 90*time.Second + 1})
	r := ts.post("/v1/challenges", signInRequest).want(t, http.StatusTooManyRequests, "rate_limited")
	if r.stringAt("limit") != "address-10m" || r.header.Get("Retry-After") != "91" {
		t.Errorf("%s, Retry-After %q", r.text, r.header.Get("Retry-After"))
	}
}
