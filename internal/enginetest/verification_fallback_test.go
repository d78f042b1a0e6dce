package enginetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp"
)

// withReports says that the senders of text messages get delivery reports, and those of mail do not.
func withReports(c *watchword.Config) {
	c.Reports = func(channel, sender string) bool { return channel == "sms" && sender != "sender 1" }
}

// fallbackTo is a verification by text message whose fallback after 30 seconds is the method.
func fallbackTo(method watchword.MethodRequest) watchword.VerificationRequest {
	method.Fallback = true
	req := verificationOf(smsMethod, method)
	req.Open, req.Fallback = watchword.OpenFirst, 30*time.Second
	return req
}

// send lets a sender accept the current message of a challenge.
func (k *verificationKit) send(challenge string) {
	k.t.Helper()
	o := k.outbox.last(challenge)
	m := k.compose(o)
	k.record(o.Composed(m), watchword.Delivery{Status: watchword.DeliverySent, Provider: "p", Channel: m.Channel})
}

// isThere lets somebody be at the page.
func (k *verificationKit) isThere(id string) {
	k.t.Helper()
	if err := k.RecordPresence(context.Background(), id); err != nil {
		k.t.Fatal(err)
	}
}

// askForFallback asks whether the fallback of a challenge's verification must be opened, as the worker does.
func (k *verificationKit) askForFallback(challenge string) error {
	return askForFallback(k.Engine, challenge)
}

func askForFallback(e *watchword.Engine, challenge string) error {
	_, err := e.ComposeMessage(context.Background(), watchword.Outgoing{Kind: watchword.KindFallback, ChallengeID: challenge, Send: 1})
	return err
}

// questions returns the questions about the fallback that are queued for a challenge.
func (k *verificationKit) questions(challenge string) (out []watchword.Outgoing) {
	for _, o := range k.outbox.ofChallenge(challenge) {
		if o.Kind == watchword.KindFallback {
			out = append(out, o)
		}
	}
	return out
}

// requireFallback requires that the fallback was opened once, or not at all.
func (k *verificationKit) requireFallback(id string, opened bool) {
	k.t.Helper()
	v := k.view(id)
	if got := v.Methods[1].Challenge != ""; got != opened {
		k.t.Fatalf("the fallback is opened: %t, want %t", got, opened)
	}
	want := watchword.FallbackView{}
	if opened {
		want = watchword.FallbackView{Method: "m2", From: "m1"}
		if n := len(k.outbox.ofChallenge(v.Methods[1].Challenge)); n != 1 || v.Method != "m2" {
			k.t.Fatalf("%d messages of the fallback, and the method is %s", n, v.Method)
		}
	}
	if v.Fallback != want {
		k.t.Fatalf("%+v, want %+v", v.Fallback, want)
	}
}

func TestFailedMessageOpensTheFallbackAtOnce(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		k := newVerificationKit(t, withReports, outbox)
		v := k.startVerification(fallbackTo(mailMethod))
		sms := v.Challenge.ID
		k.isThere(v.ID)
		k.send(sms)
		k.report(sms, watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "sms"})
		asked := k.questions(sms)
		if len(asked) != 2 || !asked[1].Due.IsZero() {
			t.Fatalf("queued %+v", asked)
		}
		if err := k.askForFallback(sms); !errors.Is(err, watchword.ErrClosed) {
			t.Fatal(err)
		}
		k.requireFallback(v.ID, true)
		for range 3 { // the question may be repeated
			if err := k.askForFallback(sms); !errors.Is(err, watchword.ErrClosed) {
				t.Fatal(err)
			}
		}
		k.requireFallback(v.ID, true)
		if _, err := k.checkMethod(v.ID, "m2", k.code(k.view(v.ID).Challenge.ID)); err != nil {
			t.Fatal(err)
		}
		if got := k.view(v.ID); got.Status != watchword.Approved {
			t.Errorf("status %s", got.Status)
		}
	})
}

// A question that comes too early, as an attacker may queue it, waits.
func TestSilenceOpensTheFallbackNotBeforeItsTime(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		k := newVerificationKit(t, withReports, outbox)
		v := k.startVerification(fallbackTo(mailMethod))
		sms := v.Challenge.ID
		k.send(sms)
		asked := k.questions(sms)
		if len(asked) != 1 || asked[0].Due.Sub(k.clock.Now()) != 30*time.Second {
			t.Fatalf("queued %+v", asked)
		}
		k.clock.advance(20 * time.Second)
		k.isThere(v.ID)
		var early *watchword.ClaimedError
		if err := k.askForFallback(sms); !errors.As(err, &early) || !early.Until.Equal(asked[0].Due) {
			t.Fatalf("too early: %v", err)
		}
		k.requireFallback(v.ID, false)
		k.clock.advance(10 * time.Second)
		if err := k.askForFallback(sms); !errors.Is(err, watchword.ErrClosed) {
			t.Fatal(err)
		}
		k.requireFallback(v.ID, true)
	})
}

func TestFallbackIsNotOpened(t *testing.T) {
	delivered := watchword.Delivery{Status: watchword.DeliveryDelivered, Provider: "p", Channel: "sms"}
	failed := watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "sms"}
	limits := &limiterSpy{}
	cases := map[string]struct {
		req     watchword.VerificationRequest
		options []func(*watchword.Config)
		absent  bool
		failure bool
		before  func(k *verificationKit, v *watchword.StartedVerification)
	}{
		"the message was delivered":         {before: func(k *verificationKit, v *watchword.StartedVerification) { k.report(v.Challenge.ID, delivered) }},
		"the sender does not report":        {options: []func(*watchword.Config){func(c *watchword.Config) { c.Reports = func(string, string) bool { return false } }}},
		"nobody says who reports":           {options: []func(*watchword.Config){func(c *watchword.Config) { c.Reports = nil }}},
		"reports of the prefix rarely come": {options: []func(*watchword.Config){withSilentPrefixes}},
		"nobody is there":                   {absent: true},
		"nobody is there, after a failure":  {absent: true, failure: true, before: func(k *verificationKit, v *watchword.StartedVerification) { k.report(v.Challenge.ID, failed) }},
		"somebody has answered": {options: []func(*watchword.Config){withFixedSMSCode}, before: func(k *verificationKit, v *watchword.StartedVerification) {
			if err := k.answerOnPage(v.ID, "", "000000"); err != nil {
				k.t.Fatal(err)
			}
		}},
		"it was canceled": {before: func(k *verificationKit, v *watchword.StartedVerification) {
			if _, err := k.CancelVerification(context.Background(), v.ID); err != nil {
				k.t.Fatal(err)
			}
		}},
		"the person has gone on to another method": {req: func() watchword.VerificationRequest {
			req := fallbackTo(mailMethod)
			req.Methods = append(req.Methods, totpMethod)
			return req
		}(), failure: true, before: func(k *verificationKit, v *watchword.StartedVerification) {
			k.open(v.ID, "m3")
			k.report(v.Challenge.ID, failed)
		}},
		"a limit refuses": {failure: true, options: []func(*watchword.Config){func(c *watchword.Config) { c.Starts = limits }},
			before: func(k *verificationKit, v *watchword.StartedVerification) {
				limits.refuse = true
				k.report(v.Challenge.ID, failed)
			}},
		"none was asked for": {req: func() watchword.VerificationRequest {
			req := verificationOf(smsMethod, mailMethod)
			req.Open = watchword.OpenFirst
			return req
		}(), failure: true, before: func(k *verificationKit, v *watchword.StartedVerification) { k.report(v.Challenge.ID, failed) }},
		"of a decoy": {req: func() watchword.VerificationRequest {
			req := fallbackTo(mailMethod)
			req.Decoy = true
			return req
		}()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			limits.refuse = false
			k := newVerificationKit(t, append([]func(*watchword.Config){withReports}, c.options...)...)
			req := c.req
			if req.Methods == nil {
				req = fallbackTo(mailMethod)
			}
			v := k.startVerification(req)
			if name == "of a decoy" || name == "somebody has answered" { // nothing is really sent
				_, _ = k.ComposeMessage(context.Background(), k.outbox.last(v.Challenge.ID))
			} else {
				k.send(v.Challenge.ID)
			}
			if c.before != nil {
				c.before(k, v)
			}
			k.clock.advance(31 * time.Second)
			if !c.absent {
				_ = k.RecordPresence(context.Background(), v.ID)
			}
			if err := k.askForFallback(v.Challenge.ID); !errors.Is(err, watchword.ErrClosed) {
				t.Errorf("asked: %v", err)
			}
			k.requireFallback(v.ID, false)
			limits.refuse = false
			if c.failure && !c.absent { // once refused, it is not opened later either
				if err := k.askForFallback(v.Challenge.ID); !errors.Is(err, watchword.ErrClosed) {
					t.Errorf("asked again: %v", err)
				}
				k.requireFallback(v.ID, false)
			}
		})
	}
}

// withFixedSMSCode makes alice's phone number a test identity.
func withFixedSMSCode(c *watchword.Config) {
	codes, err := otp.New(otp.Config{Clock: c.Clock, TestAddresses: []otp.TestIdentity{
		{Address: alicePhone, Code: "000000", Purposes: []string{"sign_in"}, Until: c.Clock().Add(24 * time.Hour)}}})
	if err != nil {
		panic(err)
	}
	c.Strategies[0] = codes
}

func TestSilenceOfMailNeverOpensAPaidChannel(t *testing.T) {
	reports := func(c *watchword.Config) { c.Reports = func(string, string) bool { return true } }
	for name, c := range map[string]struct {
		target watchword.MethodRequest
		failed bool
		want   bool
	}{
		"mail to text message, silence": {smsMethod, false, false},
		"mail to text message, failure": {smsMethod, true, true},
		"mail to another mail, silence": {linkMethod, false, true},
		"mail to an app, silence":       {totpMethod, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newVerificationKit(t, reports)
			req := fallbackTo(c.target)
			req.Methods[0] = mailMethod
			v := k.startVerification(req)
			k.send(v.Challenge.ID)
			if c.failed {
				k.report(v.Challenge.ID, watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "email"})
			}
			k.clock.advance(31 * time.Second)
			k.isThere(v.ID)
			if err := k.askForFallback(v.Challenge.ID); !errors.Is(err, watchword.ErrClosed) {
				t.Fatal(err)
			}
			if got := k.view(v.ID).Fallback.Method != ""; got != c.want {
				t.Errorf("opened: %t", got)
			}
		})
	}
}

// A message that fails while the page is still loading opens the fallback when somebody is there, and not later than 30 seconds
// after it was requested.
func TestFallbackWaitsForSomebodyToCome(t *testing.T) {
	for _, comes := range []bool{true, false} {
		k := newVerificationKit(t)
		v := k.startVerification(fallbackTo(mailMethod))
		sms := v.Challenge.ID
		k.report(sms, watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "sms"})
		var wait *watchword.ClaimedError
		if err := k.askForFallback(sms); !errors.As(err, &wait) || wait.Until.Sub(k.clock.Now()) > 5*time.Second {
			t.Fatalf("nobody is there yet: %v", err)
		}
		k.clock.advance(3 * time.Second)
		if comes {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if _, err := k.WaitVerification(ctx, v.ID); err != nil { // a waiting caller is somebody
				t.Fatal(err)
			}
			cancel()
		} else {
			k.clock.advance(30 * time.Second)
		}
		if err := k.askForFallback(sms); !errors.Is(err, watchword.ErrClosed) {
			t.Fatal(err)
		}
		k.requireFallback(v.ID, comes)
	}
}

// The limits count the fallback as a start by the same client.
func TestFallbackIsChargedLikeAStart(t *testing.T) {
	limits := &limiterSpy{}
	k := newVerificationKit(t, func(c *watchword.Config) { c.Starts = limits })
	req := fallbackTo(mailMethod)
	req.Client.IP = "203.0.113.7"
	v := k.startVerification(req)
	k.isThere(v.ID)
	k.report(v.Challenge.ID, watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "sms"})
	limits.last = nil
	if err := k.askForFallback(v.Challenge.ID); !errors.Is(err, watchword.ErrClosed) {
		t.Fatal(err)
	}
	by := map[string]bool{}
	for _, b := range limits.last {
		by[b.By] = b.Channel == "email"
	}
	for _, name := range []string{"address", "subject", "ip", "app", "all"} {
		if !by[name] {
			t.Errorf("charged %v", by)
		}
	}
	k.requireFallback(v.ID, true)
}
