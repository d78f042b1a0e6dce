package server_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

const idempotencyKey = "Idempotency-Key"

func TestIdempotencyKeyRepeatsFirstResponse(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	first := ts.post("/v1/challenges", signInRequest, idempotencyKey, "order-17").want(t, http.StatusCreated, "")
	id := first.stringAt("id")
	ts.post("/v1/challenges/"+id+"/cancel", "").want(t, http.StatusOK, "")
	again := ts.post("/v1/challenges", signInRequest, idempotencyKey, "order-17")
	if again.status != first.status || again.text != first.text || again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		t.Errorf("another response: %d %s", again.status, again.text)
	}
	if n := ts.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
	ts.post("/v1/challenges", signInRequest+" ", idempotencyKey, "order-17").want(t, http.StatusUnprocessableEntity, "idempotency_mismatch")
	if ts.post("/v1/challenges", signInRequest, idempotencyKey, "order-18").stringAt("id") == id {
		t.Error("another key returned the same challenge")
	}
	if ts.post("/v1/challenges", signInRequest, idempotencyKey, "order-17", "Authorization", "Bearer "+bankKey).stringAt("id") == id {
		t.Error("another app got the same challenge")
	}
	if ts.post("/v1/challenges", signInRequest, idempotencyKey, "order-17", "Authorization", "Bearer "+shopKey2).stringAt("id") != id {
		t.Error("the other API key of the app got another challenge")
	}
}

// TestIdempotencyKeyWorksOnEveryPost uses one key on all paths, because a key belongs to its path.
func TestIdempotencyKeyWorksOnEveryPost(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	started := ts.post("/v1/challenges", signInRequest, idempotencyKey, "k")
	one := "/v1/challenges/" + started.stringAt("id")
	code := ts.sentCode("shop", started.stringAt("id"))
	twice := func(target, body string, status int) *apiResponse {
		t.Helper()
		first := ts.post(target, body, idempotencyKey, "k")
		again := ts.post(target, body, idempotencyKey, "k")
		if first.status != status || again.status != status || first.text != again.text {
			t.Errorf("%s: %d %s, then %d %s", target, first.status, first.text, again.status, again.text)
		}
		return first
	}
	answer := func(code string) string { return `{"purpose":"sign_in","subject":"user_42","answer":"` + code + `"}` }
	ts.clock.advance(30 * time.Second)
	twice(one+"/resend", `{}`, http.StatusOK)
	ts.post(one+"/check", answer(wrongCode(code)), idempotencyKey, "w").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	ts.post(one+"/check", answer(wrongCode(code)), idempotencyKey, "w").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if left := ts.get(one).valueAt("attempts_remaining"); left != 4.0 {
		t.Errorf("%v tries are left: the same request was charged twice", left)
	}
	approved := twice(one+"/check", answer(code), http.StatusOK)
	twice("/v1/receipts/redeem", `{"purpose":"sign_in","receipt":"`+approved.stringAt("receipt")+`"}`, http.StatusOK)
	twice(one+"/redeem", `{"handle":"hd_x","purpose":"sign_in","subject":"user_42"}`, http.StatusNotFound)
	twice(one+"/cancel", ``, http.StatusConflict)
	twice("/v1/challenges", `{"strategy":"otp"}`, http.StatusUnprocessableEntity) // the key was used for another body
}

// Responses with 5xx and 429 are not stored, all others are.
func TestIdempotencyKeyDoesNotStoreTemporaryErrors(t *testing.T) {
	limits := &settableLimiter{}
	ts := newTestServer(t, serverOptions{starts: limits})
	for n, refusal := range []error{
		&watchword.LimitError{Rule: "address-10m", RetryAfter: 90 * time.Second},
		context.DeadlineExceeded,
	} {
		key := fmt.Sprint("k", n)
		limits.set(refusal)
		if r := ts.post("/v1/challenges", signInRequest, idempotencyKey, key); r.status != 429 && r.status != 503 {
			t.Fatal(r.text)
		}
		limits.set(nil)
		ts.post("/v1/challenges", signInRequest, idempotencyKey, key).want(t, http.StatusCreated, "")
	}
	bad := `{"strategy":"palm","purpose":"sign_in"}`
	first := ts.post("/v1/challenges", bad, idempotencyKey, "bad").want(t, http.StatusBadRequest, "invalid_request")
	if again := ts.post("/v1/challenges", bad, idempotencyKey, "bad"); again.text != first.text {
		t.Error(again.text)
	}
	ts.post("/v1/challenges", signInRequest, idempotencyKey, "bad").want(t, http.StatusUnprocessableEntity, "idempotency_mismatch")
}

// One of the concurrent requests starts a challenge; the others get its response or idempotency_in_flight.
func TestConcurrentRequestsWithOneKeyStartOnce(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	var all sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for range 40 {
		all.Go(func() {
			r := ts.post("/v1/challenges", signInRequest, idempotencyKey, "race")
			mu.Lock()
			defer mu.Unlock()
			switch r.status {
			case http.StatusCreated:
				ids[r.stringAt("id")] = true
			case http.StatusConflict:
				if r.stringAt("code") != "idempotency_in_flight" {
					t.Error(r.text)
				}
			default:
				t.Error(r.status, r.text)
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || ts.outbox.count() != 1 {
		t.Errorf("%d challenges, %d messages", len(ids), ts.outbox.count())
	}
}

// The server stores a response later if the store fails at first, so the key is in flight only until the store recovers.
func TestResponseIsStoredAfterStoreRecovers(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	store.failUpdate.Store(true)
	first := ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusCreated, "")
	ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusConflict, "idempotency_in_flight")
	store.failUpdate.Store(false)
	if again := ts.retryUntil(signInRequest, "k", http.StatusCreated); again.text != first.text || ts.outbox.count() != 1 {
		t.Errorf("%d messages; first %s, then %s", ts.outbox.count(), first.text, again.text)
	}
}

// retryUntil repeats a start until the response has this status.
func (ts *testServer) retryUntil(body, key string, status int) *apiResponse {
	ts.t.Helper()
	for end := time.Now().Add(stepTimeout); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if r := ts.post("/v1/challenges", body, idempotencyKey, key); r.status == status {
			return r
		}
	}
	ts.t.Fatalf("no response with status %d", status)
	return nil
}

// A process that stops leaves its request in flight. After the lease a repeated request gets the same challenge, and the
// message is sent again, because the process may have stopped before sending it.
func TestRequestIsTakenOverAfterLeaseExpires(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	r, err := ts.engines["shop"].Reserve(t.Context(), "POST /v1/challenges", "k", []byte(signInRequest))
	must(t, err)
	first, err := ts.engines["shop"].Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Subject: "user_42", Channel: "sms",
		To: "+14155550123", Seed: r.Seed})
	must(t, err)
	ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusConflict, "idempotency_in_flight")
	ts.clock.advance(12 * time.Second)
	again := ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusCreated, "")
	if again.stringAt("id") != first.ID || again.stringAt("handle") != first.Handle.Reveal() || ts.outbox.count() != 2 {
		t.Errorf("%d messages, %s", ts.outbox.count(), again.text)
	}
}

// The reply to creating the key's record is lost, so the request fails with an unknown outcome.
func TestRequestIsNotInFlightAfterUnavailable(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	store.loseCreateReply.Store(true)
	if r := ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusServiceUnavailable, "unavailable"); r.stringAt("outcome") != "unknown" {
		t.Error(r.text)
	}
	store.loseCreateReply.Store(false)
	ts.retryUntil(signInRequest, "k", http.StatusCreated)
	if n := ts.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestExpiredIdempotencyKeyStartsNewChallenge(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	first := ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusCreated, "")
	message := ts.composeMessage("shop", first.stringAt("id")).ID
	ts.checkAnswer(first.stringAt("id"), ts.sentCode("shop", first.stringAt("id"))).want(t, http.StatusOK, "")
	ts.clock.advance(26 * time.Minute)
	again := ts.post("/v1/challenges", signInRequest, idempotencyKey, "k").want(t, http.StatusCreated, "")
	if again.stringAt("status") != "pending" || again.stringAt("id") == first.stringAt("id") || ts.composeMessage("shop", again.stringAt("id")).ID == message {
		t.Errorf("first %s, then %s", first.text, again.text)
	}
	ts.checkAnswer(again.stringAt("id"), ts.sentCode("shop", again.stringAt("id"))).want(t, http.StatusOK, "")
}

func (ts *testServer) composeMessage(app, id string) watchword.Message {
	ts.t.Helper()
	m, err := ts.engines[app].ComposeMessage(ts.t.Context(), watchword.Outgoing{ChallengeID: id, Send: 1})
	must(ts.t, err)
	return m
}

func TestRepeatedEnrolmentReturnsSecretOnlyWhilePending(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	const body = `{"strategy":"hardware","purpose":"enrol","subject":"user_42"}`
	first := ts.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusCreated, "")
	if again := ts.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusCreated, ""); again.text != first.text {
		t.Errorf("while it is pending: %s", again.text)
	}
	ts.post("/v1/challenges/"+first.stringAt("id")+"/check", `{"purpose":"enrol","subject":"user_42","answer":"right"}`).want(t, http.StatusOK, "")
	ts.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusConflict, "challenge_approved")

	const other = `{"strategy":"hardware","purpose":"enrol","subject":"user_43"}`
	ts.post("/v1/challenges", other, idempotencyKey, "l").want(t, http.StatusCreated, "")
	ts.clock.advance(time.Second)
	ts.sendWithProof(http.MethodDelete, "/v1/subjects/user_43", "", "").want(t, http.StatusNoContent, "")
	ts.post("/v1/challenges", other, idempotencyKey, "l").want(t, http.StatusGone, "challenge_canceled")
}

// The reply of the store to the first check is lost, so its outcome is unknown.
func TestRepeatedCheckWithSameKeyReturnsReceipt(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	id := ts.startChallenge()
	body := `{"purpose":"sign_in","subject":"user_42","answer":"` + ts.sentCode("shop", id) + `"}`
	check := func(key string) *apiResponse {
		return ts.post("/v1/challenges/"+id+"/check", body, idempotencyKey, key)
	}
	store.loseAttemptReply.Store(true)
	if r := check("k").want(t, http.StatusServiceUnavailable, "unavailable"); r.stringAt("outcome") != "unknown" {
		t.Error(r.text)
	}
	store.loseAttemptReply.Store(false)
	check("other").want(t, http.StatusConflict, "challenge_approved")
	ts.post("/v1/challenges/"+id+"/check", body).want(t, http.StatusConflict, "challenge_approved")
	first := check("k").want(t, http.StatusOK, "")
	if again := check("k").want(t, http.StatusOK, ""); first.stringAt("claims", "jti") != id || again.text != first.text {
		t.Errorf("%s, then %s", first.text, again.text)
	}
}

func TestPanicReleasesIdempotencyKey(t *testing.T) {
	fails := &atomic.Bool{}
	fails.Store(true)
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error {
		if fails.Load() {
			panic("strategy failed")
		}
		return nil
	}}}})
	const body = `{"strategy":"failing","purpose":"mfa"}`
	ts.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusInternalServerError, "internal_error")
	fails.Store(false)
	ts.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusCreated, "")
}

func TestRequestWithoutKeyAddsNoStoreCalls(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	id := ts.startChallenge()
	if n := store.calls.Load(); n != 1 {
		t.Errorf("a start makes %d store calls", n)
	}
	code := ts.sentCode("shop", id)
	store.calls.Store(0)
	ts.checkAnswer(id, code)
	if n := store.calls.Load(); n != 1 {
		t.Errorf("a check makes %d store calls", n)
	}
	store.calls.Store(0)
	ts.post("/v1/challenges", signInRequest, idempotencyKey, "k")
	if n := store.calls.Load(); n != 3 {
		t.Errorf("a start with a key makes %d store calls", n)
	}
}

// A settableLimiter returns the error that a test has set.
type settableLimiter struct {
	mu  sync.Mutex
	err error
}

func (s *settableLimiter) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *settableLimiter) Take(context.Context, ...watchword.Bucket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
