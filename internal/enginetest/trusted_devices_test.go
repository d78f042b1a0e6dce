package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/ratelimit"
)

// startBySMS returns a start to one of the numbers of a block, by a client with its own IP address.
func startBySMS(n int) watchword.StartRequest {
	return watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: fmt.Sprintf("+1415555%04d", n),
		Subject: fmt.Sprintf("user_%d", n), Client: watchword.Client{IP: fmt.Sprintf("203.0.%d.%d", n/250, n%250)}}
}

// A trusted device can start whichever limit strangers have used up.
func TestTrustedDeviceStartsWhenStrangersFilledLimits(t *testing.T) {
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
				req := startBySMS(n)
				if by == ratelimit.ByIP { // all clients share one IP address
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
			if refused := k.requireCode(start(200, false), watchword.ErrRateLimited); refused.Limit != "filled" {
				t.Fatalf("refused by %q", refused.Limit)
			}
			for n := range 200 {
				if err := start(n, true); err != nil {
					t.Fatalf("known device %d: %v", n, err)
				}
			}
			k.requireCode(start(200, true), watchword.ErrRateLimited)
		})
	}
}

// Wrong answers of strangers temporarily lock a factor. A trusted device can still answer, until there were 100 consecutive
// failures.
func TestTrustedDeviceIsNotTemporarilyLocked(t *testing.T) {
	t.Parallel()
	right := false
	l := &scriptedVerifier{
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
	k := newKit(t, withVerifier(l), func(c *watchword.Config) { c.NoBudget = true })
	if _, err := k.check(k.start(enrolmentStart()).ID, "x", forEnrolment); err != nil {
		t.Fatal(err)
	}
	try := func(known bool) error {
		req := verifierStart()
		req.Client.Known = known
		_, err := k.check(k.start(req).ID, "x")
		return err
	}
	for range 10 {
		k.requireCode(try(false), watchword.ErrIncorrectAnswer)
	}
	k.requireCode(try(false), watchword.ErrTooManyGuesses)
	k.requireCode(try(true), watchword.ErrIncorrectAnswer)
	k.requireCode(try(false), watchword.ErrTooManyGuesses)
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
	k.requireCode(try(true), watchword.ErrFactorDisabled)
}

// refuseNumbers is an address policy that refuses every number for an hour, as a circuit breaker does.
func refuseNumbers(c *watchword.Config) {
	policy := c.Addresses
	c.Addresses = func(channel, to string) (watchword.Address, error) {
		a, err := policy(channel, to)
		if err == nil && channel != "" {
			err = &watchword.Error{Code: watchword.ErrRateLimited.Code, Limit: "breaker", RetryAfter: time.Hour}
		}
		return a, err
	}
}

// A temporary refusal names its rule and the time to retry, and sends an event. A trusted device is accepted.
func TestTemporarilyRefusedAddressAcceptsTrustedDevice(t *testing.T) {
	k := newKit(t, refuseNumbers)
	_, err := k.Start(context.Background(), startBySMS(1))
	if refused := k.requireCode(err, watchword.ErrRateLimited); refused.Limit != "breaker" || refused.RetryAfter != time.Hour {
		t.Errorf("%+v", refused)
	}
	if events := k.events.list(); len(events) != 1 || events[0].Type != watchword.EventLimitReached || events[0].Limit != "breaker" {
		t.Errorf("events %+v", events)
	}
	if len(k.outbox.list()) != 0 {
		t.Error("something is sent")
	}
	known := startBySMS(1)
	known.Client.Known = true
	s := k.start(known)
	k.clock.advance(time.Minute)
	if _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Errorf("its resend: %v", err)
	}
}

// Reserved starts are counted by prefix and name their own limit. What they refuse is not counted by other limits.
func TestReservedStartsAreCountedByPrefix(t *testing.T) {
	limiter := func(app string, rule ratelimit.Rule) *ratelimit.Limiter {
		l, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), []ratelimit.Rule{rule}, app)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	k := newKit(t, refuseNumbers, func(c *watchword.Config) {
		c.Reserved = limiter(c.App, ratelimit.Rule{Name: "reserved", Limit: 2, Window: 2 * time.Hour, By: ratelimit.ByPrefix})
		c.Starts = limiter(c.App, ratelimit.Rule{Name: "starts", Limit: 4, Window: time.Hour, By: ratelimit.ByApp})
	})
	limitOf := func(n int) string {
		_, err := k.Start(context.Background(), startBySMS(n))
		refused := k.requireCode(err, watchword.ErrRateLimited)
		if refused.RetryAfter > time.Hour {
			t.Errorf("%s: come back after %s, though the refusal ends before", refused.Limit, refused.RetryAfter)
		}
		return refused.Limit
	}
	k.start(startBySMS(1))
	k.start(startBySMS(2))
	for n := range 10 {
		for limitOf(3+n) != "reserved" { // refused starts are refunded in the background
			time.Sleep(time.Millisecond)
		}
	}
	known := startBySMS(4)
	known.Client.Known = true
	k.start(known)
}

// Metrics get one event for a challenge's first message and one for its approval, and none for messages that only look sent.
func TestEventsCountFirstMessageAndApprovalOnce(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	counted := func() (out []string) {
		for _, ev := range k.events.list() {
			if ev.Prefix != "" && !ev.Repeated && !ev.StartedAt.IsZero() && (strings.HasPrefix(ev.Type, "message.") || ev.Type == watchword.EventApproved) {
				out = append(out, ev.Type)
			}
		}
		return out
	}
	s := k.start(startBySMS(1))
	record := func(status string) {
		t.Helper()
		if err := k.RecordDelivery(ctx, k.outbox.last(s.ID), watchword.Delivery{Status: status, Provider: "p", Channel: "sms"}); err != nil {
			t.Fatal(err)
		}
	}
	record(watchword.DeliverySent)
	record(watchword.DeliverySent)
	record(watchword.DeliveryDelivered)
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{Channel: "voice"}); err != nil {
		t.Fatal(err)
	}
	record(watchword.DeliverySent)
	check := watchword.CheckRequest{Purpose: "sign_in", Subject: "user_1", Answer: watchword.Answer{Text: k.code(s.ID)}, Seed: []byte("again")}
	for _, node := range []*watchword.Engine{k.Engine, k.newNode(), k.Engine} {
		if _, err := node.Check(ctx, s.ID, check); err != nil {
			t.Fatal(err)
		}
	}
	if got := counted(); !slices.Equal(got, []string{watchword.EventMessageSent, watchword.EventApproved}) {
		t.Errorf("counted %v", got)
	}

	k.events.clear()
	s = k.start(startByEmail())
	record(watchword.DeliverySent)
	decoy := startBySMS(2)
	decoy.Decoy = true
	s = k.start(decoy)
	if _, err := k.ComposeMessage(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Fatal(err)
	}
	if got := counted(); len(got) != 0 {
		t.Errorf("mail and decoys: counted %v", got)
	}

	test := newKit(t, func(c *watchword.Config) {
		codes, err := otp.New(otp.Config{Clock: c.Clock, TestAddresses: []otp.TestIdentity{
			{Address: startBySMS(1).To, Code: "000000", Purposes: []string{"sign_in"}, Until: c.Clock().Add(time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Strategies = []watchword.Strategy{codes}
	})
	s = test.start(startBySMS(1))
	if _, err := test.ComposeMessage(ctx, test.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Fatal(err)
	}
	check.Answer.Text = "000000"
	if _, err := test.Check(ctx, s.ID, check); err != nil {
		t.Fatal(err)
	}
	for _, ev := range test.events.list() {
		if ev.Prefix != "" {
			t.Errorf("a test identity's %s is counted for %s", ev.Type, ev.Prefix)
		}
	}
}
