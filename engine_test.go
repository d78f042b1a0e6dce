package watchword_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestRightAnswerEarnsAReceipt(t *testing.T) {
	k := newKit(t)
	req := byMail()
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
	k.mustCode(err, watchword.ErrChallengeApproved)
	if got := k.events.types(); !slices.Equal(got, []string{"challenge.started", "challenge.approved"}) {
		t.Fatalf("events: %v", got)
	}
}

func TestOfManyRightAnswersOneWins(t *testing.T) {
	k := newKit(t)
	other := k.sibling()
	for range 5 {
		s := k.start(byMail())
		code := k.code(s.ID)
		got := together(200, func(i int) error {
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

func TestOfManyWrongAnswersFiveAreJudged(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	wrong := wrongCode(k.code(s.ID))
	got := together(500, func(int) error { _, err := k.check(s.ID, wrong); return err })
	if got["incorrect_answer"] != 5 || got["attempts_exhausted"]+got["too_many_guesses"] != 495 {
		t.Fatalf("outcomes: %v", got)
	}
	_, err := k.check(s.ID, wrong)
	k.mustCode(err, watchword.ErrAttemptsExhausted)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Locked {
		t.Fatalf("status %s", v.Status)
	}
}

func TestWrongAnswersSayWhatIsLeft(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	for left := 4; left >= 0; left-- {
		if e := k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer); e.Remaining != left {
			t.Fatalf("%d tries left, want %d", e.Remaining, left)
		}
	}
}

// Nothing that a caller can do refills a group's budget, except a right answer at that address.
func TestGuessBudgetBelongsToTheAddress(t *testing.T) {
	spend := func(k *kit) {
		s := k.start(byMail())
		for range 4 {
			k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		}
		req := byMail()
		req.Purpose, req.Subject = "password_reset", "user_43"
		s2 := k.start(req)
		_, err := k.check(s2.ID, wrongCode(k.code(s2.ID)), func(r *watchword.CheckRequest) { r.Purpose, r.Subject = "password_reset", "user_43" })
		k.mustCode(err, watchword.ErrIncorrectAnswer)
	}
	refused := func(k *kit, req watchword.StartRequest) {
		t.Helper()
		s := k.start(req)
		as := func(r *watchword.CheckRequest) { r.Purpose, r.Subject = req.Purpose, req.Subject }
		_, err := k.check(s.ID, wrongCode(k.code(s.ID)), as)
		k.mustCode(err, watchword.ErrIncorrectAnswer) // the first try of a challenge is always judged
		_, err = k.check(s.ID, k.code(s.ID), as)
		if e := k.mustCode(err, watchword.ErrTooManyGuesses); e.RetryAfter <= 0 || e.RetryAfter > 15*time.Minute {
			t.Fatalf("retry after %s", e.RetryAfter)
		}
	}
	t.Run("purpose, subject, restart", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		refused(k, byMail())
		req := byMail()
		req.Purpose, req.Subject = "mfa", "user_44"
		refused(k, req)
		req = byMail()
		req.To = "ALICE@example.com" // another spelling of the same mailbox
		refused(k, req)
	})
	t.Run("cancel and resend", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		s := k.start(byMail())
		if _, err := k.Cancel(context.Background(), s.ID); err != nil {
			t.Fatal(err)
		}
		s = k.start(byMail())
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.clock.advance(31 * time.Second)
		if _, err := k.Resend(context.Background(), s.ID, ""); err != nil {
			t.Fatal(err)
		}
		k.mustCode(k.guessWrong(s.ID), watchword.ErrTooManyGuesses)
	})
	t.Run("another address and a known device do", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		req := byMail()
		req.To = "bob@example.com"
		s := k.start(req)
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
			t.Fatal(err)
		}
		refused(k, byMail())
		req = byMail()
		req.Client.Known = true
		s = k.start(req)
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
			t.Fatal(err)
		}
		refused(k, byMail())
	})
	t.Run("a right answer clears it", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		s := k.start(byMail())
		if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
			t.Fatal(err) // the first try, so it is judged
		}
		s = k.start(byMail())
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
	})
	t.Run("time does", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		k.clock.advance(15*time.Minute + time.Second)
		s := k.start(byMail())
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.mustCode(k.guessWrong(s.ID), watchword.ErrIncorrectAnswer)
	})
}

func TestAnOwnersLiveChallengeIsNotStoppedByStrangers(t *testing.T) {
	k := newKit(t)
	owners := k.start(byMail())
	strangers := k.start(byMail())
	for range 5 {
		_ = k.guessWrong(strangers.ID)
	}
	if _, err := k.check(owners.ID, k.code(owners.ID)); err != nil {
		t.Fatalf("the owner's first try: %v", err)
	}
}

// A code works for one app, purpose, subject, address, challenge and transaction.
func TestOnlyTheDiagonalPasses(t *testing.T) {
	k := newKit(t)
	other := k.sibling(func(c *watchword.Config) { c.App = "bank" })
	pay := map[string]string{"amount": "1"}
	req := byMail()
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
			if e := k.mustCode(try(s.ID, code), watchword.ErrIncorrectAnswer); e.Remaining != 4 {
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
		req := byMail()
		req.Subject = ""
		s := k.start(req)
		with := func(to string) func(*watchword.CheckRequest) {
			return func(r *watchword.CheckRequest) { r.Subject, r.To = "", to }
		}
		_, err := k.check(s.ID, k.code(s.ID), with("bob@example.com"))
		k.mustCode(err, watchword.ErrIncorrectAnswer)
		if _, err := k.check(s.ID, k.code(s.ID), with("alice@EXAMPLE.com")); err != nil {
			t.Fatalf("the same address in another spelling: %v", err)
		}
	})
}

func TestWhatIsNoAnswerCostsNothing(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	for _, change := range []func(*watchword.CheckRequest){
		func(r *watchword.CheckRequest) { r.Purpose = "" },
		func(r *watchword.CheckRequest) { r.Subject = "" },
		func(r *watchword.CheckRequest) { r.To = alice },
		func(r *watchword.CheckRequest) { r.Answer.Text = "" },
		func(r *watchword.CheckRequest) { r.Answer = watchword.Answer{Text: "{}", Object: true} },
	} {
		_, err := k.check(s.ID, "000000", change)
		k.mustCode(err, watchword.ErrInvalidRequest)
	}
	if v, _ := k.Status(context.Background(), s.ID); v.TriesLeft != 5 {
		t.Fatalf("%d tries left", v.TriesLeft)
	}
}

func TestResendBringsTheSameCode(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject})
	first := k.code(s.ID)
	_, err := k.Resend(ctx, s.ID, "")
	if e := k.mustCode(err, watchword.ErrResendTooSoon); e.RetryAfter != 30*time.Second {
		t.Fatalf("retry after %s", e.RetryAfter)
	}
	for i, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		k.clock.advance(wait)
		v, err := k.Resend(ctx, s.ID, []string{"voice", "sms"}[i%2])
		if err != nil {
			t.Fatal(err)
		}
		if v.SendsLeft != 3-i || k.code(s.ID) != first || v.Channel != []string{"voice", "sms"}[i%2] {
			t.Fatalf("resend %d: %+v", i, v)
		}
	}
	k.clock.advance(2 * time.Minute)
	_, err = k.Resend(ctx, s.ID, "")
	k.mustCode(err, watchword.ErrSendsExhausted)
	if _, err := k.check(s.ID, first); err != nil {
		t.Fatal(err)
	}
	_, err = k.Resend(ctx, s.ID, "")
	k.mustCode(err, watchword.ErrChallengeApproved)
}

func TestResendByAChannelThatDoesNotReach(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	k.clock.advance(time.Minute)
	for _, channel := range []string{"sms", "pigeon"} {
		_, err := k.Resend(context.Background(), s.ID, channel)
		k.mustCode(err, watchword.ErrInvalidRequest)
	}
}

func TestNewCodesEndTheOlderOne(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true })
	s := k.start(byMail())
	first := k.code(s.ID)
	k.clock.advance(time.Minute)
	if _, err := k.Resend(context.Background(), s.ID, ""); err != nil {
		t.Fatal(err)
	}
	if k.code(s.ID) == first {
		t.Fatal("the code did not change")
	}
	_, err := k.check(s.ID, first)
	k.mustCode(err, watchword.ErrIncorrectAnswer)
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
}

func TestResendsAtOnceAreOne(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	k.clock.advance(time.Minute)
	got := together(50, func(int) error { _, err := k.Resend(context.Background(), s.ID, ""); return err })
	if got[""] != 1 || got["resend_too_soon"] != 49 || len(k.outbox.of(s.ID)) != 2 {
		t.Fatalf("outcomes: %v, messages: %d", got, len(k.outbox.of(s.ID)))
	}
}

func TestExpiryIsExact(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	code := k.code(s.ID)
	k.clock.advance(10*time.Minute - time.Millisecond)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Pending {
		t.Fatal(v.Status)
	}
	k.clock.advance(time.Millisecond)
	_, err := k.check(s.ID, code)
	k.mustCode(err, watchword.ErrChallengeExpired)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Expired {
		t.Fatal(v.Status)
	}
	if got := k.events.types(); !slices.Equal(got, []string{"challenge.started", "challenge.expired"}) {
		t.Fatalf("events: %v", got)
	}
	if _, err := k.Compose(context.Background(), k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrExpired) {
		t.Fatalf("compose after death: %v", err)
	}
}

func TestCancel(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(byMail())
	code := k.code(s.ID)
	for range 2 {
		if v, err := k.Cancel(ctx, s.ID); err != nil || v.Status != watchword.Canceled {
			t.Fatalf("%v %v", v.Status, err)
		}
	}
	_, err := k.check(s.ID, code)
	k.mustCode(err, watchword.ErrChallengeCanceled)
	out := k.outbox.last(s.ID)
	if _, err := k.sibling().Compose(ctx, watchword.Outgoing{ChallengeID: out.ChallengeID, Send: out.Send}); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("compose after cancel: %v", err)
	}
	s = k.start(byMail())
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
	_, err = k.Cancel(ctx, s.ID)
	k.mustCode(err, watchword.ErrChallengeApproved)
}

func TestRedeemOnceByTheHandle(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(byMail())
	redeem := func(e *watchword.Engine, handle string) error {
		r, err := e.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: handle, Purpose: "sign_in", Subject: subject})
		if err == nil && r.Claims.Subject != subject {
			t.Errorf("claims: %+v", r.Claims)
		}
		return err
	}
	k.mustCode(redeem(k.Engine, s.Handle.Reveal()), watchword.ErrNotAnswered)
	if err := k.Answer(ctx, s.ID, watchword.Answer{Text: k.code(s.ID)}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	k.mustCode(redeem(k.Engine, "hd_wrong"), watchword.ErrUnknownChallenge)
	k.mustCode(redeem(k.Engine, ""), watchword.ErrUnknownChallenge)
	_, err := k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "mfa", Subject: subject})
	k.mustCode(err, watchword.ErrIncorrectAnswer)
	_, err = k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: "user_43"})
	k.mustCode(err, watchword.ErrIncorrectAnswer)
	nodes := []*watchword.Engine{k.Engine, k.sibling(), k.sibling()}
	got := together(60, func(i int) error { return redeem(nodes[i%3], s.Handle.Reveal()) })
	if got[""] != 1 || got["receipt_used"] != 59 {
		t.Fatalf("outcomes: %v", got)
	}
}

func TestCheckCollectsTheReceipt(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*watchword.Engine{k.Engine, k.sibling()} {
		_, err := e.Redeem(context.Background(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		k.mustCode(err, watchword.ErrReceiptUsed)
	}
}

func TestReceiptIsRedeemedOnce(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(byMail())
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	k.mustCode(k.RedeemReceipt(ctx, *r.Claims, "mfa"), watchword.ErrReceiptInvalid)
	pending := k.start(byMail())
	forged := *r.Claims
	forged.ID = pending.ID
	k.mustCode(k.RedeemReceipt(ctx, forged, "sign_in"), watchword.ErrReceiptInvalid)
	nodes := []*watchword.Engine{k.Engine, k.sibling()}
	got := together(60, func(i int) error { return nodes[i%2].RedeemReceipt(ctx, *r.Claims, "sign_in") })
	if got[""] != 1 || got["receipt_used"] != 59 {
		t.Fatalf("outcomes: %v", got)
	}
	k.clock.advance(26 * time.Minute)
	k.mustCode(k.sibling().RedeemReceipt(ctx, *r.Claims, "sign_in"), watchword.ErrReceiptInvalid)
}

func TestDecoyLooksRealAndIsNeverApproved(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	real := k.start(byMail())
	req := byMail()
	req.Decoy = true
	s := k.start(req)
	view := s.View
	view.ID, view.CreatedAt, view.ExpiresAt = real.ID, real.CreatedAt, real.ExpiresAt
	if view.Status != real.Status || view.SentTo != real.SentTo || view.TriesLeft != real.TriesLeft || view.Delivery != real.Delivery || len(s.ID) != len(real.ID) {
		t.Fatalf("a decoy shows: %+v", view)
	}
	if _, err := k.Compose(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("a decoy is sent: %v", err)
	}
	if v, _ := k.Status(ctx, s.ID); v.Delivery.Status != "sent" {
		t.Fatalf("a decoy's delivery: %+v", v.Delivery)
	}
	_, err := k.check(s.ID, "123456")
	k.mustCode(err, watchword.ErrIncorrectAnswer)
}

func TestRotationLosesNoChallenge(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	code := k.code(s.ID)
	rotated := k.sibling(func(c *watchword.Config) { c.Keys = []watchword.Key{key(t, "k2"), key(t, "k1")} })
	out := k.outbox.last(s.ID)
	m, err := rotated.Compose(context.Background(), watchword.Outgoing{ChallengeID: out.ChallengeID, Send: 1})
	if err != nil || m.Code.Reveal() != code {
		t.Fatalf("the code is derived again under its old key: %v", err)
	}
	for range 5 {
		_, _ = check(rotated, s.ID, wrongCode(code))
	}
	s2, err := rotated.Start(context.Background(), byMail())
	if err != nil {
		t.Fatal(err)
	}
	_, err = check(rotated, s2.ID, wrongCode("000000"))
	k.mustCode(err, watchword.ErrIncorrectAnswer)
	_, err = check(rotated, s2.ID, wrongCode("000000"))
	k.mustCode(err, watchword.ErrTooManyGuesses) // a rotation hands out no fresh budget
	k.clock.advance(time.Hour)
	s = k.start(byMail())
	if _, err := check(rotated, s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
}

func TestStoreOutOfReachMeansUnavailable(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(byMail())
	code := k.code(s.ID)
	k.store.down = errors.New("dial tcp: connection refused")
	before := len(k.outbox.all)
	_, err := k.Start(ctx, byMail())
	k.mustCode(err, watchword.ErrUnavailable)
	_, err = k.check(s.ID, code)
	k.mustCode(err, watchword.ErrUnavailable)
	k.mustCode(k.Answer(ctx, s.ID, watchword.Answer{Text: code}, watchword.Client{}), watchword.ErrUnavailable)
	_, err = k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
	k.mustCode(err, watchword.ErrUnavailable)
	_, err = k.Resend(ctx, s.ID, "")
	k.mustCode(err, watchword.ErrUnavailable)
	_, err = k.Reserve(ctx, "POST /", "k", nil)
	k.mustCode(err, watchword.ErrUnavailable)
	if len(k.outbox.all) != before {
		t.Fatal("something was sent")
	}
	k.store.down = nil
	if _, err := k.check(s.ID, code); err != nil {
		t.Fatal(err)
	}
}

func TestLimiterOutOfReachMeansUnavailable(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) {
		c.Starts = limiterFunc(func(...watchword.Bucket) error { return errors.New("no route") })
	})
	_, err := k.Start(context.Background(), byMail())
	k.mustCode(err, watchword.ErrUnavailable)
	if len(k.outbox.all) != 0 {
		t.Fatal("something was sent")
	}
}

type limiterFunc func(...watchword.Bucket) error

func (f limiterFunc) Take(_ context.Context, b ...watchword.Bucket) error { return f(b...) }

func TestLimitsCountByKeyedDigests(t *testing.T) {
	var seen [][]watchword.Bucket
	k := newKit(t, func(c *watchword.Config) {
		c.Starts = limiterFunc(func(b ...watchword.Bucket) error { seen = append(seen, b); return nil })
	})
	req := watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject,
		Client: watchword.Client{IP: "2001:db8:1:2:3:4:5:6"}}
	k.start(req)
	req.Client = watchword.Client{IP: "2001:db8:1:2:ffff::1", Known: true}
	k.start(req)
	by := map[string]int{}
	for i, b := range seen[0] {
		by[b.By]++
		if strings.Contains(b.Key, alicePhone) || strings.Contains(b.Key, subject) || strings.Contains(b.Key, "2001") || b.Channel != "sms" {
			t.Errorf("bucket %+v", b)
		}
		same := b.Key == seen[1][i].Key
		if known := b.By == "address" || b.By == "subject"; same == known {
			t.Errorf("by %s: the known device's bucket is the same: %v", b.By, same)
		}
	}
	if len(by) != 7 {
		t.Fatalf("counted by %v", by)
	}
}

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := watchword.New(watchword.Config{App: "Shop!", Lifetime: time.Hour, ReceiptLifetime: time.Hour, Cooldown: time.Millisecond})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, part := range []string{"App:", "Issuer:", "Store:", "Strategies:", "Keys:", "Identity:", "Lifetime:", "ReceiptLifetime:", "Cooldown:"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not reported in: %v", part, err)
		}
	}
	if _, err := watchword.NewKey("short", make([]byte, 31)); err == nil {
		t.Error("a key of 31 bytes was accepted")
	}
	k := newKit(t)
	for name, change := range map[string]func(*watchword.Config){
		"guessable": func(c *watchword.Config) { c.Tries = 11 },
		"no outbox": func(c *watchword.Config) { c.Outbox = nil },
		"two keys":  func(c *watchword.Config) { c.Keys = append(c.Keys, c.Keys[0]) },
		"twice":     func(c *watchword.Config) { c.Strategies = append(c.Strategies, c.Strategies[0]) },
	} {
		cfg := k.config
		cfg.Keys, cfg.Strategies = slices.Clone(cfg.Keys), slices.Clone(cfg.Strategies)
		change(&cfg)
		if _, err := watchword.New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestStartRefusesWhatItCannotServe(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) { c.Purposes = []string{"sign_in"} })
	for field, change := range map[string]func(*watchword.StartRequest){
		"strategy":          func(r *watchword.StartRequest) { r.Strategy = "riddle" },
		"purpose":           func(r *watchword.StartRequest) { r.Purpose = "mfa" },
		"channel":           func(r *watchword.StartRequest) { r.Channel = "pigeon" },
		"to":                func(r *watchword.StartRequest) { r.To = "" },
		"subject":           func(r *watchword.StartRequest) { r.Subject = "a\nb" },
		"locale":            func(r *watchword.StartRequest) { r.Locale = "../en" },
		"nonce":             func(r *watchword.StartRequest) { r.Nonce = strings.Repeat("n", 256) },
		"client.ip":         func(r *watchword.StartRequest) { r.Client.IP = "300.1.1.1" },
		"client.user_agent": func(r *watchword.StartRequest) { r.Client.UserAgent = "a\x1b[31m" },
		"transaction":       func(r *watchword.StartRequest) { r.Transaction = map[string]string{"a": "\u2028"} },
		"metadata":          func(r *watchword.StartRequest) { r.Metadata = map[string]string{"": "x"} },
	} {
		req := byMail()
		change(&req)
		_, err := k.Start(context.Background(), req)
		e := k.mustCode(err, watchword.ErrInvalidRequest)
		if len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %+v", field, e.Fields)
		}
	}
	if len(k.outbox.all) != 0 {
		t.Fatal("something was sent")
	}
}

func TestSeedMakesOneChallenge(t *testing.T) {
	k := newKit(t)
	req := byMail()
	req.Seed = []byte("the request's own")
	first, again := k.start(req), k.start(req)
	if first.ID != again.ID || first.Handle.Reveal() != again.Handle.Reveal() || len(k.outbox.all) != 1 {
		t.Fatalf("%s and %s, %d messages", first.ID, again.ID, len(k.outbox.all))
	}
}

func TestWaitSeesAnAnswerAtOnce(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
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
	if v, err := k.Wait(ctx, k.start(byMail()).ID); err != nil || v.Status != watchword.Pending {
		t.Fatalf("%v %v", v.Status, err)
	}
}

func TestDeliveryMovesOnOnly(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject})
	out := k.outbox.last(s.ID)
	record := func(d watchword.Delivery) string {
		t.Helper()
		if err := k.Record(ctx, out, d); err != nil {
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
	if _, err := k.Resend(ctx, s.ID, "voice"); err != nil {
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
