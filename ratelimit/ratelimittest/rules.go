package ratelimittest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

func (s *suite) testRefusedTakeCostsNothing(t *testing.T) {
	l := s.limiter(t, s.newAppID(),
		ratelimit.Rule{Name: "ip", Limit: 2, Window: time.Hour, By: ratelimit.ByIP},
		ratelimit.Rule{Name: "address", Limit: 1, Window: time.Hour, By: ratelimit.ByAddress})
	requirePass(t, l, ip("i"), address("a"))
	for range 5 {
		requireRefused(t, "address", l, ip("i"), address("a"))
	}
	requirePass(t, l, ip("i"), address("b"))
	requireRefused(t, "ip", l, ip("i"), address("c"))
	requirePass(t, l, ip("j"), address("c"))
}

func (s *suite) testRulesMatchBuckets(t *testing.T) {
	rule := func(name, by string, channels ...string) ratelimit.Rule {
		return ratelimit.Rule{Name: name, Limit: 1, Window: time.Hour, By: by, Channels: channels}
	}
	all := rule("all_channels", ratelimit.ByAddress)
	all.Limit = 3
	l := s.limiter(t, s.newAppID(), all, rule("phone", ratelimit.ByAddress, "sms", "voice"),
		rule("mail", ratelimit.ByAddress, "email"), rule("country", ratelimit.ByCountry))
	by := func(by, channel string) watchword.Bucket {
		return watchword.Bucket{By: by, Key: "k", Channel: channel}
	}
	requirePass(t, l, by(ratelimit.ByAddress, "sms"))
	requireRefused(t, "phone", l, by(ratelimit.ByAddress, "sms"))
	requireRefused(t, "phone", l, by(ratelimit.ByAddress, "voice"))
	requirePass(t, l, by(ratelimit.ByAddress, "email"))
	requireRefused(t, "mail", l, by(ratelimit.ByAddress, "email"))
	requirePass(t, l, by(ratelimit.ByAddress, "whatsapp"))
	requireRefused(t, "all_channels", l, by(ratelimit.ByAddress, "whatsapp"))
	requireRefused(t, "all_channels", l, by(ratelimit.ByAddress, ""))
	for range 3 { // buckets that no rule counts by
		requirePass(t, l, by(ratelimit.BySubject, "sms"), by(ratelimit.ByIP, "sms"), by(ratelimit.ByPrefix, "sms"), by(ratelimit.ByApp, ""))
	}
	requirePass(t, l, by(ratelimit.ByCountry, "sms"))
	requireRefused(t, "country", l, by(ratelimit.ByCountry, "sms"))
	requirePass(t, l)
}

func (s *suite) testRefusalNamesLongestWait(t *testing.T) {
	for _, rules := range [][]ratelimit.Rule{
		{{Name: "short", Limit: 1, Window: time.Minute, By: ratelimit.ByIP}, {Name: "long", Limit: 1, Window: time.Hour, By: ratelimit.ByIP}},
		{{Name: "long", Limit: 1, Window: time.Hour, By: ratelimit.ByIP}, {Name: "short", Limit: 1, Window: time.Minute, By: ratelimit.ByIP}},
	} {
		l := s.limiter(t, s.newAppID(), rules...)
		requirePass(t, l, ip("i"))
		if wait := requireRefused(t, "long", l, ip("i")); wait <= time.Minute || wait > time.Hour {
			t.Errorf("RetryAfter = %s, want nearly an hour", wait)
		}
	}
}

func (s *suite) testAppsAreSeparate(t *testing.T) {
	rule := ratelimit.Rule{Name: "one", Limit: 1, Window: time.Hour, By: ratelimit.ByAddress}
	first, second := s.limiter(t, s.newAppID(), rule), s.limiter(t, s.newAppID(), rule)
	requirePass(t, first, address("a"))
	requirePass(t, second, address("a"))
	requireRefused(t, "one", first, address("a"))
}

func (s *suite) testAppsShareRuleByAll(t *testing.T) {
	rules := []ratelimit.Rule{
		{Name: s.newRuleName(), Limit: 2, Window: time.Hour, By: ratelimit.ByAll},
		{Name: "one", Limit: 1, Window: time.Hour, By: ratelimit.ByAddress},
	}
	all := func(key string) watchword.Bucket { return watchword.Bucket{By: ratelimit.ByAll, Key: key} }
	first, second := s.limiter(t, s.newAppID(), rules...), s.limiter(t, s.newAppID(), rules...)
	requirePass(t, first, all("first app's own key"), address("a"))
	requireRefused(t, "one", first, all("first app's own key"), address("a"))
	requirePass(t, second, all("second app's own key"), address("a"))
	requireRefused(t, rules[0].Name, second, all("second app's own key"), address("b"))
	requireRefused(t, rules[0].Name, first, all("first app's own key"), address("b"))
	known := watchword.Bucket{By: ratelimit.ByAll, Key: "first app's own key", Known: true}
	requirePass(t, first, known, address("b"))
	requirePass(t, second, known, address("b"))
	requireRefused(t, rules[0].Name, first, known, address("c"))
}

func (s *suite) testRepeatedBucketPaysTwice(t *testing.T) {
	l := s.limiter(t, s.newAppID(), ratelimit.Rule{Name: "three", Limit: 3, Window: time.Hour, By: ratelimit.ByAddress})
	requirePass(t, l, address("a"), address("a"))
	requireRefused(t, "three", l, address("a"), address("a"))
	requirePass(t, l, address("a"))
	requireRefused(t, "three", l, address("b"), address("b"), address("b"), address("b"))
}

// testTakePassesAfterRetryAfter also works with real time, because taking later than RetryAfter is allowed.
func (s *suite) testTakePassesAfterRetryAfter(t *testing.T) {
	for _, test := range []struct{ limit, tokens int }{{3, 1}, {ratelimit.ExactLimit + 1, 200}} {
		l := s.limiter(t, s.newAppID(), ratelimit.Rule{Name: "soon", Limit: test.limit, Window: 500 * time.Millisecond, By: ratelimit.ByAddress})
		buckets := slices.Repeat([]watchword.Bucket{address("a")}, test.tokens)
		var limit *watchword.LimitError
		for err := error(nil); !errors.As(err, &limit); { // on a slow machine events end while the window is filled
			if err = l.Take(t.Context(), buckets...); err != nil && !errors.As(err, &limit) {
				t.Fatal(err)
			}
		}
		if s.Advance != nil {
			s.Advance(limit.RetryAfter)
		} else {
			time.Sleep(limit.RetryAfter)
		}
		requirePass(t, l, buckets...)
	}
}
