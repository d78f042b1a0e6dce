package watchword

import (
	"context"
	"time"
)

// background runs what no answer waits for, a bounded number of tasks at a time.
type background struct{ slots chan struct{} }

const (
	maxBackground     = 1024
	backgroundTimeout = 2 * time.Second // of one try of a task
	backgroundPause   = 100 * time.Millisecond
	backgroundTime    = 30 * time.Second // for all tries of a task
)

func newBackground() *background { return &background{make(chan struct{}, maxBackground)} }

// runLater runs a task once, after a while. If too many are waiting it does not, and reports false: nothing that must happen is
// given to it.
func (b *background) runLater(ctx context.Context, after time.Duration, task func(ctx context.Context) error) bool {
	if !b.takeSlot() {
		return false
	}
	time.AfterFunc(after, func() { b.runTask(context.WithoutCancel(ctx), 0, task) })
	return true
}

// runUntilDone runs a task until it succeeds, for half a minute.
func (b *background) runUntilDone(ctx context.Context, task func(ctx context.Context) error) {
	if b.takeSlot() {
		go b.runTask(context.WithoutCancel(ctx), backgroundTime, task)
	}
}

func (b *background) takeSlot() bool {
	select {
	case b.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// runTask runs a task at least once, and again within a time if it fails.
func (b *background) runTask(ctx context.Context, within time.Duration, task func(ctx context.Context) error) {
	defer func() { <-b.slots }()
	for began := time.Now(); ; {
		limited, cancel := context.WithTimeout(ctx, backgroundTimeout)
		err := task(limited)
		cancel()
		if err == nil || time.Since(began) >= within {
			return
		}
		time.Sleep(backgroundPause)
	}
}
