package enginetest_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// openPage opens the page of a challenge and returns the cookie.
func (k *kit) openPage(s *watchword.Started) watchword.Code {
	k.t.Helper()
	cookie, err := k.OpenPage(context.Background(), s.ID, s.Ticket.Reveal(), nil)
	if err != nil {
		k.t.Fatalf("open page: %v", err)
	}
	return cookie
}

// answer answers a challenge with its code, as a page does.
func (k *kit) answer(s *watchword.Started) {
	k.t.Helper()
	if err := k.Answer(context.Background(), s.ID, watchword.Answer{Text: k.code(s.ID), Starter: true}, watchword.Client{}); err != nil {
		k.t.Fatalf("answer: %v", err)
	}
}

// returnCode returns the return code that the page shows to its browser.
func (k *kit) returnCode(s *watchword.Started, cookie watchword.Code) string {
	k.t.Helper()
	p, err := k.ViewPage(context.Background(), s.ID, cookie.Reveal())
	if err != nil {
		k.t.Fatalf("view page: %v", err)
	}
	next, err := url.Parse(p.Next.Reveal())
	if err != nil || next.Query().Get("challenge") != s.ID || next.Query().Get("tab") != "1" {
		k.t.Fatalf("the page leads to %q, %v", p.Next.Reveal(), err)
	}
	return next.Query().Get("return_code")
}

func (k *kit) redeem(s *watchword.Started, change ...func(*watchword.RedeemRequest)) error {
	req := watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: s.Purpose, Subject: s.Subject}
	for _, c := range change {
		c(&req)
	}
	_, err := k.Redeem(context.Background(), s.ID, req)
	return err
}

func withReturnCode(code string) func(*watchword.RedeemRequest) {
	return func(r *watchword.RedeemRequest) { r.ReturnCode = code }
}

func TestOpenPageBindsFirstBrowserOnly(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(withPage(startByEmail()))
	cookie := k.openPage(s)
	for _, e := range []*watchword.Engine{k.Engine, k.newNode()} {
		for _, seed := range [][]byte{nil, []byte("of another browser"), {}} {
			if _, err := e.OpenPage(ctx, s.ID, s.Ticket.Reveal(), seed); !errors.Is(err, watchword.ErrPageOpened) {
				t.Errorf("another browser: %v", err)
			}
		}
	}
	if p, err := k.ViewPage(ctx, s.ID, cookie.Reveal()); err != nil || p.Status != watchword.Pending {
		t.Errorf("the first browser: %+v %v", p, err)
	}
}

func TestOpenPageIsRepeatedWithItsSeed(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(withPage(startByEmail()))
	seed := []byte("random, and known to one browser")
	first, err := k.OpenPage(ctx, s.ID, s.Ticket.Reveal(), seed)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.newNode().OpenPage(ctx, s.ID, s.Ticket.Reveal(), seed); err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("a repetition: another cookie, %v", err)
	}
	_, err = k.OpenPage(ctx, s.ID, "pt_forged", seed)
	k.requireCode(err, watchword.ErrUnknownChallenge)
	other := k.start(withPage(startByEmail()))
	if cookie, err := k.OpenPage(ctx, other.ID, other.Ticket.Reveal(), seed); err != nil || cookie.Reveal() == first.Reveal() {
		t.Errorf("another challenge has the same cookie, or %v", err)
	}
}

func TestConcurrentOpenPagesBindOneBrowser(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	for range 20 {
		s := k.start(withPage(startByEmail()))
		count := runConcurrently(6, func(i int) error {
			_, err := nodes[i%2].OpenPage(ctx, s.ID, s.Ticket.Reveal(), nil)
			return err
		})
		if count[""] != 1 || count[watchword.ErrPageOpened.Error()] != 5 {
			t.Fatalf("%v", count)
		}
	}
}

func TestRedeemRequiresReturnCodeOnceThePageIsOpen(t *testing.T) {
	k := newKit(t)
	for _, openedFirst := range []bool{true, false} {
		s, other := k.start(withPage(startByEmail())), k.start(withPage(startByEmail()))
		var cookie watchword.Code
		if openedFirst {
			cookie = k.openPage(s)
			k.answer(s)
		} else {
			k.answer(s)
			cookie = k.openPage(s)
		}
		otherCookie := k.openPage(other)
		k.answer(other)
		right := k.returnCode(s, cookie)
		for _, wrong := range []string{"", "rc_", right + "A", right[:len(right)-2], strings.TrimPrefix(right, "rc_"), "rc_" + right, k.returnCode(other, otherCookie), cookie.Reveal(),
			s.Ticket.Reveal(), s.Handle.Reveal(), strings.Repeat("A", 1<<16)} {
			err := k.redeem(s, withReturnCode(wrong))
			if e := k.requireCode(err, watchword.ErrReturnCodeInvalid); e.Remaining != 0 || e.Extra != nil || e.Reason != "" {
				t.Errorf("the refusal says more: %+v", e)
			}
		}
		k.requireCode(k.redeem(s, withReturnCode(right), func(r *watchword.RedeemRequest) { r.Handle = other.Handle.Reveal() }), watchword.ErrUnknownChallenge)
		if err := k.redeem(s, withReturnCode(right)); err != nil {
			t.Fatalf("the right return code: %v", err)
		}
		k.requireCode(k.redeem(s, withReturnCode(right)), watchword.ErrReceiptUsed)
		k.requireCode(k.redeem(s, withReturnCode(k.returnCode(s, cookie))), watchword.ErrReceiptUsed)
	}
}

func TestReturnCodeExpires(t *testing.T) {
	k := newKit(t)
	s := k.start(withPage(startByEmail()))
	cookie := k.openPage(s)
	k.answer(s)
	old := k.returnCode(s, cookie)
	k.clock.advance(time.Minute + time.Millisecond)
	k.requireCode(k.redeem(s, withReturnCode(old)), watchword.ErrReturnCodeInvalid)
	shownAgain := k.returnCode(s, cookie)
	k.clock.advance(time.Minute)
	named := func(r *watchword.RedeemRequest) { r.Seed, r.ReturnCode = []byte("one request"), shownAgain }
	if err := k.redeem(s, named); err != nil {
		t.Fatalf("after a minute: %v", err)
	}
	k.clock.advance(time.Second)
	if err := k.redeem(s, named); err != nil {
		t.Errorf("the repetition of a request whose response was lost: %v", err)
	}
	k.requireCode(k.redeem(s, func(r *watchword.RedeemRequest) { r.Seed = []byte("one request") }), watchword.ErrReturnCodeInvalid)
}

func TestRedeemNeedsNoReturnCodeWhileThePageWasNeverOpened(t *testing.T) {
	k := newKit(t)
	for _, req := range []watchword.StartRequest{startByEmail(), withPage(startByEmail())} {
		s := k.start(req)
		k.answer(s)
		if err := k.redeem(s); err != nil {
			t.Errorf("%q: %v", req.ReturnURL, err)
		}
	}
}

// A browser opens the page between the read and the write of a Redeem that has no return code.
func TestRedeemSeesPageThatIsOpenedMeanwhile(t *testing.T) {
	k := newKit(t)
	s := k.start(withPage(startByEmail()))
	k.answer(s)
	node := k.newNode()
	var cookie watchword.Code
	k.beforeUpdate(func() {
		var err error
		if cookie, err = node.OpenPage(context.Background(), s.ID, s.Ticket.Reveal(), nil); err != nil {
			t.Fatal(err)
		}
	})
	k.requireCode(k.redeem(s), watchword.ErrReturnCodeInvalid)
	if err := k.redeem(s, withReturnCode(k.returnCode(s, cookie))); err != nil {
		t.Errorf("the browser that opened the page: %v", err)
	}
}

// Without a return URL no page can return a code, so there is no page, except in development.
func TestPageNeedsReturnURL(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	dev := k.newNode(func(c *watchword.Config) { c.Development = true })
	s := k.start(startByEmail())
	if !s.Ticket.IsZero() {
		t.Error("a challenge without a return URL has a ticket")
	}
	inDev, err := dev.Start(ctx, startByEmail())
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.OpenPage(ctx, inDev.ID, inDev.Ticket.Reveal(), nil)
	k.requireCode(err, watchword.ErrUnknownChallenge)
	cookie, err := dev.OpenPage(ctx, inDev.ID, inDev.Ticket.Reveal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	k.answer(inDev)
	if p, err := dev.ViewPage(ctx, inDev.ID, cookie.Reveal()); err != nil || p.Status != watchword.Approved || !p.Next.IsZero() {
		t.Errorf("%+v %v", p, err)
	}
	if err := k.redeem(inDev); err != nil {
		t.Errorf("redeem: %v", err)
	}
}

func TestEndedPageLeadsBackWithError(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	for want, end := range map[string]func(*watchword.Started){
		"canceled": func(s *watchword.Started) {
			if _, err := k.Cancel(ctx, s.ID); err != nil {
				t.Fatal(err)
			}
		},
		"locked": func(s *watchword.Started) {
			var err error
			for range 5 {
				err = k.Answer(ctx, s.ID, watchword.Answer{Text: wrongCode(k.code(s.ID)), Starter: true}, watchword.Client{})
			}
			if !errors.Is(err, watchword.ErrIncorrectAnswer) {
				t.Fatal(err)
			}
		},
		"expired": func(*watchword.Started) { k.clock.advance(10 * time.Minute) },
	} {
		req := withPage(startByEmail())
		req.To = want + "@example.com"
		s := k.start(req)
		cookie := k.openPage(s)
		if p, err := k.ViewPage(ctx, s.ID, cookie.Reveal()); err != nil || !p.Next.IsZero() {
			t.Errorf("a pending page leads to %q, %v", p.Next.Reveal(), err)
		}
		end(s)
		p, err := k.ViewPage(ctx, s.ID, cookie.Reveal())
		if err != nil || p.Next.Reveal() != returnURL+"&challenge="+s.ID+"&error="+want {
			t.Errorf("%s: the page leads to %q, %v", want, p.Next.Reveal(), err)
		}
	}
}

func TestReturnURLKeepsItsOwnQuery(t *testing.T) {
	k := newKit(t)
	for given, want := range map[string]string{"": "?", "/": "/?", "/done?": "/done?", "/done?a=b&a=%20c+d": "/done?a=b&a=%20c+d&", "/done?a=b?c": "/done?a=b?c&"} {
		req := startByEmail()
		req.ReturnURL = "https://app.example.com" + given
		s := k.start(req)
		cookie := k.openPage(s)
		if _, err := k.Cancel(context.Background(), s.ID); err != nil {
			t.Fatal(err)
		}
		p, err := k.ViewPage(context.Background(), s.ID, cookie.Reveal())
		if err != nil || p.Next.Reveal() != "https://app.example.com"+want+"challenge="+s.ID+"&error=canceled" {
			t.Errorf("%q: the page leads to %q, %v", given, p.Next.Reveal(), err)
		}
	}
}

// A browser opens the page while a right answer is evaluated. The approval keeps that browser, and its return code is needed.
func TestApprovalKeepsBrowserThatOpensThePageMeanwhile(t *testing.T) {
	ctx := context.Background()
	v := &scriptedVerifier{}
	k := newKit(t, withVerifier(v))
	s := k.start(withPage(verifierStart()))
	var cookie watchword.Code
	v.verify = func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		cookie = k.openPage(s)
		return watchword.Proof{AMR: []string{"otp"}}, nil
	}
	if err := k.Answer(ctx, s.ID, watchword.Answer{Text: "right"}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	k.requireCode(k.redeem(s), watchword.ErrReturnCodeInvalid)
	if err := k.redeem(s, withReturnCode(k.returnCode(s, cookie))); err != nil {
		t.Errorf("the browser that opened the page: %v", err)
	}
}
