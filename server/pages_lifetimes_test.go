package server_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

func newLifetimeSite(t *testing.T) *site {
	return newSite(t, siteOptions{engine: func(c *watchword.Config) {
		c.Lifetimes = map[string]time.Duration{"confirm_email": 24 * time.Hour, "password_reset": time.Hour}
		c.Addresses = func(_, address string) (watchword.Address, error) {
			return watchword.Address{Value: address, Masked: "a•••", Kind: "email"}, nil
		}
	}})
}

func forPurpose(purpose string) func(*watchword.StartRequest) {
	return func(r *watchword.StartRequest) { r.Purpose = purpose }
}

// A link of 24 hours is confirmed after 23 by a click, and sends that browser to the app with the return code. After 25 hours it is
// unknown.
func TestLongLivedLinkIsConfirmedByClickAndSendsBrowserToApp(t *testing.T) {
	s := newLifetimeSite(t)
	late, c := s.startLink(forPurpose("confirm_email")), s.startLink(forPurpose("confirm_email"))
	if c.number != "" || c.code != "" || !c.Ticket.IsZero() {
		t.Fatalf("number %q, code %q, ticket %t", c.number, c.code, !c.Ticket.IsZero())
	}
	s.clock.advance(23 * time.Hour)
	browser := s.newPageClient()
	opened := browser.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK, `data-do="answer"`)
	if strings.Contains(opened.html, "<input") {
		t.Errorf("asks for something: %s", opened.html)
	}
	confirm := map[string]string{"token": c.token, "seed": "0123456789abcdef0123456789abcdef"}
	done := browser.post("/l/"+c.ID+"/answer", confirm).want(t, http.StatusOK)
	if !done.final || !strings.HasPrefix(done.next, s.app.web.URL+"/done?challenge="+c.ID+"&return_code=rc_") {
		t.Fatalf("goes on to %q", done.next)
	}
	cookie := strings.Join(done.header.Values("Set-Cookie"), "")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("cookie %q", cookie)
	}
	// The response was lost: the same tab repeats the confirmation.
	again := browser.post("/l/"+c.ID+"/answer", confirm).want(t, http.StatusOK)
	if !strings.Contains(again.next, "return_code=rc_") {
		t.Errorf("again: goes on to %q", again.next)
	}
	other := s.newPageClient().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token})
	if other.status != http.StatusConflict || strings.Contains(other.text, "return_code") {
		t.Errorf("another browser: %d %s", other.status, other.text)
	}
	if err := s.app.redeemAt(t.Context(), done.next); err != nil {
		t.Errorf("redeem: %v", err)
	}
	s.clock.advance(2 * time.Hour)
	s.newPageClient().post("/l/"+late.ID+"/open", map[string]string{"token": late.token}).want(t, http.StatusNotFound)
	s.newPageClient().post("/l/"+late.ID+"/answer", map[string]string{"token": late.token}).want(t, http.StatusNotFound)
}

// A stranger starts a password reset for somebody else, who opens the link and confirms it. The stranger gets neither a page nor the
// return code, and so no receipt.
func TestStrangerCannotRedeemPasswordResetAfterVictimConfirms(t *testing.T) {
	s := newLifetimeSite(t)
	c := s.startLink(forPurpose("password_reset"))
	stranger, victim := s.newPageClient(), s.newPageClient()
	refused := func(when string) {
		t.Helper()
		stranger.post("/c/"+c.ID+"/open", map[string]string{"ticket": c.Ticket.Reveal()}).want(t, http.StatusNotFound)
		stranger.get("/c/"+c.ID+"/state").want(t, http.StatusNotFound)
		stranger.post("/l/"+c.ID+"/answer", map[string]string{"token": "lk_" + strings.Repeat("a", 22)}).want(t, http.StatusNotFound)
		if err := s.app.redeem(t.Context(), ""); !errors.Is(err, watchword.ErrNotAnswered) && !errors.Is(err, watchword.ErrReturnCodeInvalid) {
			t.Errorf("%s: redeem: %v", when, err)
		}
	}
	refused("before")
	// The message has no code, so the form without script takes none and uses up no try.
	stranger.form("/l/"+c.ID, "code=000000&number=42").want(t, http.StatusUnprocessableEntity)
	if v := s.status(c.ID); v.TriesLeft != 5 {
		t.Errorf("%d tries left", v.TriesLeft)
	}
	s.clock.advance(50 * time.Minute)
	victim.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK)
	done := victim.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusOK)
	refused("after")
	for _, text := range []string{s.log.String(), s.traffic.requests()} {
		if strings.Contains(text, "rc_") || strings.Contains(text, c.token) {
			t.Error("the log or an address has the return code or the token")
		}
	}
	if err := s.app.redeemAt(t.Context(), done.next); err != nil {
		t.Errorf("the victim's browser: %v", err)
	}
}

// The same start with the same key is the same challenge as long as its link lives; the answer to a sign-in is forgotten earlier.
func TestRepeatedStartOfLongLivedLinkReturnsTheSameChallenge(t *testing.T) {
	links, err := magiclink.New(magiclink.Config{})
	must(t, err)
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{links}, engine: func(c *watchword.Config) {
		c.Lifetimes = map[string]time.Duration{"confirm_email": 24 * time.Hour}
		c.Addresses = func(_, address string) (watchword.Address, error) {
			return watchword.Address{Value: address, Masked: "a•••", Kind: "email"}, nil
		}
	}})
	for purpose, same := range map[string]bool{"confirm_email": true, "sign_in": false} {
		body := `{"strategy":"magiclink","purpose":"` + purpose + `","to":"ann@example.com","return_url":"https://app.example.com/done"}`
		first := ts.post("/v1/challenges", body, idempotencyKey, purpose).want(t, http.StatusCreated, "")
		ts.clock.advance(23 * time.Hour)
		again := ts.post("/v1/challenges", body, idempotencyKey, purpose).want(t, http.StatusCreated, "")
		if got := first.stringAt("id") == again.stringAt("id"); got != same {
			t.Errorf("%s: the same challenge after 23 hours: %t", purpose, got)
		}
		if hasPage := first.valueAt("page_url") != nil; hasPage == same {
			t.Errorf("%s: page_url %v", purpose, first.valueAt("page_url"))
		}
	}
}
