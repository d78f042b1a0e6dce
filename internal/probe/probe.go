// Package probe limits how often probes of servers run.
package probe

import (
	"context"
	"sync"
	"time"
)

const (
	// Every is the minimum time between two probes.
	Every = time.Second
	// Limit is the maximum time of a probe.
	Limit = 3 * time.Second
)

// A Gate runs one probe for all concurrent callers, and returns the last result while it is younger than Every. The zero Gate is
// ready to use. It is safe for concurrent use.
type Gate struct {
	mu      sync.Mutex
	ended   time.Time // of the last probe; zero: there was none
	result  error
	running chan struct{} // closed when the running probe ends; nil: none is running
}

// Run returns the result of the probe. When ctx ends, it returns the context's error, and the probe continues, for Limit at most.
func (g *Gate) Run(ctx context.Context, probe func(context.Context) error) error {
	g.mu.Lock()
	if g.running == nil && !g.ended.IsZero() && time.Since(g.ended) < Every {
		defer g.mu.Unlock()
		return g.result
	}
	if g.running == nil {
		g.running = make(chan struct{})
		go g.run(context.WithoutCancel(ctx), probe)
	}
	running := g.running
	g.mu.Unlock()
	select {
	case <-running:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.result
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *Gate) run(ctx context.Context, probe func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	err := probe(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.running)
	g.running, g.result, g.ended = nil, err, time.Now()
}

// A Watch is like a Gate for a probe that takes long or costs the peer something. While a probe runs, Run returns the last result;
// only the first one is waited for. The zero Watch is ready to use. It is safe for concurrent use.
type Watch struct {
	mu      sync.Mutex
	ended   time.Time // of the last probe; zero: there was none
	result  error
	running chan struct{} // closed when the running probe ends; nil: none is running
}

// How old a result of a Watch may be before a probe is started, and how long the probe may take.
const (
	watchEvery       = 15 * time.Second
	watchEveryFailed = 3 * time.Second
	watchLimit       = 5 * time.Second
)

// Run returns the last result, and starts the probe if that is too old.
func (w *Watch) Run(ctx context.Context, probe func(context.Context) error) error {
	w.mu.Lock()
	age := watchEvery
	if w.result != nil {
		age = watchEveryFailed
	}
	first := w.ended.IsZero()
	if w.running == nil && (first || time.Since(w.ended) >= age) {
		w.running = make(chan struct{})
		go w.run(context.WithoutCancel(ctx), probe)
	}
	running, result := w.running, w.result
	w.mu.Unlock()
	if !first {
		return result
	}
	select {
	case <-running:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.result
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Watch) run(ctx context.Context, probe func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	err := probe(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.running)
	w.running, w.result, w.ended = nil, err, time.Now()
}
