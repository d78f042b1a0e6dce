package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// setDefault sets v to the fallback if it is zero.
func setDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// fillDefaults replaces a nil logger by one that discards, a nil clock by time.Now and a nil jitter by fullJitter.
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

// fullJitter returns a uniformly random duration below the limit, so that messages that failed together are not retried
// together.
func fullJitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return rand.N(limit)
}

// sleep waits for d. It reports false if the context ended first.
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
