package redis_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/store/redis"
)

// Messages of go-redis are logged without the password.
func TestSetClientLoggerHidesThePassword(t *testing.T) {
	var log logBuffer
	redis.SetClientLogger(slog.New(slog.NewJSONHandler(&log, nil)))
	defer redis.SetClientLogger(slog.New(slog.DiscardHandler))
	client := openAsGiven(t, "redis://:hunter2@127.0.0.1:1") // a closed port
	if client.Ping(t.Context()).Err() == nil {
		t.Skip("skipped: somebody listens on port 1")
	}
	_ = client.Close()
	if text := log.String(); !strings.Contains(text, `"level":"WARN"`) || strings.Contains(text, "hunter2") {
		t.Errorf("log: %s", text)
	}
}
