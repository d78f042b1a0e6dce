package wait

import (
	"context"
	"sync"
	"testing"
	"time"
)

func TestUntilIsNeverEarlyWithManyWaiters(t *testing.T) {
	var all sync.WaitGroup
	for n := range 3 * maxThreads {
		all.Go(func() {
			moment := time.Now().Add(time.Duration(n) * 100 * time.Microsecond)
			if Until(t.Context(), moment); time.Now().Before(moment) {
				t.Error("early")
			}
		})
	}
	all.Wait()
	Until(t.Context(), time.Now().Add(-time.Hour))
}

func TestUntilEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	Until(ctx, time.Now().Add(time.Hour))
}
