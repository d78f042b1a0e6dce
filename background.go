package watchword

import (
	"context"
	"time"
)

// background runs what no answer waits for, a bounded number of tasks at a time.
type background struct{ slots chan struct{} }

const (
	maxBackground     = 256
	backgroundTimeout = 2 * time.Second // of one try of a task
	backgroundPause   = 100 * time.Millisecond
	backgroundTries   = 100
)

func newBackground() *background { return &background{make(chan struct{}, maxBackground)} }

// try runs a task once. If too many are running it is left out: nothing that must happen is given to it.
func (b *background) try(ctx context.Context, task func(ctx context.Context) error) {
	b.run(ctx, 1, task)
}

// retry runs a task until it succeeds, for about ten seconds of refusals or longer where each takes its time.
func (b *background) retry(ctx context.Context, task func(ctx context.Context) error) {
	b.run(ctx, backgroundTries, task)
}

func (b *background) run(ctx context.Context, tries int, task func(ctx context.Context) error) {
	select {
	case b.slots <- struct{}{}:
	default:
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
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
	}()
}
