package ratelimittest

import (
	"testing"
	"time"

	"github.com/ulule/limiter/v3"
	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/ratelimit"
)

// A spending is a number of tokens spent at one time.
type spending struct {
	at    time.Duration
	count int64
}

// testLargeLimitsHold tests windows with limits above ExactLimit: in no period more than the limit is spent, RetryAfter is never too
// short, and events count at most a hundredth of the window (and one Unit) longer than necessary.
func (s *suite) testLargeLimitsHold(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rate := limiter.Rate{
			Limit:  rapid.Int64Range(ratelimit.ExactLimit+1, 4*ratelimit.ExactLimit).Draw(r, "limit"),
			Period: time.Duration(rapid.Int64Range(1, 600_000).Draw(r, "period")) * time.Millisecond,
		}
		charge := ratelimit.Charge{Space: "large:" + s.newRuleName(), Key: "k", Rate: rate}
		h := &largeHistory{charge: charge, slack: charge.Resolution() + s.Unit}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			d := time.Duration(rapid.Float64Range(0, 0.3).Draw(r, "advance") * float64(rate.Period)).Truncate(max(s.Unit, 1))
			s.Advance(d)
			h.now += d
			h.charge.Cost = rapid.Int64Range(1, ratelimit.ExactLimit).Draw(r, "cost")
			s.takeLarge(r, h)
		}
	})
}

func (s *suite) takeLarge(r *rapid.T, h *largeHistory) {
	refusal := s.takeCharge(r, h.charge)
	if refusal == nil {
		h.spend(r)
		return
	}
	if h.within(h.charge.Rate.Period+h.slack)+h.charge.Cost <= h.charge.Rate.Limit {
		r.Fatalf("at %s: a cost of %d is refused though it fits", h.now, h.charge.Cost)
	}
	s.Advance(refusal.RetryAfter)
	h.now += refusal.RetryAfter
	if refusal := s.takeCharge(r, h.charge); refusal != nil {
		r.Fatalf("at %s: a cost of %d is still refused after RetryAfter", h.now, h.charge.Cost)
	}
	h.spend(r)
}

func (s *suite) takeCharge(r *rapid.T, c ratelimit.Charge) *ratelimit.Refusal {
	refusal, err := s.Nodes[0].TakeAll(r.Context(), "large", "", []ratelimit.Charge{c})
	if err != nil {
		r.Fatal(err)
	}
	return refusal
}

// A largeHistory is the model of one window: everything that was spent from it.
type largeHistory struct {
	charge ratelimit.Charge
	slack  time.Duration // how much longer than necessary an event may count
	now    time.Duration
	spent  []spending
}

// spend records the charge, and fails the test if more than the limit was spent in the period that ends now.
func (h *largeHistory) spend(r *rapid.T) {
	h.spent = append(h.spent, spending{h.now, h.charge.Cost})
	if n := h.within(h.charge.Rate.Period); n > h.charge.Rate.Limit {
		r.Fatalf("at %s: %d were spent in a window, the limit is %d", h.now, n, h.charge.Rate.Limit)
	}
}

// within returns how much was spent in the period of the given length that ends now.
func (h *largeHistory) within(length time.Duration) (n int64) {
	for _, s := range h.spent {
		if h.now-s.at < length {
			n += s.count
		}
	}
	return n
}
