package background_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/background"
)

// Wait returns after the tasks that run and those that are scheduled, also if one has to be tried again, and at once if there are none.
func TestWaitReturnsAfterTheTasks(t *testing.T) {
	r := background.New()
	if err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done atomic.Int32
	tries := 0
	r.RunUntilDone(t.Context(), func(context.Context) error {
		if tries++; tries < 2 {
			return errors.New("not yet")
		}
		done.Add(1)
		return nil
	})
	r.RunLater(t.Context(), 20*time.Millisecond, func(context.Context) error { done.Add(1); return nil })
	if err := r.Wait(t.Context()); err != nil || done.Load() != 2 {
		t.Errorf("%d of 2 tasks are done, %v", done.Load(), err)
	}
}

// Wait does not wait for a task that does not end.
func TestWaitEndsWithItsContext(t *testing.T) {
	r := background.New()
	release := make(chan struct{})
	r.RunUntilDone(t.Context(), func(context.Context) error { <-release; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(release)
	if err := r.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
