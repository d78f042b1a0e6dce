package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// keyed is a POST with an idempotency key; none if it is empty.
func (n *node) keyed(path, key string, body object) reply {
	n.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		n.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, n.url+path, bytes.NewReader(data))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer dev")
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	r := reply{status: res.StatusCode}
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		n.t.Fatal(err)
	}
	r.text = text.String()
	_ = json.Unmarshal(text.Bytes(), &r.body)
	return r
}

func answer(code string) object {
	return object{"purpose": "sign_in", "subject": "user_42", "answer": code}
}

// eventually repeats a call while it is answered 503 or is in flight.
func eventually(t *testing.T, call func() reply) reply {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if r := call(); r.status != http.StatusServiceUnavailable && r.code() != "idempotency_in_flight" {
			return r
		}
	}
	t.Fatal("it is unavailable, or in flight, for as long as anybody waits")
	return reply{}
}

// Redis stands still while a right code is checked, and goes on afterwards: what was answered 503 is not taken then, and
// the key is not in flight for longer than it takes to notice that Redis is back.
func TestCheckWhileRedisStandsStillTakesNoEffect(t *testing.T) {
	redis := redistest.Start(t)
	n := startNode(t, t.TempDir(), redis.URL())
	for round := range 3 {
		id := n.start(func(b object) { b["to"] = fmt.Sprintf("alice%d@example.com", round) }).str("id")
		code := n.code(id)
		if err := redis.Pause(); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"", "key", "another"} {
			if r := n.keyed("/v1/challenges/"+id+"/check", key, answer(code)); r.status != http.StatusServiceUnavailable {
				t.Errorf("a check of key %q: %d %s", key, r.status, r.text)
			}
		}
		if err := redis.Resume(); err != nil {
			t.Fatal(err)
		}
		read := eventually(t, func() reply { return n.call("GET", "/v1/challenges/"+id, nil) })
		if read.str("status") != "pending" || read.body["attempts_remaining"] != 5.0 {
			t.Errorf("after Redis went on: %s", read.text)
		}
		resumed := time.Now()
		r := eventually(t, func() reply { return n.keyed("/v1/challenges/"+id+"/check", "key", answer(code)) })
		if r.status != http.StatusOK {
			t.Errorf("the same request: %d %s", r.status, r.text)
		}
		if took := time.Since(resumed); took > 10*time.Second {
			t.Errorf("its key was in flight for %s", took)
		}
		if again := n.keyed("/v1/challenges/"+id+"/check", "another", answer(code)); again.code() != "challenge_approved" {
			t.Errorf("another key: %d %s", again.status, again.text)
		}
	}
}

// The reply of each step in turn is lost on its way to one of two nodes. Whatever the first request is answered, the same one
// with the same key gets the receipt, of one approval, from either node; everybody else hears that it is approved.
func TestRequestWhoseReplyWasLostGetsItsReceipt(t *testing.T) {
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr)
	dir := t.TempDir()
	behind, direct := startNode(t, dir, "redis://"+proxy.Addr), startNode(t, dir, redis.URL())
	lost := 0
	for step := range 4 { // which of the request's scripts: the key's record, the try, the answer that is kept
		id := behind.start(func(b object) { b["to"] = fmt.Sprintf("alice%d@example.com", step) }).str("id")
		code, path := behind.code(id), "/v1/challenges/"+id+"/check"
		proxy.CutNth("evalsha", step+1)
		first := behind.keyed(path, "key", answer(code))
		if first.status == http.StatusServiceUnavailable {
			if lost++; first.str("outcome") != "unknown" {
				t.Errorf("step %d: %s", step, first.text)
			}
		}
		proxy.CutNone()
		again := eventually(t, func() reply { return direct.keyed(path, "key", answer(code)) })
		if again.status != http.StatusOK || first.status == http.StatusOK && again.text != first.text {
			t.Errorf("step %d: first %d %s, then %d %s", step, first.status, first.text, again.status, again.text)
		}
		for _, key := range []string{"", "another"} {
			if r := behind.keyed(path, key, answer(code)); r.code() != "challenge_approved" {
				t.Errorf("step %d, key %q: %d %s", step, key, r.status, r.text)
			}
		}
	}
	if lost < 2 {
		t.Errorf("%d requests were answered 503: the cuts show nothing", lost)
	}
}

// Starts that were answered 503 do not count: as many as the default limit allows pass afterwards.
func TestStartsThatWereAnswered503DoNotCount(t *testing.T) {
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr)
	n := startNode(t, t.TempDir(), "redis://"+proxy.Addr)
	body := object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "alice@example.com", "subject": "user_42"}
	for step := range 2 { // the limits, and the challenge
		for range 4 {
			proxy.CutNth("evalsha", step+1)
			if r := n.keyed("/v1/challenges", "", body); r.status != http.StatusServiceUnavailable {
				t.Errorf("step %d: %d %s", step, r.status, r.text)
			}
			time.Sleep(300 * time.Millisecond) // what failed is given back behind its answer, by a script that must not be cut
		}
	}
	passed := 0
	for range 6 {
		switch r := n.keyed("/v1/challenges", "", body); {
		case r.status == http.StatusCreated:
			passed++
		case r.code() != "rate_limited":
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	if passed != 5 {
		t.Errorf("%d starts pass, not 5", passed)
	}
}
