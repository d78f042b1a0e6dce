package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// retryUntilAnswered repeats a call while it is answered 503 or is in flight.
func retryUntilAnswered(t *testing.T, call func() reply) reply {
	t.Helper()
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if r := call(); r.status != http.StatusServiceUnavailable && r.errorCode() != "idempotency_in_flight" {
			return r
		}
	}
	t.Fatal("it is unavailable, or in flight, for as long as anybody waits")
	return reply{}
}

// Redis stands still while a right code is checked, and goes on afterwards: what was answered 503 is not taken then, and
// the key is not in flight for longer than it takes to notice that Redis is back.
func TestCheckWhileRedisIsPausedTakesNoEffect(t *testing.T) {
	redis := redistest.Start(t)
	n := startNode(t, t.TempDir(), redis.URL())
	for round := range 3 {
		id := n.start(func(b object) { b["to"] = fmt.Sprintf("alice%d@example.com", round) }).str("id")
		code := n.waitForCode(id)
		if err := redis.Pause(); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"", "key", "another"} {
			if r := n.postWithKey("/v1/challenges/"+id+"/check", key, signInAnswer(code)); r.status != http.StatusServiceUnavailable {
				t.Errorf("a check of key %q: %d %s", key, r.status, r.text)
			}
		}
		if err := redis.Resume(); err != nil {
			t.Fatal(err)
		}
		read := retryUntilAnswered(t, func() reply { return n.call("GET", "/v1/challenges/"+id, nil) })
		if read.str("status") != "pending" || read.body["attempts_remaining"] != 5.0 {
			t.Errorf("after Redis went on: %s", read.text)
		}
		resumed := time.Now()
		r := retryUntilAnswered(t, func() reply { return n.postWithKey("/v1/challenges/"+id+"/check", "key", signInAnswer(code)) })
		if r.status != http.StatusOK {
			t.Errorf("the same request: %d %s", r.status, r.text)
		}
		if took := time.Since(resumed); took > 10*time.Second {
			t.Errorf("its key was in flight for %s", took)
		}
		if again := n.postWithKey("/v1/challenges/"+id+"/check", "another", signInAnswer(code)); again.errorCode() != "challenge_approved" {
			t.Errorf("another key: %d %s", again.status, again.text)
		}
	}
}

// The reply of each step in turn is lost on its way to one of two nodes. Whatever the first request is answered, the same one
// with the same key gets the receipt, of one approval, from either node; everybody else hears that it is approved.
func TestRepeatedRequestGetsReceiptAfterLostReply(t *testing.T) {
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr)
	dir := t.TempDir()
	behind, direct := startNode(t, dir, "redis://"+proxy.Addr), startNode(t, dir, redis.URL())
	lost := 0
	for step := range 4 { // which of the request's scripts: the key's record, the try, the answer that is kept
		id := behind.start(func(b object) { b["to"] = fmt.Sprintf("alice%d@example.com", step) }).str("id")
		code, path := behind.waitForCode(id), "/v1/challenges/"+id+"/check"
		proxy.CutNth("evalsha", step+1)
		first := behind.postWithKey(path, "key", signInAnswer(code))
		if first.status == http.StatusServiceUnavailable {
			if lost++; first.str("outcome") != "unknown" {
				t.Errorf("step %d: %s", step, first.text)
			}
		}
		proxy.CutNone()
		again := retryUntilAnswered(t, func() reply { return direct.postWithKey(path, "key", signInAnswer(code)) })
		if again.status != http.StatusOK || first.status == http.StatusOK && again.text != first.text {
			t.Errorf("step %d: first %d %s, then %d %s", step, first.status, first.text, again.status, again.text)
		}
		for _, key := range []string{"", "another"} {
			if r := behind.postWithKey(path, key, signInAnswer(code)); r.errorCode() != "challenge_approved" {
				t.Errorf("step %d, key %q: %d %s", step, key, r.status, r.text)
			}
		}
	}
	if lost < 2 {
		t.Errorf("%d requests were answered 503: the cuts show nothing", lost)
	}
}

// Starts that were answered 503 do not count: as many as the default limit allows pass afterwards.
func TestStartsAnswered503DoNotCountAgainstLimits(t *testing.T) {
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr)
	n := startNode(t, t.TempDir(), "redis://"+proxy.Addr)
	body := object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "alice@example.com", "subject": "user_42"}
	for step := range 2 { // the limits, and the challenge
		for range 4 {
			proxy.CutNth("evalsha", step+1)
			if r := n.postWithKey("/v1/challenges", "", body); r.status != http.StatusServiceUnavailable {
				t.Errorf("step %d: %d %s", step, r.status, r.text)
			}
			time.Sleep(300 * time.Millisecond) // what failed is given back behind its answer, by a script that must not be cut
		}
	}
	passed := 0
	for range 6 {
		switch r := n.postWithKey("/v1/challenges", "", body); {
		case r.status == http.StatusCreated:
			passed++
		case r.errorCode() != "rate_limited":
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	if passed != 5 {
		t.Errorf("%d starts pass, not 5", passed)
	}
}
