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
		{"exactly the limit passes", s.testRacingTakesPassUpToLimit},
		{"all or none under races", s.testRacingTakesChargeAllOrNone},
		{"a refused take costs nothing", s.testRefusedTakeCostsNothing},
		{"rules match buckets", s.testRulesMatchBuckets},
		{"the longest wait is named", s.testRefusalNamesLongestWait},
		{"apps are apart", s.testAppsAreSeparate},
		{"all apps share a rule by all", s.testAppsShareRuleByAll},
		{"a bucket named twice pays twice", s.testRepeatedBucketPaysTwice},
		{"passes after RetryAfter", s.testTakePassesAfterRetryAfter},
		{"a named take can be given back", s.testRefundReturnsNamedTake},
		{"refunds race", s.testRacingRefundsCountOnce},
		{"is a limiter.Store", s.testLimiterStoreGetAndPeek},
		{"limiter.Store increments and resets", s.testLimiterStoreIncrementAndReset},
		{"its middleware works", s.testLimiterStoreInMiddleware},
	} {
		t.Run(test.name, test.run)
	}
	if s.Advance == nil {
		return
	}
	t.Run("waits are exact", s.testWaitsAreExact)
	t.Run("long histories", s.testWaitsAreExactInLongHistories)
	t.Run("the clock is set back", s.testClockSetBackGivesNoTokens)
	t.Run("large limits hold", s.testLargeLimitsHold)
}

type suite struct {
	Fixture
	ids atomic.Int64
}

// newAppID is a new app's id.
func (s *suite) newAppID() string {
	return fmt.Sprintf("app-%d-%d", time.Now().UnixNano(), s.ids.Add(1))
}

// newRuleName is a new rule's name, for what is not an app's own.
func (s *suite) newRuleName() string {
	return fmt.Sprintf("rule_%d_%d", time.Now().UnixNano(), s.ids.Add(1))
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

// requirePass fails the test unless the buckets can be taken from.
func requirePass(t testing.TB, l *ratelimit.Limiter, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.Take(context.Background(), buckets...); err != nil {
		t.Fatalf("Take(%v) = %v, want nil", buckets, err)
	}
}

// requireRefused fails the test unless the rule refuses the buckets, and returns how long one has to wait.
func requireRefused(t testing.TB, rule string, l *ratelimit.Limiter, buckets ...watchword.Bucket) time.Duration {
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
