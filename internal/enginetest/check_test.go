package enginetest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestCheckOfRightAnswerReturnsReceipt(t *testing.T) {
	k := newKit(t)
	req := startByEmail()
	req.Nonce, req.Transaction = "n1", map[string]string{"amount": "40.00", "currency": "EUR"}
	s := k.start(req)
	if s.Status != watchword.Pending || s.TriesLeft != 5 || s.SendsLeft != 4 || s.Delivery.Status != "queued" || s.Ask != watchword.AskCode {
		t.Fatalf("unexpected view: %+v", s.View)
	}
	k.clock.advance(10 * time.Second)
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	c := r.Claims
	if c.Subject != subject || c.Purpose != "sign_in" || c.ID != s.ID || c.Audience != "shop" || c.Nonce != "n1" ||
		c.Transaction["amount"] != "40.00" || c.AuthTime != k.clock.Now().Unix() || c.ExpiresAt-c.IssuedAt != 300 ||
		c.AddressHash != k.AddressHash(alice) || !slices.Equal(c.AMR, []string{"otp"}) {
		t.Fatalf("unexpected claims: %+v", c)
	}
	_, err = k.check(s.ID, "123456")
	k.requireCode(err, watchword.ErrChallengeApproved)
	if got := k.events.types(); !slices.Equal(got, []string{"challenge.started", "challenge.approved"}) {
		t.Fatalf("events: %v", got)
	}
}

func TestOneOfConcurrentRightAnswersIsApproved(t *testing.T) {
	k := newKit(t)
	other := k.newNode()
	for range 5 {
		s := k.start(startByEmail())
		code := k.code(s.ID)
		got := runConcurrently(200, func(i int) error {
			e := k.Engine
			if i%2 == 1 {
				e = other
			}
			_, err := check(e, s.ID, code)
			return err
		})
		if got[""] != 1 || got["challenge_approved"] != 199 {
			t.Fatalf("outcomes: %v", got)
		}
	}
}

// A code is valid for one app, purpose, subject, address, challenge and transaction.
func TestCheckRejectsCodeOfAnotherAppPurposeSubjectAddressOrTransaction(t *testing.T) {
	k := newKit(t)
	other := k.newNode(func(c *watchword.Config) { c.App = "bank" })
	pay := map[string]string{"amount": "1"}
	req := startByEmail()
	req.Transaction = pay
	tries := map[string]func(id, code string) error{
		"purpose": func(id, code string) error {
			_, err := k.check(id, code, func(r *watchword.CheckRequest) { r.Purpose = "mfa" })
			return err
		},
		"subject": func(id, code string) error {
			_, err := k.check(id, code, func(r *watchword.CheckRequest) { r.Subject = "user_43" })
			return err
		},
		"address instead of subject": func(id, code string) error {
			_, err := k.check(id, code, func(r *watchword.CheckRequest) { r.Subject, r.To = "", alice })
			return err
		},
		"transaction": func(id, code string) error {
			_, err := k.check(id, code, func(r *watchword.CheckRequest) { r.Transaction = map[string]string{"amount": "2"} })
			return err
		},
		"empty transaction": func(id, code string) error {
			_, err := k.check(id, code, func(r *watchword.CheckRequest) { r.Transaction = map[string]string{} })
			return err
		},
		"challenge": func(_, code string) error {
			_, err := k.check(k.start(req).ID, code)
			return err
		},
	}
	for name, try := range tries {
		t.Run(name, func(t *testing.T) {
			k.clock.advance(time.Hour)
			s := k.start(req)
			code := k.code(s.ID)
			if e := k.requireCode(try(s.ID, code), watchword.ErrIncorrectAnswer); e.Remaining != 4 {
				t.Fatalf("a wrong answer left %d tries", e.Remaining)
			}
			if _, err := k.check(s.ID, code, func(r *watchword.CheckRequest) { r.Transaction = pay }); err != nil {
				t.Fatalf("the right answer after it: %v", err)
			}
		})
	}
	t.Run("app", func(t *testing.T) {
		s := k.start(req)
		if _, err := check(other, s.ID, k.code(s.ID)); !errors.Is(err, watchword.ErrUnknownChallenge) {
			t.Fatalf("another app: %v", err)
		}
	})
	t.Run("address", func(t *testing.T) {
		req := startByEmail()
		req.Subject = ""
		s := k.start(req)
		with := func(to string) func(*watchword.CheckRequest) {
			return func(r *watchword.CheckRequest) { r.Subject, r.To = "", to }
		}
		_, err := k.check(s.ID, k.code(s.ID), with("bob@example.com"))
		k.requireCode(err, watchword.ErrIncorrectAnswer)
		if _, err := k.check(s.ID, k.code(s.ID), with("alice@EXAMPLE.com")); err != nil {
			t.Fatalf("the same address in another spelling: %v", err)
		}
	})
}

func TestCheckChargesNoTryForMalformedAnswer(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	for _, change := range []func(*watchword.CheckRequest){
		func(r *watchword.CheckRequest) { r.Purpose = "" },
		func(r *watchword.CheckRequest) { r.Subject = "" },
		func(r *watchword.CheckRequest) { r.To = alice },
		func(r *watchword.CheckRequest) { r.Answer.Text = "" },
		func(r *watchword.CheckRequest) { r.Answer = watchword.Answer{Text: "{}", Object: true} },
	} {
		_, err := k.check(s.ID, "000000", change)
		k.requireCode(err, watchword.ErrInvalidRequest)
	}
	if v, _ := k.Status(context.Background(), s.ID); v.TriesLeft != 5 {
		t.Fatalf("%d tries left", v.TriesLeft)
	}
}

func TestCheckRefusesAnswerAtExpiry(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	code := k.code(s.ID)
	k.clock.advance(10*time.Minute - time.Millisecond)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Pending {
		t.Fatal(v.Status)
	}
	k.clock.advance(time.Millisecond)
	_, err := k.check(s.ID, code)
	k.requireCode(err, watchword.ErrChallengeExpired)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Expired {
		t.Fatal(v.Status)
	}
	if got := k.events.types(); !slices.Equal(got, []string{"challenge.started", "challenge.expired"}) {
		t.Fatalf("events: %v", got)
	}
	if _, err := k.ComposeMessage(context.Background(), k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrExpired) {
		t.Fatalf("compose after death: %v", err)
	}
}

func TestCancelEndsPendingChallenge(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(startByEmail())
	code := k.code(s.ID)
	for range 2 {
		if v, err := k.Cancel(ctx, s.ID); err != nil || v.Status != watchword.Canceled {
			t.Fatalf("%v %v", v.Status, err)
		}
	}
	_, err := k.check(s.ID, code)
	k.requireCode(err, watchword.ErrChallengeCanceled)
	out := k.outbox.last(s.ID)
	if _, err := k.newNode().ComposeMessage(ctx, watchword.Outgoing{ChallengeID: out.ChallengeID, Send: out.Send}); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("compose after cancel: %v", err)
	}
	s = k.start(startByEmail())
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
	_, err = k.Cancel(ctx, s.ID)
	k.requireCode(err, watchword.ErrChallengeApproved)
}

func TestEveryMethodIsUnavailableWithoutStore(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(startByEmail())
	code := k.code(s.ID)
	k.store.failure = errors.New("dial tcp: connection refused")
	before := len(k.outbox.list())
	_, err := k.Start(ctx, startByEmail())
	k.requireCode(err, watchword.ErrUnavailable)
	_, err = k.check(s.ID, code)
	k.requireCode(err, watchword.ErrUnavailable)
	k.requireCode(k.Answer(ctx, s.ID, watchword.Answer{Text: code}, watchword.Client{}), watchword.ErrUnavailable)
	_, err = k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
	k.requireCode(err, watchword.ErrUnavailable)
	_, err = k.Resend(ctx, s.ID, watchword.ResendRequest{})
	k.requireCode(err, watchword.ErrUnavailable)
	_, err = k.Reserve(ctx, "POST /", "k", nil)
	k.requireCode(err, watchword.ErrUnavailable)
	if len(k.outbox.list()) != before {
		t.Fatal("something was sent")
	}
	k.store.failure = nil
	if _, err := k.check(s.ID, code); err != nil {
		t.Fatal(err)
	}
}

func TestWaitReturnsAtOnceAfterAnswer(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	code := k.code(s.ID)
	done := make(chan watchword.View)
	go func() {
		v, _ := k.Wait(context.Background(), s.ID)
		done <- v
	}()
	if _, err := k.check(s.ID, code); err != nil {
		t.Fatal(err)
	}
	if v := <-done; v.Status != watchword.Approved {
		t.Fatal(v.Status)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if v, err := k.Wait(ctx, k.start(startByEmail()).ID); err != nil || v.Status != watchword.Pending {
		t.Fatalf("%v %v", v.Status, err)
	}
}

func TestDigestOfACodeDiffersByChallenge(t *testing.T) {
	k := newKit(t, withFixedCode(t))
	s := &recordingStore{Store: k.store.Store}
	k.store.Store = s
	k.start(startByEmail())
	k.start(startByEmail())
	if bytes.Equal(s.created[0].Digests[0], s.created[1].Digests[0]) {
		t.Fatal("a digest could be moved")
	}
}

// A readCounter counts the entries that are read.
type readCounter struct {
	watchword.Store
	reads int
}

func (s *readCounter) Get(ctx context.Context, id string) (watchword.Entry, error) {
	s.reads++
	return s.Store.Get(ctx, id)
}

// Guesses at a challenge that was locked or canceled cost one step of the store each.
func TestCheckDoesNotReadLockedOrCanceledChallenge(t *testing.T) {
	counter := &readCounter{}
	k := newKit(t, func(c *watchword.Config) { counter.Store, c.Store = c.Store, counter })
	locked := k.start(startByEmail())
	right := k.code(locked.ID)
	for range 5 {
		_, _ = k.check(locked.ID, wrongCode(right))
	}
	canceled := k.start(startByEmail())
	if _, err := k.Cancel(t.Context(), canceled.ID); err != nil {
		t.Fatal(err)
	}
	counter.reads = 0
	_, err := k.check(locked.ID, right)
	k.requireCode(err, watchword.ErrAttemptsExhausted)
	_, err = k.check(canceled.ID, right)
	k.requireCode(err, watchword.ErrChallengeCanceled)
	if counter.reads > 0 {
		t.Errorf("%d reads", counter.reads)
	}
}
