package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func TestResendSendsSameCode(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject})
	first := k.code(s.ID)
	_, err := k.Resend(ctx, s.ID, watchword.ResendRequest{})
	if e := k.requireCode(err, watchword.ErrResendTooSoon); e.RetryAfter != 30*time.Second {
		t.Fatalf("retry after %s", e.RetryAfter)
	}
	for i, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		k.clock.advance(wait)
		v, err := k.Resend(ctx, s.ID, watchword.ResendRequest{Channel: []string{"voice", "sms"}[i%2]})
		if err != nil {
			t.Fatal(err)
		}
		if v.SendsLeft != 3-i || k.code(s.ID) != first || v.Channel != []string{"voice", "sms"}[i%2] {
			t.Fatalf("resend %d: %+v", i, v)
		}
	}
	k.clock.advance(2 * time.Minute)
	_, err = k.Resend(ctx, s.ID, watchword.ResendRequest{})
	k.requireCode(err, watchword.ErrSendsExhausted)
	if _, err := k.check(s.ID, first); err != nil {
		t.Fatal(err)
	}
	_, err = k.Resend(ctx, s.ID, watchword.ResendRequest{})
	k.requireCode(err, watchword.ErrChallengeApproved)
}

func TestResendRefusesChannelThatDoesNotReachAddress(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	for _, channel := range []string{"sms", "pigeon"} {
		_, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{Channel: channel})
		k.requireCode(err, watchword.ErrInvalidRequest)
	}
}

// Nobody has to wait for another message after one that failed, until no send is left.
func TestResendAfterFailedDeliveryNeedsNoWait(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(startByEmail())
	for left := 3; left >= 0; left-- {
		if err := k.RecordDelivery(ctx, k.outbox.last(s.ID), watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "email"}); err != nil {
			t.Fatal(err)
		}
		v, err := k.Resend(ctx, s.ID, watchword.ResendRequest{})
		if err != nil || v.SendsLeft != left || !v.SentAt.Equal(k.clock.Now()) {
			t.Fatalf("%d left: %+v %v", left, v, err)
		}
		_, err = k.Resend(ctx, s.ID, watchword.ResendRequest{}) // this one waits to be sent
		if want := watchword.ErrResendTooSoon; left > 0 {
			k.requireCode(err, want)
		}
	}
	_, err := k.Resend(ctx, s.ID, watchword.ResendRequest{})
	k.requireCode(err, watchword.ErrSendsExhausted)
}

func TestResendWithNewCodesInvalidatesOlderCode(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true })
	s := k.start(startByEmail())
	first := k.code(s.ID)
	k.clock.advance(time.Minute)
	if _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if k.code(s.ID) == first {
		t.Fatal("the code did not change")
	}
	_, err := k.check(s.ID, first)
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentResendsSendOneMessage(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	got := runConcurrently(50, func(int) error { _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); return err })
	if got[""] != 1 || got["resend_too_soon"] != 49 || len(k.outbox.ofChallenge(s.ID)) != 2 {
		t.Fatalf("outcomes: %v, messages: %d", got, len(k.outbox.ofChallenge(s.ID)))
	}
}

func TestRecordDeliveryIgnoresEarlierStatus(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject})
	out := k.outbox.last(s.ID)
	record := func(d watchword.Delivery) string {
		t.Helper()
		if err := k.RecordDelivery(ctx, out, d); err != nil {
			t.Fatal(err)
		}
		v, err := k.Status(ctx, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return v.Delivery.Status
	}
	for _, step := range [][2]string{{"sent", "sent"}, {"delivered", "delivered"}, {"sent", "delivered"}, {"failed", "delivered"}} {
		if got := record(watchword.Delivery{Status: step[0], Provider: "p", Channel: "sms"}); got != step[1] {
			t.Fatalf("%s made it %s", step[0], got)
		}
	}
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{Channel: "voice"}); err != nil {
		t.Fatal(err)
	}
	if got := record(watchword.Delivery{Status: "failed"}); got != "queued" {
		t.Fatalf("an older send's outcome made it %s", got)
	}
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil || r.Claims.Channel != "sms" || !slices.Contains(r.Claims.AMR, "sms") {
		t.Fatalf("the code really went by sms: %+v %v", r.Claims, err)
	}
}

// A queued message has no provider; a message that only looks sent names the provider of its channel.
func TestDeliveryNamesProviderOnceSent(t *testing.T) {
	ctx := context.Background()
	k := newKit(t, func(c *watchword.Config) {
		c.ProviderName = func(channel string) string { return "provider of " + channel }
	})
	s := k.start(startByEmail())
	if err := k.RecordDelivery(ctx, k.outbox.last(s.ID), watchword.Delivery{Status: watchword.DeliverySent, Provider: "p", Channel: "email"}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Minute)
	if v, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil || !reflect.DeepEqual(v.Delivery, watchword.Delivery{Status: watchword.DeliveryQueued}) {
		t.Errorf("waiting again: %+v %v", v.Delivery, err)
	}
	req := startByEmail()
	req.Decoy = true
	decoy := k.start(req)
	if _, err := k.ComposeMessage(ctx, k.outbox.last(decoy.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Fatal(err)
	}
	want := watchword.Delivery{Status: watchword.DeliverySent, Provider: "provider of email", Channel: "email"}
	if v, err := k.Status(ctx, decoy.ID); err != nil || !reflect.DeepEqual(v.Delivery, want) {
		t.Errorf("a decoy: %+v %v", v.Delivery, err)
	}
}

// A channel that does not reach the challenge's address is an invalid field of the request.
func TestResendNamesChannelThatDoesNotFitAddress(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	_, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{Channel: "sms"})
	if refused := k.requireCode(err, watchword.ErrInvalidRequest); len(refused.Fields) != 1 || refused.Fields[0].Field != "channel" {
		t.Errorf("%+v", refused.Fields)
	}
}

func TestComposeMessageRefusesOlderSend(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	if _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	node := k.newNode()
	if _, err := node.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 1}); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("the first message: %v", err)
	}
	if _, err := node.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 2}); err != nil {
		t.Fatal(err)
	}
}

// A queue keeps a challenge's record for messages that are sent soon. For delayed and retried messages it keeps the ids, and
// composing them reads the store.
func TestQueueKeepsOnlyIDsOfDelayedMessages(t *testing.T) {
	queue := delivery.NewQueue(1000, nil)
	k := newKit(t, func(c *watchword.Config) { c.Outbox = queue })
	const started = 300
	for n := range started {
		req := startByEmail()
		req.Subject, req.To = fmt.Sprint("user-", n), fmt.Sprintf("user-%d@example.com", n)
		k.start(req)
	}
	k.store.failure = errors.New("the store is down")
	whole := 0
	for n := range started {
		out, err := queue.Claim(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.ComposeMessage(t.Context(), out[0])
		switch {
		case err == nil && n == whole:
			whole++
		case !errors.Is(err, watchword.ErrUnavailable):
			t.Fatalf("message %d: %v", n+1, err)
		}
	}
	if whole != 256 {
		t.Errorf("%d messages are composed without the store", whole)
	}
}

// Mail that nobody sends fills its share of the queue. An SMS is still queued.
func TestStartBySMSSucceedsWhenMailFillsTheQueue(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) { c.Outbox = delivery.NewQueue(2, nil) })
	for n, want := range []error{nil, nil, watchword.ErrUnavailable} {
		req := startByEmail()
		req.To = fmt.Sprintf("user-%d@example.com", n)
		if _, err := k.Start(t.Context(), req); !errors.Is(err, want) {
			t.Fatalf("start %d: %v, want %v", n+1, err, want)
		}
	}
	req := startByEmail()
	req.Channel, req.To = "sms", alicePhone
	k.start(req)
}

func TestResendFailsAndSendsNothingWhenAnswerWinsFirst(t *testing.T) {
	ctx := context.Background()
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true })
	s := k.start(startByEmail())
	code := k.code(s.ID)
	k.clock.advance(time.Minute)
	k.beforeUpdate(func() {
		if err := k.Answer(ctx, s.ID, watchword.Answer{Text: code}, watchword.Client{}); err != nil {
			t.Error(err)
		}
	})
	_, err := k.Resend(ctx, s.ID, watchword.ResendRequest{})
	k.requireCode(err, watchword.ErrChallengeApproved)
	if n := len(k.outbox.ofChallenge(s.ID)); n != 1 {
		t.Errorf("%d messages", n)
	}
	if _, err := k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject}); err != nil {
		t.Fatalf("the receipt is lost: %v", err)
	}
}

func TestResendSucceedsAndCountsOnceDespiteConcurrentDeliveryReport(t *testing.T) {
	ctx := context.Background()
	taken := 0
	k := newKit(t, func(c *watchword.Config) {
		c.Starts = limiterFunc(func(...watchword.Bucket) error { taken++; return nil })
	})
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	k.beforeUpdate(func() {
		_ = k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 1}, watchword.Delivery{Status: "delivered", Channel: "email"})
	})
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if taken != 2 {
		t.Errorf("the limits were asked %d times for a start and a resend", taken)
	}
}

func TestComposeMessageRefusesEndedChallengeAndOlderSend(t *testing.T) {
	ctx := context.Background()
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true })
	s := k.start(startByEmail())
	if _, err := k.Cancel(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("canceled: %v", err)
	}
	s = k.start(startByEmail())
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(ctx, k.outbox.ofChallenge(s.ID)[0]); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("the older message: %v", err)
	}
	s = k.start(startByEmail())
	if _, err := k.newNode().Cancel(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(2 * time.Second) // a late worker reads what another node did
	if _, err := k.ComposeMessage(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("canceled by another node: %v", err)
	}
}

func TestReceiptNamesChannelThatDeliveredTheCode(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject})
	code := k.code(s.ID)
	if err := k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 1}, watchword.Delivery{Status: "sent", Channel: "sms"}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{Channel: "voice"}); err != nil {
		t.Fatal(err)
	}
	if err := k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 2}, watchword.Delivery{Status: "failed", Channel: "voice"}); err != nil {
		t.Fatal(err)
	}
	r, err := k.check(s.ID, code)
	if err != nil || r.Claims.Channel != "sms" || !slices.Equal(r.Claims.AMR, []string{"otp", "sms"}) {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestRecordDeliverySendsNoEventForUnchangedStatus(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(startByEmail())
	for _, status := range []string{"failed", "delivered", "delivered", "sent", "failed"} {
		if err := k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 1}, watchword.Delivery{Status: status, Channel: "email"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.events.types(); !slices.Equal(got, []string{"challenge.started", "message.failed", "message.delivered"}) {
		t.Fatalf("events: %v", got)
	}
}
