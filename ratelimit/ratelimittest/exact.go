package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// testWaitsAreExact compares a store with a model that keeps all events. A Take must pass if and only if it fits into every window. If
// it is refused, RetryAfter must be the time until it fits into the last window: one Unit earlier the same Take is refused, and then
// it passes.
func (s *suite) testWaitsAreExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rules := drawRules(r)
		l, err := ratelimit.New(s.Nodes[0], rules, s.newAppID())
		if err != nil {
			r.Fatal(err)
		}
		h := &history{spent: map[string][]time.Duration{}}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			s.advance(h, time.Duration(rapid.Int64Range(0, 20_000).Draw(r, "ms"))*time.Millisecond)
			buckets := rapid.SliceOfN(rapid.SampledFrom([]watchword.Bucket{address("a"), address("b"), ip("a"), ip("b")}), 1, 3).Draw(r, "buckets")
			s.takeAtExactTime(r, l, h, rules, buckets)
		}
		h.requireLimitHeld(r, rules)
	})
}

func drawRules(r *rapid.T) []ratelimit.Rule {
	var rules []ratelimit.Rule
	for i := range rapid.IntRange(1, 4).Draw(r, "rules") {
		rules = append(rules, ratelimit.Rule{
			Name:   fmt.Sprintf("rule_%d", i),
			Limit:  rapid.IntRange(3, 8).Draw(r, "limit"), // at least the largest number of tokens of one Take
			Window: time.Duration(rapid.Int64Range(1, 60_000).Draw(r, "window")) * time.Millisecond,
			By:     rapid.SampledFrom([]string{ratelimit.ByAddress, ratelimit.ByIP}).Draw(r, "by"),
		})
	}
	return rules
}

// testWaitsAreExactInLongHistories is testWaitsAreExact with few windows and many events in each, some of which have ended.
func (s *suite) testWaitsAreExactInLongHistories(t *testing.T) {
	const window = 10 * time.Second
	rules := []ratelimit.Rule{
		{Name: "some", Limit: 60, Window: window / 2, By: ratelimit.ByAddress},
		{Name: "many", Limit: 150, Window: window, By: ratelimit.ByAddress},
	}
	l := s.limiter(t, s.newAppID(), rules...)
	h := &history{spent: map[string][]time.Duration{}}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		pause := window / 100
		if random.IntN(100) == 0 {
			pause = 2 * window
		}
		s.advance(h, time.Duration(random.Int64N(int64(pause))).Truncate(time.Microsecond))
		s.takeAtExactTime(t, l, h, rules, slices.Repeat([]watchword.Bucket{address("a")}, 1+random.IntN(3)))
	}
	h.requireLimitHeld(t, rules)
}

// testClockSetBackGivesNoTokens sets the clock back between events. This must not make tokens available or RetryAfter too short.
func (s *suite) testClockSetBackGivesNoTokens(t *testing.T) {
	for _, limit := range []int{2, 2 * ratelimit.ExactLimit} {
		l := s.limiter(t, s.newAppID(), ratelimit.Rule{Name: "back", Limit: limit, Window: time.Minute, By: ratelimit.ByAddress})
		half, all := slices.Repeat([]watchword.Bucket{address("a")}, limit/2), slices.Repeat([]watchword.Bucket{address("a")}, limit)
		for range 2 {
			requirePass(t, l, half...)
			s.Advance(-30 * time.Second)
		}
		wait := requireRefused(t, "back", l, all...)
		if first := requireRefused(t, "back", l, half...); wait < first {
			t.Errorf("limit %d: RetryAfter of all tokens is %s, shorter than %s of half of them", limit, wait, first)
		}
		s.Advance(wait)
		requirePass(t, l, all...)
	}
}

// takeAtExactTime takes once if the Take fits. If not, it takes at once, one Unit before RetryAfter, and at RetryAfter.
func (s *suite) takeAtExactTime(r rapid.TB, l *ratelimit.Limiter, h *history, rules []ratelimit.Rule, buckets []watchword.Bucket) {
	wait := h.wait(rules, buckets)
	if wait > 0 {
		s.requireRefusal(r, l, h, rules, buckets, wait)
		s.advance(h, wait-s.Unit)
		s.requireRefusal(r, l, h, rules, buckets, s.Unit)
		s.advance(h, s.Unit)
	}
	if err := l.Take(context.Background(), buckets...); err != nil {
		r.Fatalf("at %s: Take(%v) = %v, want nil", h.now, buckets, err)
	}
	h.spend(rules, buckets)
}

func (s *suite) requireRefusal(r rapid.TB, l *ratelimit.Limiter, h *history, rules []ratelimit.Rule, buckets []watchword.Bucket, wait time.Duration) {
	err := l.Take(context.Background(), buckets...)
	var limit *watchword.LimitError
	if !errors.As(err, &limit) {
		r.Fatalf("at %s: Take(%v) = %v, want a refusal", h.now, buckets, err)
	}
	if limit.RetryAfter != wait {
		r.Fatalf("at %s: Take(%v) may be repeated after %s, want %s", h.now, buckets, limit.RetryAfter, wait)
	}
	for _, rule := range rules {
		if rule.Name == limit.Rule && h.wait([]ratelimit.Rule{rule}, buckets) != wait {
			r.Fatalf("at %s: Take(%v) is refused by %q, which is not the rule that waits longest", h.now, buckets, rule.Name)
		}
	}
}

func (s *suite) advance(h *history, d time.Duration) {
	s.Advance(d)
	h.now += d
}

// A history is the model of a store: the time at which each token of each window was spent.
type history struct {
	now   time.Duration
	spent map[string][]time.Duration
}

func windowOf(rule ratelimit.Rule, b watchword.Bucket) string { return rule.Name + " " + b.Key }

// tokensPerWindow returns the number of tokens that the buckets cost in each window of a rule.
func tokensPerWindow(rule ratelimit.Rule, buckets []watchword.Bucket) map[string]int {
	n := map[string]int{}
	for _, b := range buckets {
		if b.By == rule.By {
			n[windowOf(rule, b)]++
		}
	}
	return n
}

// wait returns the time until the buckets fit under all rules.
func (h *history) wait(rules []ratelimit.Rule, buckets []watchword.Bucket) (longest time.Duration) {
	for _, rule := range rules {
		for window, n := range tokensPerWindow(rule, buckets) {
			times := h.spent[window]
			if oldest := len(times) + n - rule.Limit - 1; oldest >= 0 { // this event must have ended
				longest = max(longest, times[oldest]+rule.Window-h.now)
			}
		}
	}
	return longest
}

func (h *history) spend(rules []ratelimit.Rule, buckets []watchword.Bucket) {
	for _, rule := range rules {
		for window, n := range tokensPerWindow(rule, buckets) {
			for range n {
				h.spent[window] = append(h.spent[window], h.now)
			}
		}
	}
}

// requireLimitHeld checks the limit in every period as long as a rule's window that begins with an event.
func (h *history) requireLimitHeld(r rapid.TB, rules []ratelimit.Rule) {
	for _, rule := range rules {
		for _, b := range []watchword.Bucket{address("a"), address("b")} { // the keys of all buckets
			times := h.spent[windowOf(rule, b)]
			for i := rule.Limit; i < len(times); i++ {
				if times[i]-times[i-rule.Limit] < rule.Window {
					r.Fatalf("%q: %d events within %s", rule.Name, rule.Limit+1, times[i]-times[i-rule.Limit])
				}
			}
		}
	}
}
