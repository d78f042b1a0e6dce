package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// retryUntilAnswered repeats a call while its reply is 503 or idempotency_in_flight.
func retryUntilAnswered(t *testing.T, call func() reply) reply {
	t.Helper()
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if r := call(); r.status != http.StatusServiceUnavailable && r.errorCode() != "idempotency_in_flight" {
			return r
		}
	}
	t.Fatal("still unavailable or in flight")
	return reply{}
}

// Redis is paused while a right code is checked. A check that was answered 503 takes no effect after Redis resumes, and its
// Idempotency-Key is in flight only until the server notices that Redis is back.
func TestCheckWhileRedisIsPausedTakesNoEffect(t *testing.T) {
	t.Parallel()
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
				t.Errorf("check with key %q: %d %s", key, r.status, r.text)
			}
		}
		if err := redis.Resume(); err != nil {
			t.Fatal(err)
		}
		read := retryUntilAnswered(t, func() reply { return n.call("GET", "/v1/challenges/"+id, nil) })
		if read.str("status") != "pending" || read.body["attempts_remaining"] != 5.0 {
			t.Errorf("after Redis resumed: %s", read.text)
		}
		resumed := time.Now()
		r := retryUntilAnswered(t, func() reply { return n.postWithKey("/v1/challenges/"+id+"/check", "key", signInAnswer(code)) })
		if r.status != http.StatusOK {
			t.Errorf("the same request: %d %s", r.status, r.text)
		}
		if took := time.Since(resumed); took > 10*time.Second {
			t.Errorf("the key was in flight for %s", took)
		}
		if again := n.postWithKey("/v1/challenges/"+id+"/check", "another", signInAnswer(code)); again.errorCode() != "challenge_approved" {
			t.Errorf("another key: %d %s", again.status, again.text)
		}
	}
}

// The reply of each script in turn is lost on its way to one of two nodes. Whatever the first request got, the same request with the
// same key gets the receipt from either node. Other requests get challenge_approved.
func TestRepeatedRequestGetsReceiptAfterLostReply(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr)
	dir := t.TempDir()
	proxied, direct := startNode(t, dir, "redis://"+proxy.Addr), startNode(t, dir, redis.URL())
	lost := 0
	for step := range 4 { // the scripts of the request: the key's record, the try, the stored response
		id := proxied.start(func(b object) { b["to"] = fmt.Sprintf("alice%d@example.com", step) }).str("id")
		code, path := proxied.waitForCode(id), "/v1/challenges/"+id+"/check"
		awaitRecordedSend(t, proxied, id) // else a script of the worker may be the one that is cut
		proxy.CutNth("evalsha", step+1)
		first := proxied.postWithKey(path, "key", signInAnswer(code))
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
			if r := proxied.postWithKey(path, key, signInAnswer(code)); r.errorCode() != "challenge_approved" {
				t.Errorf("step %d, key %q: %d %s", step, key, r.status, r.text)
			}
		}
	}
	if lost < 2 {
		t.Errorf("only %d requests were answered 503, so the cut connections show nothing", lost)
	}
}

// awaitRecordedSend waits until the server has recorded that a challenge's message was sent.
func awaitRecordedSend(t *testing.T, n *node, id string) {
	t.Helper()
	waitFor(t, "sent", func() string {
		delivery, _ := n.call("GET", "/v1/challenges/"+id, nil).body["delivery"].(object)
		status, _ := delivery["status"].(string)
		return status
	})
}

// Starts that are answered 503 do not count: afterwards as many as the default limit allows are accepted.
func TestStartsAnswered503DoNotCountAgainstLimits(t *testing.T) {
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr)
	n, client := startNode(t, t.TempDir(), "redis://"+proxy.Addr), redis.Client(t)
	startFor := func(address string) reply {
		return n.postWithKey("/v1/challenges", "", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": address, "subject": "user_42"})
	}
	const charges = "*}:=*"
	startFor("bob@example.com")                            // now Redis knows the scripts
	for _, key := range []string{":address_10m:", ":e:"} { // of the limits, and of the challenge
		digest := firstScript(t, redis, key, func() { startFor("bob@example.com") })
		ofBob := client.Keys(t.Context(), charges).Val()
		for range 4 {
			proxy.CutNext(digest)
			if r := startFor("alice@example.com"); r.status != http.StatusServiceUnavailable {
				t.Errorf("script on %s: %d %s", key, r.status, r.text)
			}
			// A failed start is given back after its reply, by a script that must not be cut. It deletes the key of the start's charges.
			waitFor(t, "[]", func() string {
				return fmt.Sprint(slices.DeleteFunc(client.Keys(t.Context(), charges).Val(), func(key string) bool { return slices.Contains(ofBob, key) }))
			})
		}
	}
	accepted := 0
	for range 6 {
		switch r := startFor("alice@example.com"); {
		case r.status == http.StatusCreated:
			accepted++
		case r.errorCode() != "rate_limited":
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	if accepted != 5 {
		t.Errorf("%d starts were accepted, not 5", accepted)
	}
}
