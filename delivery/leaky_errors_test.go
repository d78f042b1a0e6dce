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

// leakyErrors returns errors that quote a provider's answer, by the text that may be logged of each.
func leakyErrors() map[string]error {
	const echo = "answer: 492039 to +14155550123"
	return map[string]error{
		"exchange with the peer failed": errors.New(echo),
		"connection refused":            fmt.Errorf("%s: %w", echo, syscall.ECONNREFUSED),
		"p: refused":                    fmt.Errorf("%s: %w", echo, permanentError()),
	}
}

func TestRouterReportsOnlyTheKindOfAnErrorThatQuotesTheProvider(t *testing.T) {
	for want, leaky := range leakyErrors() {
		var log bytes.Buffer
		r := newRouter(t, delivery.RouterConfig{Tries: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, &scriptedSender{errors: repeat(1, leaky)})
		_, err := r.Send(t.Context(), newMessage(time.Minute))
		for _, text := range []string{log.String(), err.Error()} {
			if !strings.Contains(text, want) || strings.Contains(text, "492039") || strings.Contains(text, "4155550123") {
				t.Errorf("%s, want %q and nothing of the message", text, want)
			}
		}
	}
}

func TestWorkerLogsOnlyTheKindOfAnErrorThatQuotesTheProvider(t *testing.T) {
	for want, leaky := range leakyErrors() {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			q := delivery.NewQueue(1, nil)
			stop := startWorker(t, delivery.WorkerConfig{Engine: &fakeEngine{}, Outbox: q, Sender: &scriptedSender{errors: repeat(1, leaky)},
				Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			putMessages(t, q, 1)
			synctest.Wait()
			_ = stop()
			if text := log.String(); !strings.Contains(text, want) || strings.Contains(text, "492039") || strings.Contains(text, "4155550123") {
				t.Errorf("%s, want %q and nothing of the message", text, want)
			}
		})
	}
}
