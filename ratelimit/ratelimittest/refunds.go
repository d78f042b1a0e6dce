package ratelimittest

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

func refund(t *testing.T, l *ratelimit.Limiter, name string, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.Refund(t.Context(), name, buckets...); err != nil {
		t.Errorf("Refund = %v", err)
	}
}

func passesNamed(t *testing.T, l *ratelimit.Limiter, name string, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.TakeNamed(t.Context(), name, buckets...); err != nil {
		t.Errorf("TakeNamed = %v", err)
	}
}

// refunds gives back what a named Take spent: once, from all of its windows, on whichever node, and nothing else.
func (s *suite) refunds(t *testing.T) {
	nodes := s.limiters(t, s.app(),
		ratelimit.Rule{Name: "few", Limit: 2, Window: time.Hour, By: ratelimit.ByAddress},
		ratelimit.Rule{Name: "large", Limit: 3000, Window: time.Hour, By: ratelimit.ByIP})
	first, last := nodes[0], nodes[len(nodes)-1]
	passesNamed(t, first, "a", address("x"), ip("i"))
	passesNamed(t, last, "a", address("x"), ip("i")) // which spends nothing more
	passesNamed(t, first, "b", address("x"), ip("i"))
	refused(t, "few", first, address("x"))
	for range 3 {
		refund(t, last, "a", address("x"), ip("i"))
		refund(t, last, "never taken", address("x"), ip("i"))
	}
	passes(t, last, address("x"), ip("i"))
	refused(t, "few", first, address("x"), ip("i"))
	refund(t, first, "b", address("x"), ip("i"))
	passes(t, last, address("x"))
	refused(t, "few", first, address("x"))

	// One that costs more than was spent last, and one that was refused.
	two := []watchword.Bucket{address("y"), address("y")}
	passesNamed(t, first, "two", two...)
	if err := first.TakeNamed(t.Context(), "refused", two...); err == nil {
		t.Error("two more pass")
	}
	refund(t, first, "refused", two...)
	refused(t, "few", first, address("y"))
	refund(t, last, "two", two...)
	passes(t, first, address("y"))
	passes(t, last, address("y"))
	refused(t, "few", first, address("y"))
}

// refundsRace has every racer give back what it took: in the end nothing is spent.
func (s *suite) refundsRace(t *testing.T) {
	nodes := s.limiters(t, s.app(), ratelimit.Rule{Name: "few", Limit: racers, Window: time.Hour, By: ratelimit.ByAddress})
	together(racers, func(racer int) {
		l, name := nodes[racer%len(nodes)], string(rune('a'+racer))
		for range 3 {
			passesNamed(t, l, name, address("a"))
			refund(t, l, name, address("a"))
			refund(t, l, name, address("a"))
		}
	})
	for range racers {
		passes(t, nodes[0], address("a"))
	}
	refused(t, "few", nodes[0], address("a"))
}
