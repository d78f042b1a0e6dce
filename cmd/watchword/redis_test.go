package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

func TestTwoServersApproveOneAnswerAndShareTheTryLimit(t *testing.T) {
	t.Parallel()
	backends := map[string]func(t *testing.T) string{
		"one server": func(t *testing.T) string { return redistest.Start(t).URL() },
		"cluster":    func(t *testing.T) string { return redistest.StartCluster(t).URL() },
	}
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			url, dir := backend(t), t.TempDir()
			nodes := []*node{startNode(t, dir, url), startNode(t, dir, url)}
			t.Run("200 right answers", func(t *testing.T) {
				id := nodes[0].start().str("id")
				code := nodes[0].waitForCode(id)
				got := runConcurrently(200, func(i int) string {
					r := nodes[i%2].check(id, code)
					return fmt.Sprint(r.status, " ", r.errorCode())
				})
				// On a busy machine Redis may not answer in time. Such a check is answered 503 and approves nothing.
				if got["200 "] != 1 || got["409 challenge_approved"]+got["503 unavailable"] != 199 {
					t.Fatalf("outcomes: %v", got)
				}
			})
			t.Run("500 wrong answers", func(t *testing.T) {
				id := nodes[1].start().str("id")
				wrong := wrongCode(nodes[1].waitForCode(id))
				got := runConcurrently(500, func(i int) string {
					r := nodes[i%2].check(id, wrong)
					return fmt.Sprint(r.status, " ", r.errorCode())
				})
				if evaluated := got["422 incorrect_answer"]; evaluated == 0 || evaluated > 5 || evaluated+got["410 attempts_exhausted"]+got["429 too_many_guesses"] != 500 {
					t.Fatalf("outcomes: %v", got)
				}
				if r := nodes[0].call("GET", "/v1/challenges/"+id, nil); r.str("status") != "locked" {
					t.Fatalf("status: %s", r.text)
				}
			})
		})
	}
}

func TestServerAnswers503WhileRedisIsDownAndRecovers(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	n := startNode(t, t.TempDir(), server.URL())
	id := n.start().str("id")
	code := n.waitForCode(id)
	server.Stop()
	for what, call := range map[string]func() reply{
		"start": func() reply {
			return n.call("POST", "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "bob@example.com"})
		},
		"check": func() reply { return n.check(id, code) },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		answered := make(chan reply, 1)
		go func() { answered <- call() }()
		select {
		case r := <-answered:
			if r.status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", what, r.status, r.text)
			}
		case <-ctx.Done():
			t.Errorf("%s: no answer within two seconds", what)
		}
		cancel()
	}
	if res := n.call("GET", "/inbox/messages?to=bob@example.com", nil); strings.TrimSpace(res.text) != "[]" {
		t.Errorf("a message was sent: %s", res.text)
	}
	// The stores are tried at most once a second, so the first reply may be the result of start-up.
	readiness := func() string { return fmt.Sprint(n.call("GET", "/readyz", nil).status) }
	waitFor(t, "503", readiness)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "200", readiness)
	if r := n.check(id, code); r.status != http.StatusOK {
		t.Fatalf("after Redis restarted: %d %s", r.status, r.text)
	}
	if log := n.log.String(); !strings.Contains(log, `"msg":"redis client"`) {
		t.Error("the log has no message of the Redis client")
	}
	for line := range strings.Lines(n.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log has a line that is no JSON: %s", line)
		}
	}
}
