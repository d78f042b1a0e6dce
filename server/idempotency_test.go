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

func TestTheFirstAnswerAgain(t *testing.T) {
	b := newBench(t, options{})
	first := b.post("/v1/challenges", signIn, idempotencyKey, "order-17").want(t, http.StatusCreated, "")
	id := first.str("id")
	b.post("/v1/challenges/"+id+"/cancel", "").want(t, http.StatusOK, "")
	again := b.post("/v1/challenges", signIn, idempotencyKey, "order-17")
	if again.status != first.status || again.text != first.text || again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		t.Errorf("another answer: %d %s", again.status, again.text)
	}
	if n := b.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
	b.post("/v1/challenges", signIn+" ", idempotencyKey, "order-17").want(t, http.StatusUnprocessableEntity, "idempotency_mismatch")
	if b.post("/v1/challenges", signIn, idempotencyKey, "order-18").str("id") == id {
		t.Error("another key, the same challenge")
	}
	if b.post("/v1/challenges", signIn, idempotencyKey, "order-17", "Authorization", "Bearer "+bankKey).str("id") == id {
		t.Error("another app, the same challenge")
	}
	if b.post("/v1/challenges", signIn, idempotencyKey, "order-17", "Authorization", "Bearer "+shopKey2).str("id") != id {
		t.Error("the app's other key, another challenge")
	}
}

// TestEveryPostIsRemembered uses one key on all paths: each has its own.
func TestEveryPostIsRemembered(t *testing.T) {
	b := newBench(t, options{})
	started := b.post("/v1/challenges", signIn, idempotencyKey, "k")
	one := "/v1/challenges/" + started.str("id")
	code := b.code("shop", started.str("id"))
	twice := func(target, body string, status int) *reply {
		t.Helper()
		first := b.post(target, body, idempotencyKey, "k")
		again := b.post(target, body, idempotencyKey, "k")
		if first.status != status || again.status != status || first.text != again.text {
			t.Errorf("%s: %d %s, then %d %s", target, first.status, first.text, again.status, again.text)
		}
		return first
	}
	answer := func(code string) string { return `{"purpose":"sign_in","subject":"user_42","answer":"` + code + `"}` }
	b.clock.move(30 * time.Second)
	twice(one+"/resend", `{}`, http.StatusOK)
	b.post(one+"/check", answer(wrong(code)), idempotencyKey, "w").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	b.post(one+"/check", answer(wrong(code)), idempotencyKey, "w").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if left := b.get(one).at("attempts_remaining"); left != 4.0 {
		t.Errorf("%v tries are left: the same request was charged twice", left)
	}
	approved := twice(one+"/check", answer(code), http.StatusOK)
	twice("/v1/receipts/redeem", `{"purpose":"sign_in","receipt":"`+approved.str("receipt")+`"}`, http.StatusOK)
	twice(one+"/redeem", `{"handle":"hd_x","purpose":"sign_in","subject":"user_42"}`, http.StatusNotFound)
	twice(one+"/cancel", ``, http.StatusConflict)
	twice("/v1/challenges", `{"strategy":"otp"}`, http.StatusUnprocessableEntity) // the key was used for another body
}

// TestRefusalsThatPassAreForgotten: 5xx and 429 are not remembered, everything else is.
func TestRefusalsThatPassAreForgotten(t *testing.T) {
	limits := &switchable{}
	b := newBench(t, options{starts: limits})
	for n, refusal := range []error{
		&watchword.LimitError{Rule: "address-10m", RetryAfter: 90 * time.Second},
		context.DeadlineExceeded,
	} {
		key := fmt.Sprint("k", n)
		limits.set(refusal)
		if r := b.post("/v1/challenges", signIn, idempotencyKey, key); r.status != 429 && r.status != 503 {
			t.Fatal(r.text)
		}
		limits.set(nil)
		b.post("/v1/challenges", signIn, idempotencyKey, key).want(t, http.StatusCreated, "")
	}
	bad := `{"strategy":"palm","purpose":"sign_in"}`
	first := b.post("/v1/challenges", bad, idempotencyKey, "bad").want(t, http.StatusBadRequest, "invalid_request")
	if again := b.post("/v1/challenges", bad, idempotencyKey, "bad"); again.text != first.text {
		t.Error(again.text)
	}
	b.post("/v1/challenges", signIn, idempotencyKey, "bad").want(t, http.StatusUnprocessableEntity, "idempotency_mismatch")
}

// TestOneOfManyIsAnswered races the same request: one is answered, the others get its answer or are told to wait.
func TestOneOfManyIsAnswered(t *testing.T) {
	b := newBench(t, options{})
	var all sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for range 40 {
		all.Go(func() {
			r := b.post("/v1/challenges", signIn, idempotencyKey, "race")
			mu.Lock()
			defer mu.Unlock()
			switch r.status {
			case http.StatusCreated:
				ids[r.str("id")] = true
			case http.StatusConflict:
				if r.str("code") != "idempotency_in_flight" {
					t.Error(r.text)
				}
			default:
				t.Error(r.status, r.text)
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || b.outbox.count() != 1 {
		t.Errorf("%d challenges, %d messages", len(ids), b.outbox.count())
	}
}

// TestAnswerThatCouldNotBeKeptIsKeptLater: the key is not taken for one in flight until its lease is over.
func TestAnswerThatCouldNotBeKeptIsKeptLater(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	store.update.Store(true)
	first := b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusCreated, "")
	b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusConflict, "idempotency_in_flight")
	store.update.Store(false)
	if again := b.until(signIn, "k", http.StatusCreated); again.text != first.text || b.outbox.count() != 1 {
		t.Errorf("%d messages; first %s, then %s", b.outbox.count(), first.text, again.text)
	}
}

// until repeats a start until it is answered by this status.
func (b *bench) until(body, key string, status int) *reply {
	b.t.Helper()
	for range 500 {
		if r := b.post("/v1/challenges", body, idempotencyKey, key); r.status == status {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("it is not answered by %d", status)
	return nil
}

// TestRequestOfAProcessThatDiedIsTakenOver after its lease: the challenge is the first one's, and its message, which may
// have died with the process, is handed over.
func TestRequestOfAProcessThatDiedIsTakenOver(t *testing.T) {
	b := newBench(t, options{})
	r, err := b.engines["shop"].Reserve(t.Context(), "POST /v1/challenges", "k", []byte(signIn))
	must(t, err)
	first, err := b.engines["shop"].Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Subject: "user_42", Channel: "sms",
		To: "+14155550123", Seed: r.Seed})
	must(t, err)
	b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusConflict, "idempotency_in_flight")
	b.clock.move(12 * time.Second)
	again := b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusCreated, "")
	if again.str("id") != first.ID || again.str("handle") != first.Handle.Reveal() || b.outbox.count() != 2 {
		t.Errorf("%d messages, %s", b.outbox.count(), again.text)
	}
}

// TestRequestThatWas503IsNotInFlight: neither when it failed itself, nor when its key's record was made and nobody heard.
func TestRequestThatWas503IsNotInFlight(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	store.deaf.Store(true)
	if r := b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusServiceUnavailable, "unavailable"); r.str("outcome") != "unknown" {
		t.Error(r.text)
	}
	store.deaf.Store(false)
	b.until(signIn, "k", http.StatusCreated)
	if n := b.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestKeyThatIsForgottenMakesSomethingNew: what its first request made ended long ago, and is not answered as new.
func TestKeyThatIsForgottenMakesSomethingNew(t *testing.T) {
	b := newBench(t, options{})
	first := b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusCreated, "")
	message := b.compose("shop", first.str("id")).ID
	b.check(first.str("id"), b.code("shop", first.str("id"))).want(t, http.StatusOK, "")
	b.clock.move(26 * time.Minute)
	again := b.post("/v1/challenges", signIn, idempotencyKey, "k").want(t, http.StatusCreated, "")
	if again.str("status") != "pending" || again.str("id") == first.str("id") || b.compose("shop", again.str("id")).ID == message {
		t.Errorf("first %s, then %s", first.text, again.text)
	}
	b.check(again.str("id"), b.code("shop", again.str("id"))).want(t, http.StatusOK, "")
}

func (b *bench) compose(app, id string) watchword.Message {
	b.t.Helper()
	m, err := b.engines[app].ComposeMessage(b.t.Context(), watchword.Outgoing{ChallengeID: id, Send: 1})
	must(b.t, err)
	return m
}

// TestRepeatedEnrolmentShowsItsSecretOnlyWhileItIsPending
func TestRepeatedEnrolmentShowsItsSecretOnlyWhileItIsPending(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	const body = `{"strategy":"keeper","purpose":"enrol","subject":"user_42"}`
	first := b.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusCreated, "")
	if again := b.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusCreated, ""); again.text != first.text {
		t.Errorf("while it is pending: %s", again.text)
	}
	b.post("/v1/challenges/"+first.str("id")+"/check", `{"purpose":"enrol","subject":"user_42","answer":"right"}`).want(t, http.StatusOK, "")
	b.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusConflict, "challenge_approved")

	const other = `{"strategy":"keeper","purpose":"enrol","subject":"user_43"}`
	b.post("/v1/challenges", other, idempotencyKey, "l").want(t, http.StatusCreated, "")
	b.clock.move(time.Second)
	b.change(http.MethodDelete, "/v1/subjects/user_43", "", "").want(t, http.StatusNoContent, "")
	b.post("/v1/challenges", other, idempotencyKey, "l").want(t, http.StatusGone, "challenge_canceled")
}

// TestRepeatedCheckWithItsKeyGetsItsReceipt after its reply was lost, once redeemed no more.
func TestRepeatedCheckWithItsKeyGetsItsReceipt(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	id := b.start()
	body := `{"purpose":"sign_in","subject":"user_42","answer":"` + b.code("shop", id) + `"}`
	check := func(key string) *reply { return b.post("/v1/challenges/"+id+"/check", body, idempotencyKey, key) }
	store.lose.Store(true)
	if r := check("k").want(t, http.StatusServiceUnavailable, "unavailable"); r.str("outcome") != "unknown" {
		t.Error(r.text)
	}
	store.lose.Store(false)
	check("other").want(t, http.StatusConflict, "challenge_approved")
	b.post("/v1/challenges/"+id+"/check", body).want(t, http.StatusConflict, "challenge_approved")
	first := check("k").want(t, http.StatusOK, "")
	if again := check("k").want(t, http.StatusOK, ""); first.str("claims", "jti") != id || again.text != first.text {
		t.Errorf("%s, then %s", first.text, again.text)
	}
}

// TestAPanicGivesTheKeyBack
func TestAPanicGivesTheKeyBack(t *testing.T) {
	fails := &atomic.Bool{}
	fails.Store(true)
	b := newBench(t, options{strategies: []watchword.Strategy{faulty{func() error {
		if fails.Load() {
			panic("out of order")
		}
		return nil
	}}}})
	const body = `{"strategy":"faulty","purpose":"mfa"}`
	b.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusInternalServerError, "internal_error")
	fails.Store(false)
	b.post("/v1/challenges", body, idempotencyKey, "k").want(t, http.StatusCreated, "")
}

// TestNoKeyCostsNothing counts what the store is asked.
func TestNoKeyCostsNothing(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	id := b.start()
	if n := store.calls.Load(); n != 1 {
		t.Errorf("a start asks the store %d times", n)
	}
	code := b.code("shop", id)
	store.calls.Store(0)
	b.check(id, code)
	if n := store.calls.Load(); n != 1 {
		t.Errorf("a check asks the store %d times", n)
	}
	store.calls.Store(0)
	b.post("/v1/challenges", signIn, idempotencyKey, "k")
	if n := store.calls.Load(); n != 3 {
		t.Errorf("a start with a key asks the store %d times", n)
	}
}

// switchable is a limiter that says what it is told to.
type switchable struct {
	mu  sync.Mutex
	err error
}

func (s *switchable) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *switchable) Take(context.Context, ...watchword.Bucket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
