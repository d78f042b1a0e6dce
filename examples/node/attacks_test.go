package node_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// plain returns a page without the comments that React writes between texts.
func plain(page string) string { return strings.ReplaceAll(page, "<!-- -->", "") }

// A stranger starts with the victim's address, and sends the victim the link of watchword's page, on which the victim answers.
func testPageThatIsPassedOn(t *testing.T, s *site) {
	stranger, victim := newVisitor(t, s), newVisitor(t, s)
	page := stranger.start("victim1@example.com")
	next := victim.answer(page, s.message("victim1@example.com", 1).Code)
	if victim.get(next); victim.isSignedIn() {
		t.Error("the victim is signed in by what another browser has started")
	}
	for _, query := range []string{"", "&return_code=", "&return_code=rc_guessed", "&return_code=a&return_code=b"} {
		if stranger.get("/done?verification=" + page.id() + query); stranger.isSignedIn() {
			t.Errorf("the stranger is signed in with %q", query)
		}
	}
}

// A stranger has answered for an account of their own, and has the victim's browser come back with that, to sign the victim in as the stranger.
func testVerificationOfAnother(t *testing.T, s *site) {
	stranger, victim := newVisitor(t, s), newVisitor(t, s)
	page := stranger.start("stranger2@example.com")
	next := stranger.answer(page, s.message("stranger2@example.com", 1).Code)
	own := victim.start("victim2@example.com")
	address, err := url.Parse(next)
	must(t, err)
	returnCode := address.Query().Get("return_code")
	for _, path := range []string{next, "/done?verification=" + own.id() + "&return_code=" + returnCode} {
		if victim.get(path); victim.isSignedIn() {
			t.Errorf("%s signs the victim in", path)
		}
	}
	res := victim.get(victim.answer(own, s.message("victim2@example.com", 1).Code))
	if !strings.Contains(plain(res.text), "signed in as victim2@example.com") {
		t.Error("the victim's own verification is of no use any more")
	}
	if res.Request.URL.RawQuery != "" {
		t.Errorf("the return code stays in the address: %s", res.Request.URL)
	}
}

// The cookie that a browser has before the sign-in is worth nothing afterwards, and after signing out that of the sign-in is not either.
func testSessionBeforeSignIn(t *testing.T, s *site) {
	v := newVisitor(t, s)
	page := v.start("bob3@example.com")
	before := v.cookie()
	v.get(v.answer(page, s.message("bob3@example.com", 1).Code))
	during := v.cookie()
	if before == "" || during == before || !v.isSignedIn() {
		t.Fatalf("the session has the same id after the sign-in: %q", during)
	}
	if res := newVisitor(t, s).send(http.MethodGet, s.url, "", "Cookie", "session="+before); strings.Contains(res.text, "signed in as ") {
		t.Error("the id from before the sign-in is signed in")
	}
	v.submit(s.url, "Sign out")
	if res := newVisitor(t, s).send(http.MethodGet, s.url, "", "Cookie", "session="+during); strings.Contains(res.text, "signed in as ") {
		t.Error("the id is signed in after signing out")
	}
}

// The example accepts the receipt of its own question alone: genuine ones of another person or of an earlier question of
// the same person sign nobody in.
func testReceiptOfAnother(t *testing.T, s *site) {
	newVisitor(t, s).signIn("other4@example.com")
	ofAnother := s.swap.last.Load()
	newVisitor(t, s).signIn("bob4@example.com")
	earlier := s.swap.last.Load()
	changed := *earlier + "A"
	for what, receipt := range map[string]*string{"of another person": ofAnother, "of an earlier question": earlier, "that was changed": &changed, "that is missing": new(string)} {
		v := newVisitor(t, s)
		before := len(s.messages("bob4@example.com"))
		page := v.start("bob4@example.com")
		next := v.answer(page, s.message("bob4@example.com", before+1).Code)
		s.swap.replace.Store(receipt)
		if v.get(next); v.isSignedIn() {
			t.Errorf("a receipt %s signs in", what)
		}
	}
	newVisitor(t, s).signIn("bob4@example.com") // the receipts alone were wrong
}
