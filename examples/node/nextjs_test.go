package node_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestNextJS builds the example for production and starts it once for all of its tests.
func TestNextJS(t *testing.T) {
	requireExamples(t)
	t.Parallel()
	s := newSite(t, "nextjs")
	t.Run("in a browser", func(t *testing.T) { testNextJSInBrowser(t, s) })
	for name, attack := range map[string]func(*testing.T, *site){
		"page that is passed on": testPageThatIsPassedOn, "verification of another": testVerificationOfAnother, "session before the sign-in": testSessionBeforeSignIn,
		"page that the server has rendered": testPageOfTheServer, "receipt of another": testReceiptOfAnother,
		"action of another origin": testActionOfAnotherOrigin, "redirects": testRedirectsOfDone,
	} {
		t.Run(name, func(t *testing.T) { attack(t, s) })
	}
}

// A sign-in by code and one by link, a passkey that is set up, alone and as the second step, and events that nobody answered for.
func testNextJSInBrowser(t *testing.T, s *site) {
	b := newTab(t, s)
	b.inspect("sign-in")
	b.typeIn("input[type=email]", bea+"\r")
	b.waitUntil(`inside("#answer")`)
	b.inspect("code")
	evaluate[bool](b, `document.querySelector("watchword-verification").dispatchEvent(new CustomEvent("approved", {detail: {verification: "vf_x", return_code: "rc_x"}}))`)
	b.waitText("You have not confirmed that it is you.")
	b.inspect("forged")
	b.typeIn("input[type=email]", bea+"\r")
	b.waitUntil(`inside("#answer")`)
	b.typeInside(s.message(bea, 2).Code)
	b.waitText("You are signed in as " + bea)
	b.inspect("account")

	b.click("Add a passkey")
	b.clickKey("create")
	b.waitText("It is set up.")
	b.inspect("account-with-factor")
	b.click("Sign out")
	b.click("Sign in with a passkey")
	b.waitUntil(`inside("[data-key] button")`)
	b.inspect("passkey")
	b.clickInside("[data-key] button")
	b.waitText("You are signed in as " + bea)
	b.click("Sign out")
	b.signInByLinkAndPasskey()
	b.reloadVerification()
}

func (b *tab) clickInside(css string) {
	b.t.Helper()
	b.waitUntil(`inside("` + css + `")`)
	evaluate[bool](b, `(inside("`+css+`").click(), true)`)
}

func (b *tab) typeInside(text string) {
	b.t.Helper()
	evaluate[bool](b, `(inside("#answer").focus(), true)`)
	b.press(text)
}

// signInByLinkAndPasskey confirms the link in another tab, after which the element goes on by itself, to the second step.
func (b *tab) signInByLinkAndPasskey() {
	b.t.Helper()
	b.waitText("Sign in with a passkey")
	b.typeIn("input[type=email]", bea+"\r")
	b.waitUntil(`inside("#answer")`)
	b.clickInside("[data-load] button")
	b.clickInside(".ways li:last-child button")
	b.waitUntil(`inside(".number")`)
	b.inspect("link")
	number := evaluate[string](b, `inside(".number").textContent`)
	phone := newTab(b.t, b.site)
	phone.open(b.site.message(bea, 4).Link)
	phone.do(chromedp.SendKeys(chromedp.CSS("#number"), number+"\r"))
	b.waitUntil(`inside("[data-key] button")`)
	b.inspect("second-step")
	b.clickInside("[data-save=remember]")
	b.clickInside("[data-key] button")
	b.waitText("You are signed in as " + bea)
	b.click("Sign out")

	b.waitText("Sign in with a passkey") // the device is trusted now, so there is no second step
	b.typeIn("input[type=email]", bea+"\r")
	b.waitUntil(`inside("#answer")`)
	b.typeInside(b.site.message(bea, 5).Code)
	b.waitText("You are signed in as " + bea)
	b.click("Sign out")
}

// reloadVerification loads the page of the element again: the ticket has been exchanged, so the page says that it begins again.
func (b *tab) reloadVerification() {
	b.t.Helper()
	b.waitText("Sign in with a passkey")
	b.typeIn("input[type=email]", "bob@example.com\r")
	b.waitUntil(`inside("#answer")`)
	b.open(b.site.url + "/verify")
	b.waitText("This page was opened before.")
	b.inspect("opened-before")
	b.click("Start again")
	b.waitText("Sign in with a passkey")
}

// A page that the server has rendered listens to the element as one does that a script has made.
func testPageOfTheServer(t *testing.T, s *site) {
	v := newVisitor(t, s) // the form works without scripts
	v.start("bob10@example.com")
	b := newTab(t, s)
	call(b, network.SetCookie, network.SetCookieParams{Name: "session", Value: v.cookie(), URL: s.url})
	b.open(s.url + "/verify")
	b.waitUntil(`inside("#answer")`)
	b.typeInside(s.message("bob10@example.com", 1).Code)
	b.waitText("You are signed in as bob10@example.com")
}

func testActionOfAnotherOrigin(t *testing.T, s *site) {
	v := newVisitor(t, s)
	v.signIn("bob5@example.com")
	for _, origin := range []string{"https://evil.example", s.url + ".evil.example"} {
		if res := v.submit(origin, "Sign out"); res.StatusCode < 400 {
			t.Errorf("an action from %q: %d", origin, res.StatusCode)
		}
	}
	if !v.isSignedIn() {
		t.Error("an action of another origin has signed the person out")
	}
}

// Redirects lead to fixed paths of the example, whatever the request has.
func testRedirectsOfDone(t *testing.T, s *site) {
	v := newVisitor(t, s)
	for _, query := range []string{"next=https://evil.example/", "verification=vf_1&return_url=//evil.example", "challenge=ch_1&return_code=rc_1", "error=<b>locked</b>"} {
		res := v.get("/done?" + query)
		if res.Request.URL.String() != s.url+"/" || res.StatusCode != http.StatusOK || strings.Contains(res.text, "<b>") {
			t.Errorf("%s leads to %s %s", query, res.Request.URL, res.Header.Get("Location"))
		}
	}
}
