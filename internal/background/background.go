// Package background runs tasks that no answer waits for.
package background

import (
	"context"
	"time"
)

// A Runner runs at most 1,024 tasks at a time, in goroutines of their own.
type Runner struct{ slots chan struct{} }

const (
	maxTasks   = 1024
	tryTimeout = 2 * time.Second // of one try of a task
	retryPause = 100 * time.Millisecond
	retryTime  = 30 * time.Second // for all tries of a task
)

// New returns a Runner.
func New() *Runner { return &Runner{make(chan struct{}, maxTasks)} }

// RunLater runs a task once, after a while, with a time-out of two seconds. It reports false, and runs nothing, if 1,024 tasks
// are waiting or running. The context's values are kept, its end is not.
func (b *Runner) RunLater(ctx context.Context, after time.Duration, task func(ctx context.Context) error) bool {
	if !b.takeSlot() {
		return false
	}
	time.AfterFunc(after, func() { b.runTask(context.WithoutCancel(ctx), 0, task) })
	return true
}

// RunUntilDone runs a task until it succeeds, for half a minute at most; it runs nothing if 1,024 tasks are waiting or running.
func (b *Runner) RunUntilDone(ctx context.Context, task func(ctx context.Context) error) {
	if b.takeSlot() {
		go b.runTask(context.WithoutCancel(ctx), retryTime, task)
	}
}

func (b *Runner) takeSlot() bool {
	select {
	case b.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// runTask runs a task at least once, and again within a time if it fails.
func (b *Runner) runTask(ctx context.Context, within time.Duration, task func(ctx context.Context) error) {
	defer func() { <-b.slots }()
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
