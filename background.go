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
	backgroundTries   = 100
)

func newBackground() *background { return &background{make(chan struct{}, maxBackground)} }

// later runs a task once, after a while. If too many are waiting it does not, and reports false: nothing that must happen is
// given to it.
func (b *background) later(ctx context.Context, after time.Duration, task func(ctx context.Context) error) bool {
	if !b.take() {
		return false
	}
	time.AfterFunc(after, func() { b.work(context.WithoutCancel(ctx), 1, task) })
	return true
}

// retry runs a task until it succeeds, for about ten seconds of refusals or longer where each takes its time.
func (b *background) retry(ctx context.Context, task func(ctx context.Context) error) {
	if b.take() {
		go b.work(context.WithoutCancel(ctx), backgroundTries, task)
	}
}

func (b *background) take() bool {
	select {
	case b.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (b *background) work(ctx context.Context, tries int, task func(ctx context.Context) error) {
	defer func() { <-b.slots }()
	for n := 1; ; n++ {
		limited, cancel := context.WithTimeout(ctx, backgroundTimeout)
		err := task(limited)
		cancel()
		if err == nil || n >= tries {
			return
		}
		time.Sleep(backgroundPause)
	}
}
