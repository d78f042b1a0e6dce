package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// After all Redis values of a server are overwritten, the next start, check and removal of a subject work.
func TestServerReplacesDamagedRedisValues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNode(t, t.TempDir(), server.URL())
	client := server.Client(t)
	body := object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "alice@example.com", "subject": "user_42"}
	begin := func(key string) reply { return n.postWithKey("/v1/challenges", key, body) }
	for _, damage := range []string{"text", "list"} {
		first := begin(damage)
		if first.status != http.StatusCreated {
			t.Fatalf("%d %s", first.status, first.text)
		}
		n.check(first.str("id"), wrongCode(n.waitForCode(first.str("id"))))
		if r := n.call("DELETE", "/v1/subjects/user_42", nil); r.status != http.StatusNoContent {
			t.Fatalf("removing: %d %s", r.status, r.text)
		}
		for _, name := range client.Keys(t.Context(), "*").Val() {
			client.Del(t.Context(), name)
			if damage == "list" {
				client.RPush(t.Context(), name, "damaged")
			} else {
				client.Set(t.Context(), name, "damaged", 0)
			}
		}
		if r := n.check(first.str("id"), "123456"); r.errorCode() != "unknown_challenge" {
			t.Errorf("%s: a check of a damaged challenge: %d %s", damage, r.status, r.text)
		}
		second := begin(damage)
		if second.status != http.StatusCreated || second.str("id") == first.str("id") {
			t.Errorf("%s: a start: %d %s", damage, second.status, second.text)
			continue
		}
		if r := n.check(second.str("id"), n.waitForCode(second.str("id"))); r.status != http.StatusOK {
			t.Errorf("%s: a check: %d %s", damage, r.status, r.text)
		}
		if r := n.call("DELETE", "/v1/subjects/user_42", nil); r.status != http.StatusNoContent {
			t.Errorf("%s: removing a subject: %d %s", damage, r.status, r.text)
		}
	}
	for _, what := range []string{"entry", "budget", "limit"} {
		line := fmt.Sprintf(`"msg":"damaged value found in the store","what":%q`, what)
		waitFor(t, line, func() string { return map[bool]string{true: line}[strings.Contains(n.log.String(), line)] })
	}
}
