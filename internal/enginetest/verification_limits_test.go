package enginetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// The limits count a method when it is opened. A start that they refuse leaves nothing behind.
func TestLimitsCountAMethodWhenItIsOpened(t *testing.T) {
	limits := &limiterSpy{}
	k := newVerificationKit(t, func(c *watchword.Config) { c.Starts = limits })
	req := verificationOf(smsMethod, mailMethod)
	limits.last = nil
	v := k.startVerification(req)
	if limits.last != nil {
		t.Errorf("listing was counted: %v", limits.last)
	}
	k.open(v.ID, "m1")
	if len(limits.last) == 0 || limits.last[0].Channel != "sms" {
		t.Errorf("opening was counted as %v", limits.last)
	}
	limits.last = nil
	k.open(v.ID, "m1")
	if limits.last != nil {
		t.Errorf("the same opening was counted again: %v", limits.last)
	}
	limits.refuse = true
	_, err := k.OpenMethod(context.Background(), v.ID, "m2")
	k.requireCode(err, watchword.ErrRateLimited)
	spy := &recordingStore{Store: k.store.Store}
	k.store.Store = spy
	req.Open = watchword.OpenFirst
	_, err = k.StartVerification(context.Background(), req)
	if k.requireCode(err, watchword.ErrRateLimited); len(spy.created) != 0 {
		t.Errorf("a refused start created %d entries", len(spy.created))
	}
	limits.refuse = false
	k.open(v.ID, "m2")
}

// A throttleSpy is a Throttle that remembers what it counted last.
type throttleSpy struct {
	refuse bool
	last   []watchword.Bucket
}

func (s *throttleSpy) Allow(buckets ...watchword.Bucket) *watchword.LimitError {
	if s.last = buckets; s.refuse {
		return &watchword.LimitError{Rule: "check_ip_minute", RetryAfter: time.Minute}
	}
	return nil
}

// Nothing else would bound the entries that starts make without opening a method.
func TestStartThatOpensNoMethodCountsAsACheck(t *testing.T) {
	checks := &throttleSpy{}
	k := newVerificationKit(t, func(c *watchword.Config) { c.Checks = checks })
	req := verificationOf(smsMethod, mailMethod)
	req.Client.IP = "203.0.113.7"
	k.startVerification(req)
	if len(checks.last) != 2 || checks.last[1] != (watchword.Bucket{By: "ip", Key: "203.0.113.7"}) {
		t.Errorf("counted as %v", checks.last)
	}
	checks.refuse = true
	_, err := k.StartVerification(context.Background(), req)
	k.requireCode(err, watchword.ErrRateLimited)
	req.Open = watchword.OpenFirst // the limits of starts count this one
	k.startVerification(req)
}

func TestVerificationEndsAfterAQuarterOfAnHourAndItsChallengesBefore(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	if life := v.ExpiresAt.Sub(v.CreatedAt); life != 15*time.Minute {
		t.Fatalf("lives %s", life)
	}
	k.clock.advance(8 * time.Minute)
	k.open(v.ID, "m2")
	opened := k.view(v.ID)
	if opened.Challenge.ExpiresAt.After(v.ExpiresAt) || !opened.Challenge.ExpiresAt.Equal(v.ExpiresAt) {
		t.Errorf("the challenge expires at %s, the verification at %s", opened.Challenge.ExpiresAt, v.ExpiresAt)
	}
	k.clock.advance(7 * time.Minute)
	for range 2 {
		if status := k.view(v.ID).Status; status != watchword.Expired {
			t.Fatalf("status %s", status)
		}
	}
	_, err := k.OpenMethod(context.Background(), v.ID, "m3")
	k.requireCode(err, watchword.ErrChallengeExpired)
	_, err = k.checkMethod(v.ID, "m2", "123456")
	k.requireCode(err, watchword.ErrChallengeExpired)
	_, err = k.redeem(v)
	k.requireCode(err, watchword.ErrChallengeExpired)
	if n := len(k.events.ofType(watchword.EventVerificationExpired)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A verification of an app is unknown to another one, and so is an invented id.
func TestVerificationOfAnotherAppIsUnknown(t *testing.T) {
	k := newVerificationKit(t)
	other := k.newNode(func(c *watchword.Config) { c.App, c.Factors = "bank", &memory.Factors{} })
	v := k.startVerification(verificationOf())
	if !k.OwnsVerification(v.ID) || other.OwnsVerification(v.ID) || k.OwnsChallenge(v.ID) || k.OwnsVerification(v.Challenge.ID) {
		t.Error("the id is of another app, or of a challenge")
	}
	swapped := "ch_" + v.ID[len("vf_"):]
	for _, id := range []string{"", "vf_", v.ID + "A", v.ID[:len(v.ID)-1], v.Challenge.ID, "vf_" + v.Challenge.ID[3:], strings.ToUpper(v.ID)} {
		_, err := k.VerificationStatus(context.Background(), id)
		k.requireCode(err, watchword.ErrUnknownVerification)
		_, err = k.OpenMethod(context.Background(), id, "m1")
		k.requireCode(err, watchword.ErrUnknownVerification)
	}
	if _, err := other.VerificationStatus(context.Background(), v.ID); !errors.Is(err, watchword.ErrUnknownVerification) {
		t.Errorf("another app: %v", err)
	}
	if _, err := k.Status(context.Background(), swapped); !errors.Is(err, watchword.ErrUnknownChallenge) {
		t.Errorf("as a challenge: %v", err)
	}
}
