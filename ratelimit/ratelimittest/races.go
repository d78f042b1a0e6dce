package ratelimittest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// racers is the number of goroutines of each race. They are spread over the nodes.
const racers = 32

// race lets goroutines take from buckets at the same time, the given number of times each. It returns how many Takes passed.
func race(t *testing.T, nodes []*ratelimit.Limiter, times int, buckets func(racer int) []watchword.Bucket) int {
	t.Helper()
	var passed atomic.Int64
	runTogether(racers, func(racer int) {
		l, b := nodes[racer%len(nodes)], buckets(racer)
		for range times {
			err := l.Take(context.Background(), b...)
			if err == nil {
				passed.Add(1)
			} else if limit := (*watchword.LimitError)(nil); !errors.As(err, &limit) {
				t.Errorf("Take = %v, want nil or a *LimitError", err)
				return
			}
		}
	})
	return int(passed.Load())
}

// runTogether runs n goroutines that start at the same time.
func runTogether(n int, run func(racer int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for racer := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			run(racer)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

func (s *suite) testRacingTakesPassUpToLimit(t *testing.T) {
	for _, limit := range []int{1, 5, 60} {
		nodes := s.limiters(t, s.newAppID(), ratelimit.Rule{Name: "few", Limit: limit, Window: time.Hour, By: ratelimit.ByAddress})
		passed := race(t, nodes, 4, func(int) []watchword.Bucket { return []watchword.Bucket{address("a")} })
		if passed != limit {
			t.Errorf("%d of %d racing Takes passed, want %d", passed, 4*racers, limit)
		}
	}
}

// testRacingTakesChargeAllOrNone lets most racers take from a narrow and a wide window, and the others from the wide one only. If a
// Take that the narrow window refuses charged the wide one, fewer Takes than the limit of the wide one would pass.
func (s *suite) testRacingTakesChargeAllOrNone(t *testing.T) {
	const narrow, wide = 3, 40
	nodes := s.limiters(t, s.newAppID(),
		ratelimit.Rule{Name: "wide", Limit: wide, Window: time.Hour, By: ratelimit.ByIP},
		ratelimit.Rule{Name: "narrow", Limit: narrow, Window: time.Hour, By: ratelimit.ByAddress})
	passed := race(t, nodes, 2, func(racer int) []watchword.Bucket {
		if racer%4 == 0 {
			return []watchword.Bucket{ip("i")}
		}
		return []watchword.Bucket{ip("i"), address("a")}
	})
	// The racers that take from the wide window only are too few to fill it.
	if want := racers/4*2 + narrow; passed != want {
		t.Errorf("%d racing Takes passed, want %d", passed, want)
	}
	for ; passed < wide; passed++ {
		requirePass(t, nodes[0], ip("i"))
	}
	requireRefused(t, "wide", nodes[0], ip("i"))
}
