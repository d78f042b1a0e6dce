package server_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// TestAsksInBrowser tests the asks of factors in Chromium with a virtual authenticator.
func TestAsksInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	t.Run("a key", func(t *testing.T) { testKeyEnrolAndUse(t, b) })
	t.Run("a browser without the JSON methods", func(t *testing.T) { testKeyWithoutJSONMethods(t, b) })
	t.Run("a key of an extension", func(t *testing.T) { testKeyOfExtension(t, b) })
	t.Run("an extension that throws", func(t *testing.T) { testExtensionThatThrows(t, b) })
	t.Run("an extension with an invalid credential", func(t *testing.T) { testExtensionWithInvalidCredential(t, b) })
	t.Run("a refused prompt", func(t *testing.T) { testKeyRefusedByPerson(t, b) })
	t.Run("an authenticator app", func(t *testing.T) { testAuthenticatorApp(t, b) })
	t.Run("recovery codes", func(t *testing.T) { testRecoveryCodes(t, b) })
}

func callBrowser[P, R any](p *tab, c cdp.Command[P, R], params P) R {
	p.t.Helper()
	r, err := chromedp.Run(p.ctx, func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) })
	if err != nil {
		p.t.Fatalf("%s: %v", c.Method, err)
	}
	return r
}

// addAuthenticator adds an authenticator that confirms presence and verifies the user automatically.
func (p *tab) addAuthenticator() virtual.AuthenticatorID {
	p.t.Helper()
	callBrowser(p, virtual.Enable, virtual.EnableParams{})
	return callBrowser(p, virtual.AddVirtualAuthenticator, virtual.AddVirtualAuthenticatorParams{Options: &virtual.VirtualAuthenticatorOptions{Protocol: "ctap2",
		Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}}).AuthenticatorID
}

const keyButton = "[data-key] button"

// clickKeyButton starts a webauthn challenge, opens its page and clicks the button.
func (p *tab) clickKeyButton(s *site, purpose string) startedChallenge {
	p.t.Helper()
	c := s.startForSubject("webauthn", purpose)
	p.open("about:blank")
	p.open(s.pageURL(c))
	p.waitVisible(keyButton)
	p.click(keyButton)
	return c
}

// A person adds a key on the page and then uses it. The app redeems each challenge once.
func testKeyEnrolAndUse(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	p := b.newDevice(t)
	p.addAuthenticator()
	p.clickKeyButton(s, watchword.PurposeEnrol)
	p.waitVisible(welcome)
	if s.countFactors("webauthn") != 1 {
		t.Fatal("no key is enrolled")
	}
	p.clickKeyButton(s, "sign_in")
	p.waitVisible(welcome)
	if got := s.app.redeemErrors(); len(got) != 2 || got[0] != nil || got[1] != nil {
		t.Errorf("redeemed: %v", got)
	}
	if s.app.redeem(t.Context(), "") == nil {
		t.Error("redeemed twice")
	}
	again := p.clickKeyButton(s, watchword.PurposeEnrol)
	p.waitUntil(`document.querySelector("[role=alert]")?.innerText.startsWith("This device or key was added before")`)
	if s.status(again.ID).Status != watchword.Pending || s.countFactors("webauthn") != 1 {
		t.Error("the authenticator has a second key, or its refusal ended the challenge")
	}
}

// The pages support browsers without the JSON methods of WebAuthn Level 3.
func testKeyWithoutJSONMethods(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	p := b.newDevice(t)
	p.addAuthenticator()
	for _, purpose := range []string{watchword.PurposeEnrol, "sign_in"} {
		c := s.startForSubject("webauthn", purpose)
		p.open(s.pageURL(c))
		p.waitVisible(keyButton)
		if evaluate[bool](p, `delete PublicKeyCredential.parseCreationOptionsFromJSON, delete PublicKeyCredential.parseRequestOptionsFromJSON,
			delete PublicKeyCredential.prototype.toJSON, "toJSON" in PublicKeyCredential.prototype`) {
			t.Fatal("the browser still has toJSON")
		}
		p.click(keyButton)
		p.waitVisible(welcome)
	}
	if got := s.app.redeemErrors(); len(got) != 2 || got[1] != nil {
		t.Errorf("redeemed: %v", got)
	}
}

// The pages support credentials of password managers, whose inherited methods throw.
func testKeyOfExtension(t *testing.T, b *browser) {
	script, err := os.ReadFile("../webauthn/testdata/extension.js")
	must(t, err)
	for _, form := range []string{"views", "text"} {
		s := newEnrolmentSite(t, server.Pages{})
		p := b.newDevice(t)
		p.addAuthenticator()
		for _, purpose := range []string{watchword.PurposeEnrol, "sign_in"} {
			p.open("about:blank")
			p.open(s.pageURL(s.startForSubject("webauthn", purpose)))
			p.waitVisible(keyButton)
			evaluate[bool](p, string(script)+`; wrapCredentials("`+form+`", false); true`)
			p.click(keyButton)
			p.waitVisible(welcome)
		}
		if got := s.app.redeemErrors(); len(got) != 2 || got[0] != nil || got[1] != nil {
			t.Errorf("%s: redeemed: %v", form, got)
		}
	}
}

// The page shows a message for every value that an extension throws, also for names of Object.prototype members, and the
// person can try again.
func testExtensionThatThrows(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	p := b.newDevice(t)
	p.addAuthenticator()
	p.open(s.pageURL(s.startForSubject("webauthn", watchword.PurposeEnrol)))
	p.waitVisible(keyButton)
	for _, thrown := range []string{`undefined`, `null`, `"text"`, `{ name: "toString" }`, `{ name: "constructor" }`, `{ name: "__proto__" }`} {
		evaluate[bool](p, `(navigator.credentials.create = async () => { throw `+thrown+` }, document.querySelector("[role=alert]")?.remove(), true)`)
		p.click(keyButton)
		p.waitUntil(`document.querySelector("[role=alert]")?.innerText.startsWith("That didn’t work")`)
	}
	evaluate[bool](p, `delete navigator.credentials.create`)
	p.click(keyButton)
	p.waitVisible(welcome)
}

// An invalid credential charges no try. The message is not about codes, and the key can be used afterwards.
func testExtensionWithInvalidCredential(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	p := b.newDevice(t)
	p.addAuthenticator()
	p.open(s.pageURL(s.startForSubject("webauthn", watchword.PurposeEnrol)))
	p.waitVisible(keyButton)
	for _, credential := range []string{`{}`, `{ rawId: "AAAA" }`, `{ id: "AAAA", response: { clientDataJSON: "AAAA", attestationObject: "AAAA" } }`} {
		evaluate[bool](p, `(navigator.credentials.create = async () => (`+credential+`), document.querySelector("[role=alert]")?.remove(), true)`)
		p.click(keyButton)
		p.waitUntil(`document.querySelector("[role=alert]")?.innerText.startsWith("That didn’t work")`)
	}
	evaluate[bool](p, `delete navigator.credentials.create`)
	p.click(keyButton)
	p.waitVisible(welcome)
}

// A refused prompt charges no try: the page shows a message, and a second attempt by the keyboard succeeds.
func testKeyRefusedByPerson(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	p := b.newDevice(t)
	id := p.addAuthenticator()
	callBrowser(p, virtual.SetUserVerified, virtual.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: false})
	c := p.clickKeyButton(s, watchword.PurposeEnrol)
	p.waitUntil(`document.querySelector("[role=alert]")?.innerText.includes("You can try again")`)
	if !evaluate[bool](p, `document.activeElement.matches("`+keyButton+`")`) {
		t.Error("the button has no focus")
	}
	if got := s.status(c.ID); got.Status != watchword.Pending {
		t.Errorf("status after the refusal: %s", got.Status)
	}
	callBrowser(p, virtual.SetUserVerified, virtual.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: true})
	p.do(chromedp.SendKeys(chromedp.CSS(keyButton), "\r"))
	p.waitVisible(welcome)

	p.open("about:blank")
	p.open(s.pageURL(s.startForSubject("webauthn", "sign_in")))
	p.waitVisible(keyButton)
	evaluate[bool](p, `delete window.PublicKeyCredential`)
	p.click(keyButton)
	p.waitUntil(`document.querySelector("[role=alert]")?.innerText.startsWith("This browser can’t")`)

	// Canceling while the browser shows its prompt is not an error.
	callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
	p.clickKeyButton(s, "sign_in")
	p.waitVisible(keyButton + ":disabled") // before keys.js is there, the page is busy and ignores other buttons
	p.click("[data-do=cancel] button")
	p.waitVisible(welcome)
	if got := evaluate[string](p, "location.search"); !strings.HasSuffix(got, "&error=canceled") {
		t.Errorf("after canceling the app got %s", got)
	}
}

func testAuthenticatorApp(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("totp", watchword.PurposeEnrol)
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	p.waitUntil(`document.querySelector(".qr")?.complete && document.querySelector(".qr").naturalWidth > 100`)
	p.click("details:not([open]) summary")
	p.waitUntil(`document.querySelector("#secret").checkVisibility()`)
	secret := p.innerText("#secret")
	if secret != c.Public["secret"] {
		t.Fatalf("copied, the secret would be %q", secret)
	}
	if got := evaluate[string](p, `document.querySelector("a").href`); got != c.Public["uri"] {
		t.Errorf("the link for this device is %s", got)
	}
	p.typeText("#answer", wrongCode(s.appCode(secret))+"\r")
	p.waitVisible("#error")
	p.typeText("#answer", s.appCode(secret)+"\r")
	p.waitVisible(welcome)
	if got := s.app.redeemErrors(); s.countFactors("totp") != 1 || len(got) != 1 || got[0] != nil {
		t.Errorf("%d factors, redeemed: %v", s.countFactors("totp"), got)
	}
}

// waitTools waits until tools.js has run, which comes after the part: before, the buttons to copy, print and save do nothing.
func (p *tab) waitTools() {
	p.t.Helper()
	const loaded = `performance.getEntriesByType("resource").find((e) => e.name.includes("/pages/tools."))`
	p.waitUntil(loaded)
	evaluate[bool](p, "import("+loaded+".name).then(() => true)")
}

func testRecoveryCodes(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("recovery", watchword.PurposeEnrol)
	codes := c.Public["codes"].([]string)
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	p.waitVisible("#codes")
	p.waitTools()
	if got := p.innerText("#codes"); got != strings.Join(codes, "\n") {
		t.Errorf("copied, the codes would be %q", got)
	}
	evaluate[bool](p, `(window.printed = 0, window.print = () => printed++, true)`)
	p.click("[data-print]")
	p.click("[data-copy]")
	if evaluate[int](p, "printed") != 1 || evaluate[string](p, "getSelection().toString().trim()") != strings.Join(codes, "\n") {
		t.Error("the codes are not printed or not marked")
	}
	if p.click("form button"); s.countFactors("recovery") != 0 {
		t.Error("codes are enrolled that nobody has saved")
	}
	p.click("[type=checkbox]")
	p.click("[data-do=answer] button")
	p.waitVisible(welcome)
	if s.countFactors("recovery") != 1 {
		t.Error("nothing is enrolled")
	}
}
