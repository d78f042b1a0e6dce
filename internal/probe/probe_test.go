package probe

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

func TestGateRunsOneProbeASecondForAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		var ran atomic.Int64
		var down atomic.Bool
		ask := func() error {
			return g.Run(t.Context(), func(context.Context) error {
				ran.Add(1)
				time.Sleep(10 * time.Millisecond)
				if down.Load() {
					return errDown
				}
				return nil
			})
		}
		for second := range 5 {
			down.Store(second == 2 || second == 3)
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					if err := ask(); (err != nil) != down.Load() {
						t.Errorf("second %d: %v", second, err)
					}
				})
			}
			all.Wait()
			if ran.Load() != int64(second+1) {
				t.Errorf("%d probes after %d seconds", ran.Load(), second+1)
			}
			time.Sleep(Every)
		}
	})
}

func TestGateContinuesAfterItsFirstCallerEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		slow := func(ctx context.Context) error {
			select {
			case <-time.After(500 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		hurried, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := g.Run(hurried, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller without time: %v", err)
		}
		if err := g.Run(t.Context(), slow); err != nil {
			t.Errorf("the next caller: %v", err)
		}
		never := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		time.Sleep(Every)
		if err := g.Run(t.Context(), never); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a probe that hangs: %v", err)
		}
	})
}
