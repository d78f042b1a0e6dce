package script

import (
	"context"
	"sync"
	"time"
)

// WithTimeout returns a context with the deadline of context.WithTimeout, for commands that Lanes send. It has no timer of its own,
// so Done is not closed at the deadline: most commands are answered long before, and a timer for each of them costs more than the
// rest of a context. Lanes.Process keeps the deadline. Err returns context.DeadlineExceeded after it.
func WithTimeout(ctx context.Context, d time.Duration) context.Context {
	until := time.Now().Add(d)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(until) {
		return ctx
	}
	return untimed{ctx, until}
}

// An untimed is a context whose deadline has no timer.
type untimed struct {
	context.Context
	until time.Time
}

// Deadline implements context.Context.
func (c untimed) Deadline() (time.Time, bool) { return c.until, true }

// Err implements context.Context.
func (c untimed) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.until) {
		return context.DeadlineExceeded
	}
	return nil
}

// timed returns a context with a timer for the deadline of ctx. The caller calls cancel.
func timed(ctx context.Context) (c context.Context, cancel context.CancelFunc) {
	if c, ok := ctx.(untimed); ok {
		return context.WithDeadline(ctx, c.until)
	}
	return ctx, func() {}
}

// timers are timers for callers of await, which use one after another.
type timers struct{ idle sync.Pool }

// start returns a timer for the deadline of an untimed context; nil for another one, which closes Done by itself. The caller passes
// it to stop.
func (t *timers) start(ctx context.Context) *time.Timer {
	c, ok := ctx.(untimed)
	if !ok {
		return nil
	}
	if timer, ok := t.idle.Get().(*time.Timer); ok {
		timer.Reset(time.Until(c.until))
		return timer
	}
	return time.NewTimer(time.Until(c.until))
}

func (t *timers) stop(timer *time.Timer) {
	if timer != nil {
		timer.Stop()
		t.idle.Put(timer)
	}
}
