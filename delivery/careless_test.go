package delivery_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword/delivery"
)

// careless are errors of senders that hold what a provider answered, and what may be logged of each.
func careless() map[string]error {
	const echo = "answer: 492039 to +14155550123"
	return map[string]error{
		"exchange with the peer failed": errors.New(echo),
		"connection refused":            fmt.Errorf("%s: %w", echo, syscall.ECONNREFUSED),
		"p: refused":                    fmt.Errorf("%s: %w", echo, permanent()),
	}
}

func TestRouterKeepsOnlyTheKindOfACarelessError(t *testing.T) {
	for want, careless := range careless() {
		var log bytes.Buffer
		r := router(t, delivery.RouterConfig{Tries: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, &script{answers: times(1, careless)})
		_, err := r.Send(t.Context(), message(time.Minute))
		for _, text := range []string{log.String(), err.Error()} {
			if !strings.Contains(text, want) || strings.Contains(text, "492039") || strings.Contains(text, "4155550123") {
				t.Errorf("%s, want %q and nothing of the message", text, want)
			}
		}
	}
}

func TestWorkerLogsOnlyTheKindOfACarelessError(t *testing.T) {
	for want, careless := range careless() {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			q := delivery.NewQueue(1, nil)
			stop := running(t, delivery.WorkerConfig{Engine: &fakeEngine{}, Outbox: q, Sender: &script{answers: times(1, careless)},
				Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			put(t, q, 1)
			synctest.Wait()
			_ = stop()
			if text := log.String(); !strings.Contains(text, want) || strings.Contains(text, "492039") || strings.Contains(text, "4155550123") {
				t.Errorf("%s, want %q and nothing of the message", text, want)
			}
		})
	}
}
