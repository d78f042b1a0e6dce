package magiclink_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

const returnURL = "https://app.example.com/done?step=2"

// withLifetimes gives purposes lifetimes of their own.
func withLifetimes(c *watchword.Config) {
	c.Lifetimes = map[string]time.Duration{"confirm_email": 24 * time.Hour, "invite": 7 * 24 * time.Hour, "password_reset": time.Hour, "payment": 2 * time.Minute}
	c.ReturnOrigins = []string{"https://app.example.com"}
	c.Addresses = func(channel, to string) (watchword.Address, error) {
		kind := "email"
		if strings.HasPrefix(to, "+") {
			kind = "phone"
		}
		return watchword.Address{Value: to, Kind: kind}, nil
	}
}

func longLived(purpose string) func(*watchword.StartRequest) {
	return func(r *watchword.StartRequest) {
		r.Purpose, r.Subject, r.ReturnURL = purpose, "user_42", returnURL
	}
}

func (r *testEngine) confirm(s sentChallenge, seed string) (watchword.Code, error) {
	var given []byte
	if seed != "" {
		given = []byte(seed)
	}
	return r.ConfirmLink(r.t.Context(), s.ID, s.token, watchword.Client{}, given)
}

// returnCode returns the return code that a browser with the cookie gets.
func (r *testEngine) returnCode(s sentChallenge, cookie watchword.Code) string {
	r.t.Helper()
	p, err := r.ViewPage(r.t.Context(), s.ID, cookie.Reveal())
	must(r.t, err)
	next, err := url.Parse(p.Next.Reveal())
	must(r.t, err)
	if !strings.HasPrefix(next.String(), returnURL+"&") || next.Query().Get("challenge") != s.ID {
		r.t.Errorf("the browser is sent to %s", next)
	}
	return next.Query().Get("return_code")
}

func (r *testEngine) redeem(s sentChallenge, purpose, code string) error {
	_, err := r.Redeem(r.t.Context(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: purpose, Subject: "user_42", ReturnCode: code})
	return err
}

// A link of 24 hours works after 23 and not after 25, without a code, a number or a page of its starter.
func TestLongLivedLinkWorksWithinItsLifetime(t *testing.T) {
	for purpose, lifetime := range map[string]time.Duration{"confirm_email": 24 * time.Hour, "invite": 7 * 24 * time.Hour, "password_reset": time.Hour} {
		r := newTestEngine(t, magiclink.Config{}, withLifetimes)
		s, late := r.start(longLived(purpose)), r.start(longLived(purpose))
		if s.code != "" || s.Public["code"] != false || s.Public["number"] != nil || !s.Ticket.IsZero() || !s.LongLived || s.ExpiresAt.Sub(noon) != lifetime {
			t.Fatalf("%s: code %q, public %v, ticket %t, lives %s", purpose, s.code, s.Public, !s.Ticket.IsZero(), s.ExpiresAt.Sub(noon))
		}
		r.now = noon.Add(lifetime - time.Hour/2)
		if v, err := r.OpenLink(t.Context(), s.ID, s.token); err != nil || !v.LongLived {
			t.Fatalf("%s: %+v, %v", purpose, v, err)
		}
		cookie, err := r.confirm(s, "")
		must(t, err)
		if err := r.redeem(s, purpose, r.returnCode(s, cookie)); err != nil {
			t.Errorf("%s: redeem: %v", purpose, err)
		}
		wantError(t, purpose+", redeemed again", r.redeem(s, purpose, r.returnCode(s, cookie)), watchword.ErrReceiptUsed)
		r.now = noon.Add(lifetime + time.Hour)
		if _, err = r.confirm(late, ""); err == nil {
			t.Errorf("%s: confirmed after its lifetime", purpose)
		}
	}
}

// Only links by mail live long. Other challenges for the purpose live as long as others, with a number and a code.
func TestOnlyLinksByMailLiveLong(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{}, withLifetimes)
	for what, c := range map[string]struct {
		change   func(*watchword.StartRequest)
		lifetime time.Duration
	}{
		"by SMS":               {func(q *watchword.StartRequest) { q.Purpose, q.Channel, q.To = "confirm_email", "sms", "+14155550123" }, 10 * time.Minute},
		"of another purpose":   {func(q *watchword.StartRequest) { q.Purpose = "sign_in" }, 10 * time.Minute},
		"of a shorter purpose": {func(q *watchword.StartRequest) { q.Purpose = "payment" }, 2 * time.Minute},
	} {
		s := r.start(c.change)
		if got := s.ExpiresAt.Sub(noon); got != c.lifetime || s.number == "" || s.code == "" || s.LongLived {
			t.Errorf("%s: lives %s, number %q, code %q", what, got, s.number, s.code)
		}
		_, err := r.confirm(s, "")
		wantError(t, what+", confirmed without a number", err, watchword.ErrUnknownChallenge)
	}
	_, err := r.Start(t.Context(), watchword.StartRequest{Strategy: "magiclink", Purpose: "confirm_email", To: ada})
	wantError(t, "without a return URL", err, watchword.ErrInvalidRequest)
	v, err := r.StartVerification(t.Context(), watchword.VerificationRequest{Purpose: "confirm_email", ReturnURL: returnURL, Open: watchword.OpenFirst,
		Methods: []watchword.MethodRequest{{Strategy: "magiclink", To: ada}}})
	must(t, err)
	if v.Challenge.LongLived || v.ExpiresAt.Sub(noon) > 15*time.Minute || v.Challenge.Public["number"] == nil {
		t.Errorf("of a verification: %+v", v)
	}
}

// A stranger starts a password reset for a victim, who confirms. The stranger has the handle, the id and what the start returned, and
// cannot collect the receipt.
func TestStrangerCannotRedeemLongLivedLinkThatVictimConfirms(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{}, withLifetimes)
	s := r.start(longLived("password_reset"))
	wantError(t, "before", r.redeem(s, "password_reset", ""), watchword.ErrNotAnswered)
	if _, err := r.OpenPage(t.Context(), s.ID, s.Ticket.Reveal(), nil); err == nil {
		t.Error("the stranger opened a page")
	}
	victim, err := r.confirm(s, "")
	must(t, err)
	code := r.returnCode(s, victim)
	for what, guess := range map[string]string{"no code": "", "garbage": "rc_x", "a changed code": changeEnd(code)} {
		wantError(t, what, r.redeem(s, "password_reset", guess), watchword.ErrReturnCodeInvalid)
	}
	if _, err := r.ViewPage(t.Context(), s.ID, ""); err == nil {
		t.Error("the stranger saw the page")
	}
	stranger, err := r.confirm(sentChallenge{Started: s.Started, token: "lk_" + strings.Repeat("a", 22)}, "")
	wantError(t, "the stranger confirms without the token", err, watchword.ErrUnknownChallenge)
	if !stranger.IsZero() {
		t.Error("the stranger got a cookie")
	}
	// An answer that came by other means binds no browser, so nobody collects it.
	other := r.start(longLived("password_reset"))
	must(t, r.answer(other.ID, watchword.Answer{Text: other.token}))
	wantError(t, "answered without a browser", r.redeem(other, "password_reset", ""), watchword.ErrReturnCodeInvalid)
	r.now = r.now.Add(2 * time.Minute)
	wantError(t, "an expired code", r.redeem(s, "password_reset", code), watchword.ErrReturnCodeInvalid)
	must(t, r.redeem(s, "password_reset", r.returnCode(s, victim)))
}

// A browser repeats a confirmation whose response was lost. Another one that has the link too gets nothing after that.
func TestRepeatedConfirmationGetsTheSameCookie(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{}, withLifetimes)
	s := r.start(longLived("confirm_email"))
	const seed = "a seed of one browser that is long enough"
	first, err := r.confirm(s, seed)
	must(t, err)
	again, err := r.confirm(s, seed)
	if err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("again: %v", err)
	}
	_, err = r.confirm(s, "another browser")
	wantError(t, "another browser", err, watchword.ErrPageOpened)
	_, err = r.OpenLink(t.Context(), s.ID, s.token)
	must(t, err)
	must(t, r.redeem(s, "confirm_email", r.returnCode(s, first)))
	_, err = r.OpenLink(t.Context(), s.ID, s.token)
	wantError(t, "opened when it was used", err, watchword.ErrUnknownChallenge)
}

// Several browsers confirm a link at once: one of them gets the return code.
func TestConcurrentConfirmationsBindOneBrowser(t *testing.T) {
	for range 20 {
		r := newTestEngine(t, magiclink.Config{}, withLifetimes, func(c *watchword.Config) { c.Events = nil })
		s := r.start(longLived("confirm_email"))
		var all sync.WaitGroup
		cookies := make([]watchword.Code, 6)
		for i := range cookies {
			all.Go(func() { cookies[i], _ = r.confirm(s, "") })
		}
		all.Wait()
		bound := 0
		for _, c := range cookies {
			if _, err := r.ViewPage(t.Context(), s.ID, c.Reveal()); err == nil {
				bound++
				must(t, r.redeem(s, "confirm_email", r.returnCode(s, c)))
			}
		}
		if bound != 1 {
			t.Fatalf("%d browsers are bound", bound)
		}
	}
}

// Removing a subject ends its open links, also days later, and those that were answered and not collected.
func TestRemovedSubjectEndsItsLongLivedLinks(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 5 * 24 * time.Hour} {
		r := newTestEngine(t, magiclink.Config{}, withLifetimes)
		open, checked, answered, short := r.start(longLived("invite")), r.start(longLived("invite")), r.start(longLived("invite")), r.start(longLived("payment"))
		cookie, err := r.confirm(answered, "")
		must(t, err)
		r.now = r.now.Add(time.Second)
		must(t, r.RemoveSubject(t.Context(), "user_42", watchword.Authority{}))
		if after < time.Minute { // a challenge of minutes needs no subject that exists
			if err := r.answer(short.ID, watchword.Answer{Text: short.token, Number: short.number}); err != nil {
				t.Errorf("a short-lived one: %v", err)
			}
		}
		r.now = r.now.Add(after)
		_, err = r.Check(t.Context(), checked.ID, watchword.CheckRequest{Purpose: "invite", Subject: "user_42", Answer: watchword.Answer{Text: checked.token}})
		wantError(t, "checked", err, watchword.ErrChallengeCanceled)
		_, err = r.OpenLink(t.Context(), open.ID, open.token)
		wantError(t, "opened", err, watchword.ErrUnknownChallenge)
		_, err = r.confirm(open, "")
		wantError(t, "confirmed", err, watchword.ErrChallengeCanceled)
		wantError(t, "answered", r.answer(open.ID, watchword.Answer{Text: open.token}), watchword.ErrChallengeCanceled)
		if v := r.status(open.ID); v.Status != watchword.Canceled {
			t.Errorf("status %s", v.Status)
		}
		p, err := r.ViewPage(t.Context(), answered.ID, cookie.Reveal())
		if err != nil || strings.Contains(p.Next.Reveal(), "return_code") {
			t.Errorf("%s later: %s, %v", after, p.Next.Reveal(), err)
		}
		wantError(t, "collected", r.redeem(answered, "invite", ""), watchword.ErrChallengeCanceled)
		later := r.start(longLived("invite"))
		if _, err := r.confirm(later, ""); err != nil {
			t.Errorf("a link after the removal: %v", err)
		}
	}
}

// The answer to a start is repeated as long as its link lives; that of another one is not.
func TestReservationOfStartLivesAsLongAsItsLink(t *testing.T) {
	for purpose, lives := range map[string]bool{"confirm_email": true, "sign_in": false, "": false} {
		r := newTestEngine(t, magiclink.Config{}, withLifetimes)
		first, err := r.ReserveStart(t.Context(), "POST /v1/challenges", "key", []byte("body"), purpose)
		must(t, err)
		must(t, first.Finish(t.Context(), []byte("the answer")))
		r.now = r.now.Add(23 * time.Hour)
		again, err := r.ReserveStart(t.Context(), "POST /v1/challenges", "key", []byte("body"), purpose)
		must(t, err)
		if got := string(again.Response) == "the answer"; got != lives {
			t.Errorf("%q: repeated after 23 hours: %t", purpose, got)
		}
	}
}

func TestNewRefusesUnsafeLifetimes(t *testing.T) {
	for what, c := range map[string]struct {
		purpose  string
		lifetime time.Duration
		change   func(*watchword.Config)
		problem  string
	}{
		"signing in":          {"sign_in", 11 * time.Minute, nil, "the most for sign_in"},
		"a second step":       {"mfa", time.Hour, nil, "the most for mfa"},
		"changing factors":    {"manage_factors", time.Hour, nil, "the most for manage_factors"},
		"an enrolment":        {"enrol", time.Hour, nil, "the most for enrol"},
		"a reset":             {"password_reset", time.Hour + time.Second, nil, "the most for password_reset"},
		"more than a week":    {"invite", 168*time.Hour + time.Second, nil, "is more than 168h0m0s"},
		"less than a second":  {"invite", time.Millisecond, nil, "less than a second"},
		"a mistyped purpose":  {"signin", 5 * time.Minute, nil, "is nearly sign_in"},
		"an unlisted purpose": {"invite", time.Hour, func(c *watchword.Config) { c.Purposes = []string{"sign_in"} }, "is not one that this app uses"},
		"no return URLs":      {"invite", time.Hour, func(c *watchword.Config) { c.ReturnOrigins = nil }, "return URLs"},
		"no mail":             {"invite", time.Hour, func(c *watchword.Config) { c.Channels = []string{"sms"} }, "links by mail"},
		"a week":              {"invite", 168 * time.Hour, nil, ""},
		"ten minutes":         {"sign_in", 10 * time.Minute, nil, ""},
	} {
		links, err := magiclink.New(magiclink.Config{})
		must(t, err)
		r := newTestEngine(t, magiclink.Config{})
		cfg := watchword.Config{App: "shop", Issuer: issuer, Keys: []watchword.Key{key(t, "k")}, Identity: key(t, "i"), Store: r.store, Outbox: r.outbox,
			Strategies: []watchword.Strategy{links}, Channels: []string{"email"}}
		withLifetimes(&cfg)
		cfg.Lifetimes = map[string]time.Duration{c.purpose: c.lifetime}
		if c.change != nil {
			c.change(&cfg)
		}
		_, err = watchword.New(cfg)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v, want %q", what, err, c.problem)
		}
	}
}
