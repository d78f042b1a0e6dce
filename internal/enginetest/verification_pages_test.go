package enginetest_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

const pageReturnURL = "https://app.example.com/done?next=%2F"

func withReturnURL(c *watchword.Config) { c.ReturnOrigins = []string{"https://app.example.com"} }

// startWithPage starts a verification that has a hosted page, and opens the page.
func (k *verificationKit) startWithPage(req watchword.VerificationRequest) (v *watchword.StartedVerification, cookie string) {
	k.t.Helper()
	req.ReturnURL = pageReturnURL
	v = k.startVerification(req)
	secret, err := k.OpenVerificationPage(context.Background(), v.ID, v.Ticket.Reveal(), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return v, secret.Reveal()
}

func (k *verificationKit) page(id, cookie string) *watchword.VerificationPage {
	k.t.Helper()
	p, err := k.ViewVerificationPage(context.Background(), id, cookie)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

// answerOnPage answers as a hosted page does.
func (k *verificationKit) answerOnPage(id, method, text string) error {
	return k.AnswerVerification(context.Background(), id, method, watchword.Answer{Text: text, Starter: true}, watchword.Client{})
}

func (k *verificationKit) returnCode(id, cookie string) string {
	k.t.Helper()
	u, err := url.Parse(k.page(id, cookie).Next.Reveal())
	if err != nil || u.Query().Get("verification") != id || u.Query().Get("next") != "/" || u.Query().Get("return_code") == "" {
		k.t.Fatalf("the way back is %v, %v", u, err)
	}
	return u.Query().Get("return_code")
}

func TestPageOfAVerificationBelongsToOneBrowser(t *testing.T) {
	k := newVerificationKit(t, withReturnURL)
	ctx := context.Background()
	if v := k.startVerification(verificationOf()); !v.Ticket.IsZero() {
		t.Error("there is a ticket without a return URL")
	}
	v, cookie := k.startWithPage(verificationOf())
	if _, err := k.OpenVerificationPage(ctx, v.ID, v.Ticket.Reveal(), nil); !errors.Is(err, watchword.ErrPageOpened) {
		t.Errorf("another browser: %v", err)
	}
	for _, wrong := range []string{"", v.Ticket.Reveal(), v.Handle.Reveal(), cookie + "A"} {
		_, err := k.ViewVerificationPage(ctx, v.ID, wrong)
		k.requireCode(err, watchword.ErrUnknownVerification)
	}
	_, err := k.OpenVerificationPage(ctx, v.ID, v.Handle.Reveal(), nil)
	k.requireCode(err, watchword.ErrUnknownVerification)
	if p := k.page(v.ID, cookie); p.Challenge == nil || p.Method != "m1" || !p.Next.IsZero() {
		t.Errorf("%+v", p)
	}
	k.open(v.ID, "m5")
	if p := k.page(v.ID, cookie); p.Challenge.Public["number"] == nil {
		t.Errorf("the page does not show the number: %+v", p.Challenge)
	}
}

// However the answer came, only the browser that has opened the page gets the return code that the receipt needs.
func TestReceiptOfAnOpenedPageNeedsItsReturnCode(t *testing.T) {
	k := newVerificationKit(t, withReturnURL)
	ctx := context.Background()
	answers := map[string]func(v *watchword.StartedVerification, cookie string) error{
		"page": func(v *watchword.StartedVerification, _ string) error {
			return k.answerOnPage(v.ID, "m2", k.code(k.open(v.ID, "m2")))
		},
		"link": func(v *watchword.StartedVerification, cookie string) error {
			id := k.open(v.ID, "m5")
			number := k.page(v.ID, cookie).Challenge.Public["number"].(string)
			m := k.compose(k.outbox.last(id))
			_, token, _ := strings.Cut(m.Link.Reveal(), "#")
			return k.Answer(ctx, id, watchword.Answer{Text: token, Number: number}, watchword.Client{})
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			v, cookie := k.startWithPage(verificationOf())
			_, err := k.redeem(v)
			k.requireCode(err, watchword.ErrNotAnswered)
			if err := answer(v, cookie); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(k.events.ofType(watchword.EventVerificationApproved), func(ev watchword.Event) bool { return ev.Verification == v.ID }) {
				t.Error("the event was sent before the receipt was collected")
			}
			for _, wrong := range []string{"", "rc_x", cookie} {
				_, err := k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode = wrong })
				k.requireCode(err, watchword.ErrReturnCodeInvalid)
			}
			code := k.returnCode(v.ID, cookie)
			_, err = k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode, r.Handle = code, "hd_x" })
			k.requireCode(err, watchword.ErrUnknownVerification)
			_, err = k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode, r.Purpose = code, "mfa" })
			k.requireCode(err, watchword.ErrIncorrectAnswer)
			k.clock.advance(61 * time.Second)
			_, err = k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode = code })
			k.requireCode(err, watchword.ErrReturnCodeInvalid)
			code = k.returnCode(v.ID, cookie)
			result, err := k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode, r.Seed = code, []byte("s") })
			if err != nil || result.Claims.Verification != v.ID {
				t.Fatalf("%+v, %v", result, err)
			}
			again, err := k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode, r.Seed = code, []byte("s") })
			if err != nil || again.Claims.ExpiresAt != result.Claims.ExpiresAt || again.Claims.ID != result.Claims.ID {
				t.Errorf("the same request again: %+v, %v", again, err)
			}
			_, err = k.redeem(v, func(r *watchword.RedeemRequest) { r.ReturnCode = code })
			k.requireCode(err, watchword.ErrReceiptUsed)
		})
	}
}

// A receipt that is collected late can still be redeemed: the challenge is kept as long as the verification.
func TestLateReceiptOfAnEarlyAnswerCanBeRedeemed(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	if err := k.answerOnPage(v.ID, "m1", k.rightAnswer("totp")); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(29 * time.Minute)
	result, err := k.redeem(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.RedeemReceipt(context.Background(), *result.Claims, "sign_in", nil); err != nil {
		t.Error(err)
	}
	k.clock.advance(2 * time.Minute)
	_, err = k.redeem(v)
	k.requireCode(err, watchword.ErrUnknownVerification)
}

// Nor is a message that has failed sent again because somebody looks at the page or opens the method again: that is a resend.
func TestFailedMessageIsNotSentAgainWhenItIsShown(t *testing.T) {
	k := newVerificationKit(t, withReturnURL)
	v, cookie := k.startWithPage(verificationOf())
	sms := k.open(v.ID, "m2")
	k.record(k.outbox.last(sms), watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "sms"})
	for range 3 {
		k.page(v.ID, cookie)
		if again := k.open(v.ID, "m2"); again != sms {
			t.Fatal("another challenge")
		}
	}
	if n := len(k.outbox.ofChallenge(sms)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestRecipientWhoReportsALinkCancelsTheVerification(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	id := k.open(v.ID, "m5")
	m := k.compose(k.outbox.last(id))
	_, token, _ := strings.Cut(m.Link.Reveal(), "#")
	if err := k.ReportLink(context.Background(), id, token); err != nil {
		t.Fatal(err)
	}
	if status := k.view(v.ID).Status; status != watchword.Canceled {
		t.Errorf("status %s", status)
	}
	reported := k.events.ofType(watchword.EventReported)
	if len(reported) != 1 || reported[0].Verification != v.ID {
		t.Errorf("%+v", reported)
	}
}

func TestRedeemRefusesWhatARedeemOfAChallengeRefuses(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	k.open(v.ID, "m2")
	for _, answered := range []bool{false, true} {
		if answered {
			if err := k.answerOnPage(v.ID, "m2", k.code(k.view(v.ID).Challenge.ID)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := k.redeem(v, func(r *watchword.RedeemRequest) { r.Handle = v.Ticket.Reveal() })
		k.requireCode(err, watchword.ErrUnknownVerification)
		for field, change := range map[string]func(*watchword.RedeemRequest){
			"purpose": func(r *watchword.RedeemRequest) { r.Purpose = "" },
			"subject": func(r *watchword.RedeemRequest) { r.Subject = "" },
			"to":      func(r *watchword.RedeemRequest) { r.To = alice },
		} {
			if _, err := k.redeem(v, change); !slices.Equal(fieldsOf(err), []string{field}) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	for _, change := range []func(*watchword.RedeemRequest){
		func(r *watchword.RedeemRequest) { r.Purpose = "mfa" },
		func(r *watchword.RedeemRequest) { r.Subject = "user_43" },
		func(r *watchword.RedeemRequest) { r.Subject, r.To = "", alicePhone },
	} {
		_, err := k.redeem(v, change)
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	other := k.newNode()
	got := runConcurrently(200, func(i int) error {
		_, err := []*watchword.Engine{k.Engine, other}[i%2].RedeemVerification(context.Background(), v.ID,
			watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		return err
	})
	if got[""] != 1 || got["receipt_used"] != 199 {
		t.Errorf("200 redeems: %v", got)
	}
	if n := len(k.events.ofType(watchword.EventVerificationApproved)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A page reads the verification and the challenge that it shows once, and none whose end is recorded.
func TestPageReadsOnlyWhatItShows(t *testing.T) {
	counter := &getCounter{}
	k := newVerificationKit(t, withReturnURL, func(c *watchword.Config) { counter.Store, c.Store = c.Store, counter })
	v, cookie := k.startWithPage(verificationOf(smsMethod, mailMethod))
	challenge := k.open(v.ID, "m1")
	wrong := wrongCode(k.code(challenge))
	for range 5 {
		_, _ = k.checkMethod(v.ID, "m1", wrong)
	}
	k.awaitChallenge(challenge, watchword.Locked)
	for _, step := range []struct {
		name  string
		reads int32
		run   func()
	}{
		{"the locked challenge was the last one", 2, func() {}},
		{"another one is open", 2, func() { k.open(v.ID, "m2") }},
	} {
		step.run()
		var p *watchword.VerificationPage
		var n int32
		equal := 0 // measurements in a row; before the end is recorded, the page and the background read more
		for until := time.Now().Add(10 * time.Second); equal < 5 && time.Now().Before(until); time.Sleep(time.Millisecond) {
			counter.reads.Store(0)
			p = k.page(v.ID, cookie)
			if n = counter.reads.Load(); n == step.reads {
				equal++
			} else {
				equal = 0
			}
		}
		if equal < 5 {
			t.Errorf("%s: the page takes %d reads, want %d every time", step.name, n, step.reads)
		}
		if p.Status != watchword.Pending || p.Methods[0].Status != watchword.Locked {
			t.Errorf("%s: %s, the first method is %s", step.name, p.Status, p.Methods[0].Status)
		}
	}
}

// A getCounter counts the entries that are read, also at the same time.
type getCounter struct {
	watchword.Store
	reads atomic.Int32
}

func (s *getCounter) Get(ctx context.Context, id string) (watchword.Entry, error) {
	s.reads.Add(1)
	return s.Store.Get(ctx, id)
}
