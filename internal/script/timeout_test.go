package script_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/internal/script"
)

// A timeoutFunc returns a context that ends after a time.
type timeoutFunc func(ctx context.Context, d time.Duration) context.Context

// forEachTimeout runs a test with contexts of context.WithTimeout and of script.WithTimeout.
func forEachTimeout(t *testing.T, test func(*testing.T, timeoutFunc)) {
	t.Run("context.WithTimeout", func(t *testing.T) {
		t.Parallel()
		test(t, func(ctx context.Context, d time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(ctx, d)
			t.Cleanup(cancel)
			return ctx
		})
	})
	t.Run("script.WithTimeout", func(t *testing.T) {
		t.Parallel()
		test(t, script.WithTimeout)
	})
}

// A command that finds a free lane waits for a connection until its deadline, not until the client's own time-out.
func TestCommandAloneEndsWithItsDeadline(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr, PoolSize: 1, PoolTimeout: 10 * time.Second})
	defer func() { _ = client.Close() }()
	conn := client.Conn()
	defer func() { _ = conn.Close() }()
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := script.Do(script.WithTimeout(t.Context(), 30*time.Millisecond), script.NewLanes(client, nil), "get", "k")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v, want that of the deadline", err)
	}
}

func TestWithTimeoutKeepsAnEarlierDeadlineAndCancellation(t *testing.T) {
	early, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	want, _ := early.Deadline()
	if got, ok := script.WithTimeout(early, time.Hour).Deadline(); !ok || !got.Equal(want) {
		t.Errorf("the deadline is %v, want %v", got, want)
	}
	shorter := script.WithTimeout(early, time.Second)
	if got, ok := shorter.Deadline(); !ok || !got.Before(want) {
		t.Errorf("the deadline is %v, want it before %v", got, want)
	}
	if err := script.WithTimeout(t.Context(), -1).Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	end()
	<-shorter.Done()
	if err := shorter.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("after the parent was canceled: %v", err)
	}
}
