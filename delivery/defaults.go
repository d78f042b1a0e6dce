package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

func setDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// fillDefaults fills in the logger, the clock and the jitter where they are missing.
func fillDefaults(log *slog.Logger, now func() time.Time, jitter func(time.Duration) time.Duration) (*slog.Logger, func() time.Time, func(time.Duration) time.Duration) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	if jitter == nil {
		jitter = fullJitter
	}
	return log, now, jitter
}

// fullJitter spreads retries evenly over the whole wait, so that those who failed together do not come back together.
func fullJitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return rand.N(limit)
}

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
