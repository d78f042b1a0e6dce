package ratelimittest

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

func requireRefund(t *testing.T, l *ratelimit.Limiter, name string, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.Refund(t.Context(), name, buckets...); err != nil {
		t.Errorf("Refund = %v", err)
	}
}

func requirePassNamed(t *testing.T, l *ratelimit.Limiter, name string, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.TakeNamed(t.Context(), name, buckets...); err != nil {
		t.Errorf("TakeNamed = %v", err)
	}
}

// testRefundReturnsNamedTake checks that a refund returns what a named Take spent, once, in all of its windows and through any node,
// and nothing else.
func (s *suite) testRefundReturnsNamedTake(t *testing.T) {
	nodes := s.limiters(t, s.newAppID(),
		ratelimit.Rule{Name: "few", Limit: 2, Window: time.Hour, By: ratelimit.ByAddress},
		ratelimit.Rule{Name: "large", Limit: 3000, Window: time.Hour, By: ratelimit.ByIP})
	first, last := nodes[0], nodes[len(nodes)-1]
	requirePassNamed(t, first, "a", address("x"), ip("i"))
	requirePassNamed(t, last, "a", address("x"), ip("i")) // the same name: spends nothing more
	requirePassNamed(t, first, "b", address("x"), ip("i"))
	requireRefused(t, "few", first, address("x"))
	for range 3 {
		requireRefund(t, last, "a", address("x"), ip("i"))
		requireRefund(t, last, "never taken", address("x"), ip("i"))
	}
	requirePass(t, last, address("x"), ip("i"))
	requireRefused(t, "few", first, address("x"), ip("i"))
	requireRefund(t, first, "b", address("x"), ip("i"))
	requirePass(t, last, address("x"))
	requireRefused(t, "few", first, address("x"))

	// A take of two tokens, and a take that was refused.
	two := []watchword.Bucket{address("y"), address("y")}
	requirePassNamed(t, first, "two", two...)
	if err := first.TakeNamed(t.Context(), "refused", two...); err == nil {
		t.Error("two more pass")
	}
	requireRefund(t, first, "refused", two...)
	requireRefused(t, "few", first, address("y"))
	requireRefund(t, last, "two", two...)
	requirePass(t, first, address("y"))
	requirePass(t, last, address("y"))
	requireRefused(t, "few", first, address("y"))
}

// testRacingRefundsCountOnce lets every racer take and refund. At the end no token must be spent.
func (s *suite) testRacingRefundsCountOnce(t *testing.T) {
	nodes := s.limiters(t, s.newAppID(), ratelimit.Rule{Name: "few", Limit: racers, Window: time.Hour, By: ratelimit.ByAddress})
	runTogether(racers, func(racer int) {
		l, name := nodes[racer%len(nodes)], string(rune('a'+racer))
		for range 3 {
			requirePassNamed(t, l, name, address("a"))
			requireRefund(t, l, name, address("a"))
			requireRefund(t, l, name, address("a"))
		}
	})
	for range racers {
		requirePass(t, nodes[0], address("a"))
	}
	requireRefused(t, "few", nodes[0], address("a"))
}
