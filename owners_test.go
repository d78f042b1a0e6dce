package watchword_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// bySMS is a start to one of the numbers of a block, by a client with an address of its own.
func bySMS(n int) watchword.StartRequest {
	return watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: fmt.Sprintf("+1415555%04d", n),
		Subject: fmt.Sprintf("user_%d", n), Client: watchword.Client{IP: fmt.Sprintf("203.0.%d.%d", n/250, n%250)}}
}

// Whatever limit strangers fill, a device that the app knows starts as if they were not there.
func TestStrangersStartsDoNotShutOutAKnownDevice(t *testing.T) {
	for _, by := range []string{ratelimit.ByPrefix, ratelimit.ByCountry, ratelimit.ByApp, ratelimit.ByAll, ratelimit.ByIP} {
		t.Run(by, func(t *testing.T) {
			k := newKit(t, func(c *watchword.Config) {
				limiter, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), []ratelimit.Rule{{Name: "filled", Limit: 200, Window: time.Hour, By: by}}, c.App)
				if err != nil {
					t.Fatal(err)
				}
				policy := c.Addresses
				c.Starts, c.Addresses = limiter, func(channel, to string) (watchword.Address, error) {
					a, err := policy(channel, to)
					a.Country, a.Prefix = "US", "+1415555"
					return a, err
				}
			})
			start := func(n int, known bool) error {
				req := bySMS(n)
				if by == ratelimit.ByIP { // everybody behind one address
					req.Client.IP = "203.0.113.7"
				}
				req.Client.Known = known
				_, err := k.Start(context.Background(), req)
				return err
			}
			for n := range 200 {
				if err := start(n, false); err != nil {
					t.Fatal(err)
				}
			}
			if refused := k.mustCode(start(200, false), watchword.ErrRateLimited); refused.Limit != "filled" {
				t.Fatalf("refused by %q", refused.Limit)
			}
			for n := range 200 {
				if err := start(n, true); err != nil {
					t.Fatalf("known device %d: %v", n, err)
				}
			}
			k.mustCode(start(200, true), watchword.ErrRateLimited)
		})
	}
}

// Strangers' wrong answers lock a factor for a while. A device that the app knows goes on, until there are 100 consecutive ones.
func TestTemporaryLockOfAFactorDoesNotStopAKnownDevice(t *testing.T) {
	right := false
	l := &liar{
		enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
			return watchword.Factor{ID: "fa_1"}, nil
		},
		verify: func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
			f, err := c.FindFactor(ctx, "fa_1")
			if err == nil {
				err = f.Usable(c)
			}
			if err != nil {
				return watchword.Proof{}, err
			}
			if right {
				return watchword.Proof{Spend: &f}, nil
			}
			return watchword.Proof{Compared: []watchword.Factor{f}}, watchword.ErrMismatch
		},
	}
	k := newKit(t, withLiar(l), func(c *watchword.Config) { c.NoBudget = true })
	if _, err := k.check(k.start(enrolment()).ID, "x", enrolling); err != nil {
		t.Fatal(err)
	}
	try := func(known bool) error {
		req := judged()
		req.Client.Known = known
		_, err := k.check(k.start(req).ID, "x")
		return err
	}
	for range 10 {
		k.mustCode(try(false), watchword.ErrIncorrectAnswer)
	}
	k.mustCode(try(false), watchword.ErrTooManyGuesses)
	k.mustCode(try(true), watchword.ErrIncorrectAnswer)
	k.mustCode(try(false), watchword.ErrTooManyGuesses)
	right = true
	if err := try(true); err != nil {
		t.Fatalf("the owner's known device: %v", err)
	}
	right = false
	for n := range 100 {
		if err := try(true); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Fatalf("failure %d: %v", n, err)
		}
	}
	right = true
	k.mustCode(try(true), watchword.ErrFactorDisabled)
}
