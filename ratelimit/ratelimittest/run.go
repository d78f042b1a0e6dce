package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// A Fixture is a store that is tested. It may hold windows of earlier tests: each test uses an app and keys of its own.
type Fixture struct {
	// Nodes are clients of one and the same state, as several processes would have them; at least one.
	Nodes []ratelimit.Store
	// Advance moves the store's clock; nil where its time is real. The tests of exact times need it and are left out
	// without.
	Advance func(d time.Duration)
	// Unit is the smallest step of the store's clock, 0 with real time.
	Unit time.Duration
}

// Run holds a store to its promises.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	s := &suite{Fixture: open(t)}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"exactly the limit passes", s.exactlyTheLimit},
		{"all or none under races", s.allOrNone},
		{"a refused take costs nothing", s.refusedIsFree},
		{"rules match buckets", s.matching},
		{"the longest wait is named", s.longestWait},
		{"apps are apart", s.appsApart},
		{"all apps share a rule by all", s.allAppsShare},
		{"a bucket named twice pays twice", s.paysTwice},
		{"passes after RetryAfter", s.passesAfterRetry},
		{"a named take can be given back", s.refunds},
		{"refunds race", s.refundsRace},
		{"is a limiter.Store", s.limiterStore},
		{"limiter.Store increments and resets", s.incrementAndReset},
		{"its middleware works", s.middleware},
	} {
		t.Run(test.name, test.run)
	}
	if s.Advance == nil {
		return
	}
	t.Run("waits are exact", s.exactWaits)
	t.Run("long histories", s.longHistories)
	t.Run("the clock is set back", s.clockSetBack)
	t.Run("large limits hold", s.largeLimits)
}

type suite struct {
	Fixture
	apps atomic.Int64
}

// app is a new app's id.
func (s *suite) app() string {
	return fmt.Sprintf("app-%d-%d", time.Now().UnixNano(), s.apps.Add(1))
}

// name is a new rule's name, for what is not an app's own.
func (s *suite) name() string {
	return fmt.Sprintf("rule_%d_%d", time.Now().UnixNano(), s.apps.Add(1))
}

// limiters makes one limiter of an app for each node.
func (s *suite) limiters(t testing.TB, app string, rules ...ratelimit.Rule) []*ratelimit.Limiter {
	t.Helper()
	var all []*ratelimit.Limiter
	for _, node := range s.Nodes {
		l, err := ratelimit.New(node, rules, app)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// limiter makes the limiter of an app on the first node.
func (s *suite) limiter(t testing.TB, app string, rules ...ratelimit.Rule) *ratelimit.Limiter {
	t.Helper()
	return s.limiters(t, app, rules...)[0]
}

func address(key string) watchword.Bucket {
	return watchword.Bucket{By: ratelimit.ByAddress, Key: key, Channel: "sms"}
}

func ip(key string) watchword.Bucket {
	return watchword.Bucket{By: ratelimit.ByIP, Key: key, Channel: "sms"}
}

// passes fails the test unless the buckets can be taken from.
func passes(t testing.TB, l *ratelimit.Limiter, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.Take(context.Background(), buckets...); err != nil {
		t.Fatalf("Take(%v) = %v, want nil", buckets, err)
	}
}

// refused fails the test unless the rule refuses the buckets, and returns how long one has to wait.
func refused(t testing.TB, rule string, l *ratelimit.Limiter, buckets ...watchword.Bucket) time.Duration {
	t.Helper()
	err := l.Take(context.Background(), buckets...)
	var limit *watchword.LimitError
	if !errors.As(err, &limit) {
		t.Fatalf("Take(%v) = %v, want a *LimitError", buckets, err)
	}
	if limit.Rule != rule {
		t.Fatalf("Take(%v) is refused by %q, want %q", buckets, limit.Rule, rule)
	}
	if limit.RetryAfter <= 0 {
		t.Fatalf("Take(%v) may be repeated after %s, want more than 0", buckets, limit.RetryAfter)
	}
	return limit.RetryAfter
}
