// Package background runs tasks beside requests, in a bounded number of goroutines.
package background

import (
	"context"
	"time"
)

// A Runner runs at most 1,024 tasks at a time, each in a goroutine. It is safe for concurrent use.
type Runner struct{ slots chan struct{} }

const (
	maxTasks   = 1024
	tryTimeout = 2 * time.Second // of one try of a task
	retryPause = 100 * time.Millisecond
	retryTime  = 30 * time.Second // for all tries of a task
)

// New returns a Runner.
func New() *Runner { return &Runner{make(chan struct{}, maxTasks)} }

// RunLater runs a task once after the delay, with a time-out of two seconds. The task keeps the context's values but not its
// cancellation. RunLater returns false and does not run the task if 1,024 tasks are scheduled or running.
func (r *Runner) RunLater(ctx context.Context, delay time.Duration, task func(ctx context.Context) error) bool {
	if !r.takeSlot() {
		return false
	}
	time.AfterFunc(delay, func() { r.runTask(context.WithoutCancel(ctx), 0, task) })
	return true
}

// RunUntilDone runs a task again until it succeeds, for 30 seconds at most. It does not run the task if 1,024 tasks are
// scheduled or running.
func (r *Runner) RunUntilDone(ctx context.Context, task func(ctx context.Context) error) {
	if r.takeSlot() {
		go r.runTask(context.WithoutCancel(ctx), retryTime, task)
	}
}

// waitPoll is how often Wait looks. It is called when a program ends, so it need not be quick.
const waitPoll = 5 * time.Millisecond

// Wait returns when no task is scheduled or running, or with the context's error when the context ends before.
func (r *Runner) Wait(ctx context.Context) error {
	for len(r.slots) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(waitPoll):
		}
	}
	return nil
}

func (r *Runner) takeSlot() bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// runTask runs a task once, and again while it fails and the time is not over.
func (r *Runner) runTask(ctx context.Context, within time.Duration, task func(ctx context.Context) error) {
	defer func() { <-r.slots }()
	for began := time.Now(); ; {
		limited, cancel := context.WithTimeout(ctx, tryTimeout)
		err := task(limited)
		cancel()
		if err == nil || time.Since(began) >= within {
			return
		}
		time.Sleep(retryPause)
	}
}
