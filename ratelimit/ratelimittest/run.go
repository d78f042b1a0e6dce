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

// A Fixture is a store to test. It need not be empty: each test uses app ids and keys of its own.
type Fixture struct {
	// Nodes are clients of the same state, as in several processes. There must be at least one.
	Nodes []ratelimit.Store
	// Advance moves the store's clock. It is nil if the store uses real time; tests of exact times are skipped then.
	Advance func(d time.Duration)
	// Unit is the smallest step of the store's clock; zero with real time.
	Unit time.Duration
}

// Run tests a store.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	s := &suite{Fixture: open(t)}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"racing takes pass up to the limit", s.testRacingTakesPassUpToLimit},
		{"racing takes charge all or none", s.testRacingTakesChargeAllOrNone},
		{"a refused take costs nothing", s.testRefusedTakeCostsNothing},
		{"rules match buckets", s.testRulesMatchBuckets},
		{"the longest wait is named", s.testRefusalNamesLongestWait},
		{"apps are separate", s.testAppsAreSeparate},
		{"all apps share a rule by all", s.testAppsShareRuleByAll},
		{"a bucket named twice pays twice", s.testRepeatedBucketPaysTwice},
		{"passes after RetryAfter", s.testTakePassesAfterRetryAfter},
		{"a named take can be refunded", s.testRefundReturnsNamedTake},
		{"racing refunds count once", s.testRacingRefundsCountOnce},
		{"is a limiter.Store", s.testLimiterStoreGetAndPeek},
		{"limiter.Store increments and resets", s.testLimiterStoreIncrementAndReset},
		{"works in the limiter's middleware", s.testLimiterStoreInMiddleware},
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

// newAppID returns a unique app id.
func (s *suite) newAppID() string {
	return fmt.Sprintf("app-%d-%d", time.Now().UnixNano(), s.ids.Add(1))
}

// newRuleName returns a unique rule name, for windows that apps share.
func (s *suite) newRuleName() string {
	return fmt.Sprintf("rule_%d_%d", time.Now().UnixNano(), s.ids.Add(1))
}

// limiters returns one limiter of an app for each node.
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

// limiter returns the limiter of an app on the first node.
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

// requirePass fails the test unless a Take of the buckets passes.
func requirePass(t testing.TB, l *ratelimit.Limiter, buckets ...watchword.Bucket) {
	t.Helper()
	if err := l.Take(context.Background(), buckets...); err != nil {
		t.Fatalf("Take(%v) = %v, want nil", buckets, err)
	}
}

// requireRefused fails the test unless the rule refuses a Take of the buckets. It returns RetryAfter.
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
