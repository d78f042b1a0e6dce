package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	ann = "ann@example.com"
	bea = "bea@example.com"
)

// signIn signs a user in, whose second step is the nth message.
func (b *browser) signIn(email, password string, n int) {
	b.t.Helper()
	page := b.hosted("/sign-in", "email", email, "password", password)
	if status := b.exchange(page); status != http.StatusOK {
		b.t.Fatalf("the page does not open: %d", status)
	}
	b.open(b.answer(page, b.code(email, n)), "You are signed in as "+email)
}

func TestSignInNeedsPasswordAndSecondStep(t *testing.T) {
	b := newBrowser(t)
	b.post("/sign-in", "Wrong e-mail address or password", "email", ann, "password", "wrong")
	b.open(b.url+"/sign-in/done?verification=vf_x&return_code=x", "I forgot my password") // without a password before
	page := b.hosted("/sign-in", "email", ann, "password", "correct horse")
	b.open(b.url+"/", "I forgot my password")
	b.exchange(page)
	code := b.code(ann, 1)
	if status, out := b.tryAnswer(page, wrong(code)); status != http.StatusUnprocessableEntity || out.Next != "" {
		t.Errorf("a wrong code: %d %+v", status, out)
	}
	next := b.answer(page, code)
	res := b.open(next, "You are signed in as ann@example.com")
	if res.Request.URL.RawQuery != "" {
		t.Errorf("the return code stays in the address: %s", res.Request.URL)
	}
	b.open(next, "You are signed in as ann@example.com") // a reload
	b.post("/sign-out", "I forgot my password")
	b.open(next, "I forgot my password")
}

// The page with the return code in its address passes that on to no other site.
func TestReturnSendsNoReferrer(t *testing.T) {
	b := newBrowser(t)
	page := b.hosted("/sign-in", "email", ann, "password", "correct horse")
	res := b.open(b.url+"/sign-in/done?verification="+idOf(page)+"&return_code=wrong", "You have not confirmed that it is you")
	if got := res.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy: %q", got)
	}
}

func idOf(p hostedPage) string { return p.url[strings.LastIndex(p.url, "/")+1:] }

// A stranger who has ann's password starts, and sends her the link of the hosted page. She opens it and types the code that she got.
func TestPageThatIsPassedOnSignsNobodyIn(t *testing.T) {
	stranger := newBrowser(t)
	page := stranger.hosted("/sign-in", "email", ann, "password", "correct horse")
	victim := stranger.another()
	if status := victim.exchange(page); status != http.StatusOK {
		t.Fatalf("the victim's page does not open: %d", status)
	}
	next := victim.answer(page, victim.code(ann, 1))
	victim.open(next, "I forgot my password") // she has started nothing

	if status := stranger.exchange(page); status == http.StatusOK {
		t.Error("the ticket opens a second browser")
	}
	stranger.open(stranger.url+"/sign-in/done?verification="+idOf(page), "not started in this browser")
	stranger.open(stranger.url+"/sign-in/done?verification="+idOf(page)+"&return_code=guessed", "not started in this browser")
	stranger.open(stranger.url+"/", "I forgot my password")
}

// The stranger's own tab is open on the ticket. The victim's browser cannot answer then.
func TestPageOpenedByItsStarterCannotBeAnsweredByAnother(t *testing.T) {
	stranger := newBrowser(t)
	page := stranger.hosted("/sign-in", "email", ann, "password", "correct horse")
	stranger.exchange(page)
	victim := stranger.another()
	if status := victim.exchange(page); status == http.StatusOK {
		t.Error("the ticket opens a second browser")
	}
	if status, out := victim.tryAnswer(page, victim.code(ann, 1)); status == http.StatusOK || out.Next != "" {
		t.Errorf("the victim's answer was accepted: %d %+v", status, out)
	}
	stranger.open(stranger.url+"/sign-in/done?verification="+idOf(page), "You have not confirmed that it is you")
}

// An attacker finishes a verification for an own account, and has the victim's browser open the address of the way back.
func TestFinishedVerificationOfAnotherSignsNobodyIn(t *testing.T) {
	attacker := newBrowser(t)
	page := attacker.hosted("/sign-in", "email", bea, "password", "correct mule")
	attacker.exchange(page)
	next := attacker.answer(page, attacker.code(bea, 1))

	victim := attacker.another()
	victim.open(next, "I forgot my password") // without a session
	own := victim.hosted("/sign-in", "email", ann, "password", "correct horse")
	victim.open(next, "not started in this browser") // during a sign-in of her own
	victim.open(victim.url+"/", "I forgot my password")

	victim.exchange(own)
	victim.open(victim.answer(own, victim.code(ann, 1)), "You are signed in as "+ann)
	victim.open(next, "You are signed in as "+ann) // afterwards
}

func TestCanceledPageLeadsBackWithoutSignIn(t *testing.T) {
	b := newBrowser(t)
	page := b.hosted("/sign-in", "email", ann, "password", "correct horse")
	back := b.url + "/sign-in/done?verification=" + url.QueryEscape(idOf(page)) + "&error=canceled"
	b.open(back, "You have not confirmed that it is you")
}

func TestResetChangesThePassword(t *testing.T) {
	b := newBrowser(t)
	b.post("/forgot", "If somebody has an account with a•••@example.com", "email", ann)
	code := b.code(ann, 1)
	b.post("/reset", "Tries left: 4", "code", wrong(code), "password", "battery staple")
	b.post("/reset", "Your password was changed", "code", code, "password", "battery staple")
	b.post("/sign-in", "Wrong e-mail address or password", "email", ann, "password", "correct horse")
	b.signIn(ann, "battery staple", 2)
}

// The other session was signed in with the old password.
func TestResetEndsOtherSessions(t *testing.T) {
	b := newBrowser(t)
	b.signIn(ann, "correct horse", 1)
	other := b.another()
	other.post("/forgot", "If somebody has an account", "email", ann)
	other.post("/reset", "Your password was changed", "code", b.code(ann, 2), "password", "battery staple")
	b.open(b.url+"/", "I forgot my password") // in the session that was signed in
}

// For an unknown address the page is the same, nothing is sent and no code is right.
func TestResetOfUnknownAddressLooksTheSame(t *testing.T) {
	b := newBrowser(t)
	b.post("/forgot", "If somebody has an account with b•••@example.com", "email", "bob@example.com")
	b.post("/reset", "Tries left: 4", "code", "123456", "password", "battery staple")
	b.post("/forgot", "If somebody has an account", "email", ann)
	b.code(ann, 1) // an earlier message would have arrived too
	if found := b.messages("bob@example.com"); len(found) > 0 {
		t.Errorf("%d messages were sent to an unknown address", len(found))
	}
}

func TestSignInRejectsCodeOfReset(t *testing.T) {
	b := newBrowser(t)
	b.post("/forgot", "If somebody has an account", "email", ann)
	reset := b.code(ann, 1)
	page := b.hosted("/sign-in", "email", ann, "password", "correct horse")
	b.exchange(page)
	if mfa := b.code(ann, 2); mfa == reset {
		t.Skip("both codes happen to be the same digits")
	}
	if status, out := b.tryAnswer(page, reset); status != http.StatusUnprocessableEntity || out.Next != "" {
		t.Errorf("the code of a reset: %d %+v", status, out)
	}
}
