package redis_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// hostileReplies returns replies that contain a secret.
func hostileReplies() map[string]string {
	info := "redis_version:492039.1\r\nmaxmemory_policy:492039"
	return map[string]string{
		"error that repeats the command": "-ERR unknown command 'set', with args beginning with: '492039'\r\n",
		"error without a code":           "-492039\r\n",
		"error with a code":              "-NOPERM 492039\r\n",
		"redirection":                    "-MOVED 1 492039:1\r\n",
		"no reply of the protocol":       "492039\r\n",
		"reply of another kind":          ":492039\r\n",
		"length that is none":            "$492039x\r\n",
		"INFO":                           fmt.Sprintf("$%d\r\n%s\r\n", len(info), info),
	}
}

func TestErrorsHoldNoTextOfTheServer(t *testing.T) {
	for name, reply := range hostileReplies() {
		t.Run(name, func(t *testing.T) {
			s := redis.New(openAsGiven(t, redistest.StartHostile(t, reply)), redis.Config{})
			_, errGet := s.Get(t.Context(), "g.1")
			_, errAttempt := s.Attempt(t.Context(), "g.1", guess("right"), limited("g.any"))
			for call, err := range map[string]error{"Create": s.Create(t.Context(), entry("g.1")), "Get": errGet, "Attempt": errAttempt,
				"Update": s.Update(t.Context(), entry("g.1")), "Ping": s.PingNow(t.Context()), "CheckPolicy": s.CheckPolicy(t.Context())} {
				if err != nil && strings.Contains(err.Error(), "492039") {
					t.Errorf("%s: %v", call, err)
				}
			}
			if errGet == nil || s.CheckPolicy(t.Context()) == nil {
				t.Error("the server is taken for a good one")
			}
		})
	}
}

func TestLogHoldsNoTextOfTheServer(t *testing.T) {
	var log logBuffer
	redis.SetClientLogger(slog.New(slog.NewJSONHandler(&log, nil)))
	defer redis.SetClientLogger(slog.New(slog.DiscardHandler))
	for _, reply := range hostileReplies() {
		address := strings.TrimPrefix(redistest.StartHostile(t, reply), "redis://")
		client := openAsGiven(t, "redis+sentinel://"+address+"?master_name=main")
		if client.Ping(t.Context()).Err() == nil {
			t.Errorf("%q: Sentinel is taken for a good one", reply)
		}
		_ = client.Close()
	}
	text := log.String()
	if !strings.Contains(text, "Sentinel does not name the master") || strings.Contains(text, "492039") {
		t.Errorf("the log contains %s", text)
	}
}
