// Package probe runs probes of servers no more often than they cost nothing.
package probe

import (
	"context"
	"sync"
	"time"
)

const (
	// Every is how long a probe's result holds, whoever asks.
	Every = time.Second
	// Limit is how long a probe may take.
	Limit = 3 * time.Second
)

// A Gate runs one probe for all who ask at the same time, and none while the last result is younger than Every. The zero Gate is
// ready; it is safe for concurrent use.
type Gate struct {
	mu     sync.Mutex
	ended  time.Time // the last probe; zero: there was none
	result error
	flight chan struct{} // closed when the probe that is under way ends; nil: none is
}

// Run returns what the probe found. The probe goes on when a caller's context ends, for Limit at most; that caller gets the
// context's error.
func (g *Gate) Run(ctx context.Context, probe func(context.Context) error) error {
	g.mu.Lock()
	if g.flight == nil && !g.ended.IsZero() && time.Since(g.ended) < Every {
		defer g.mu.Unlock()
		return g.result
	}
	if g.flight == nil {
		g.flight = make(chan struct{})
		go g.run(context.WithoutCancel(ctx), probe)
	}
	flight := g.flight
	g.mu.Unlock()
	select {
	case <-flight:
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
	close(g.flight)
	g.flight, g.result, g.ended = nil, err, time.Now()
}
