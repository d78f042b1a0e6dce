package ratelimittest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

func (s *suite) refusedIsFree(t *testing.T) {
	l := s.limiter(t, s.app(),
		ratelimit.Rule{Name: "ip", Limit: 2, Window: time.Hour, By: ratelimit.ByIP},
		ratelimit.Rule{Name: "address", Limit: 1, Window: time.Hour, By: ratelimit.ByAddress})
	passes(t, l, ip("i"), address("a"))
	for range 5 {
		refused(t, "address", l, ip("i"), address("a"))
	}
	passes(t, l, ip("i"), address("b"))
	refused(t, "ip", l, ip("i"), address("c"))
	passes(t, l, ip("j"), address("c"))
}

func (s *suite) matching(t *testing.T) {
	rule := func(name, by string, channels ...string) ratelimit.Rule {
		return ratelimit.Rule{Name: name, Limit: 1, Window: time.Hour, By: by, Channels: channels}
	}
	all := rule("all_channels", ratelimit.ByAddress)
	all.Limit = 3
	l := s.limiter(t, s.app(), all, rule("phone", ratelimit.ByAddress, "sms", "voice"),
		rule("mail", ratelimit.ByAddress, "email"), rule("country", ratelimit.ByCountry))
	by := func(by, channel string) watchword.Bucket {
		return watchword.Bucket{By: by, Key: "k", Channel: channel}
	}
	passes(t, l, by(ratelimit.ByAddress, "sms"))
	refused(t, "phone", l, by(ratelimit.ByAddress, "sms"))
	refused(t, "phone", l, by(ratelimit.ByAddress, "voice"))
	passes(t, l, by(ratelimit.ByAddress, "email"))
	refused(t, "mail", l, by(ratelimit.ByAddress, "email"))
	passes(t, l, by(ratelimit.ByAddress, "whatsapp"))
	refused(t, "all_channels", l, by(ratelimit.ByAddress, "whatsapp"))
	refused(t, "all_channels", l, by(ratelimit.ByAddress, ""))
	for range 3 { // the same key counts elsewhere, or not at all
		passes(t, l, by(ratelimit.BySubject, "sms"), by(ratelimit.ByIP, "sms"), by(ratelimit.ByPrefix, "sms"), by(ratelimit.ByApp, ""))
	}
	passes(t, l, by(ratelimit.ByCountry, "sms"))
	refused(t, "country", l, by(ratelimit.ByCountry, "sms"))
	passes(t, l)
}

func (s *suite) longestWait(t *testing.T) {
	for _, rules := range [][]ratelimit.Rule{
		{{Name: "short", Limit: 1, Window: time.Minute, By: ratelimit.ByIP}, {Name: "long", Limit: 1, Window: time.Hour, By: ratelimit.ByIP}},
		{{Name: "long", Limit: 1, Window: time.Hour, By: ratelimit.ByIP}, {Name: "short", Limit: 1, Window: time.Minute, By: ratelimit.ByIP}},
	} {
		l := s.limiter(t, s.app(), rules...)
		passes(t, l, ip("i"))
		if wait := refused(t, "long", l, ip("i")); wait <= time.Minute || wait > time.Hour {
			t.Errorf("RetryAfter = %s, want nearly an hour", wait)
		}
	}
}

func (s *suite) appsApart(t *testing.T) {
	rule := ratelimit.Rule{Name: "one", Limit: 1, Window: time.Hour, By: ratelimit.ByAddress}
	first, second := s.limiter(t, s.app(), rule), s.limiter(t, s.app(), rule)
	passes(t, first, address("a"))
	passes(t, second, address("a"))
	refused(t, "one", first, address("a"))
}

func (s *suite) allAppsShare(t *testing.T) {
	rules := []ratelimit.Rule{
		{Name: s.name(), Limit: 2, Window: time.Hour, By: ratelimit.ByAll},
		{Name: "one", Limit: 1, Window: time.Hour, By: ratelimit.ByAddress},
	}
	all := func(key string) watchword.Bucket { return watchword.Bucket{By: ratelimit.ByAll, Key: key} }
	first, second := s.limiter(t, s.app(), rules...), s.limiter(t, s.app(), rules...)
	passes(t, first, all("first app's own key"), address("a"))
	refused(t, "one", first, all("first app's own key"), address("a"))
	passes(t, second, all("second app's own key"), address("a"))
	refused(t, rules[0].Name, second, all("second app's own key"), address("b"))
	refused(t, rules[0].Name, first, all("first app's own key"), address("b"))
	known := watchword.Bucket{By: ratelimit.ByAll, Key: "first app's own key", Known: true}
	passes(t, first, known, address("b"))
	passes(t, second, known, address("b"))
	refused(t, rules[0].Name, first, known, address("c"))
}

func (s *suite) paysTwice(t *testing.T) {
	l := s.limiter(t, s.app(), ratelimit.Rule{Name: "three", Limit: 3, Window: time.Hour, By: ratelimit.ByAddress})
	passes(t, l, address("a"), address("a"))
	refused(t, "three", l, address("a"), address("a"))
	passes(t, l, address("a"))
	refused(t, "three", l, address("b"), address("b"), address("b"), address("b"))
}

// passesAfterRetry works with real time too: to come later than one must is no mistake.
func (s *suite) passesAfterRetry(t *testing.T) {
	for _, test := range []struct{ limit, tokens int }{{3, 1}, {ratelimit.ExactLimit + 1, 200}} {
		l := s.limiter(t, s.app(), ratelimit.Rule{Name: "soon", Limit: test.limit, Window: 500 * time.Millisecond, By: ratelimit.ByAddress})
		buckets := slices.Repeat([]watchword.Bucket{address("a")}, test.tokens)
		var limit *watchword.LimitError
		for err := error(nil); !errors.As(err, &limit); { // a slow machine's window moves on while it is filled
			if err = l.Take(t.Context(), buckets...); err != nil && !errors.As(err, &limit) {
				t.Fatal(err)
			}
		}
		if s.Advance != nil {
			s.Advance(limit.RetryAfter)
		} else {
			time.Sleep(limit.RetryAfter)
		}
		passes(t, l, buckets...)
	}
}
