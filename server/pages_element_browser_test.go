package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	virtual "github.com/chromedp/cdproto/webauthn"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/axetest"
)

// TestElementInBrowser tests the element on a page of an app's own origin in Chromium with a virtual authenticator.
func TestElementInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	t.Run("methods and the return code", func(t *testing.T) { testElementMethods(t, b) })
	t.Run("a link on another device", func(t *testing.T) { testElementLink(t, b) })
	t.Run("a passkey, also wrapped", func(t *testing.T) { testElementPasskey(t, b) })
	t.Run("a sign-in page that stays open", func(t *testing.T) { testElementRenewsKey(t, b) })
	t.Run("abort and another try", func(t *testing.T) { testElementAbort(t, b) })
	t.Run("removed, moved and created again", func(t *testing.T) { testElementLifecycle(t, b) })
	t.Run("ends and errors", func(t *testing.T) { testElementEnds(t, b) })
	t.Run("an origin that is not listed", func(t *testing.T) { testElementOfForeignOrigin(t, b) })
	t.Run("appearance", func(t *testing.T) { testElementAppearance(t, b) })
}

// A person chooses a method, types a wrong code, uses another method and has the message sent again. Nothing is approved before.
func testElementMethods(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p := b.newDevice(t)
	v := s.startVerification(func(r *watchword.VerificationRequest) { r.Locale = "de" })
	s.openElement(p, s.pageURL, v)
	p.clickTextInside("Authenticator‑App")
	p.typeInside("#answer", wrongCode(s.appCode(s.secret)))
	p.waitInside("[role=alert]")
	if got := evaluate[string](p, `(document.querySelector("watchword-verification").style.setProperty("--watchword-color", "rgb(1, 2, 3)"), getComputedStyle(inside("form button")).backgroundColor)`); got != "rgb(1, 2, 3)" {
		t.Errorf("the button is %s", got)
	}
	p.waitUntil(`inside("#answer").getAttribute("aria-invalid") === "true" && inside("#main").lang === "de" && inside("h1").part.contains("heading")`)
	p.clickInside(otherWay)
	p.clickTextInside("Code per SMS")
	p.waitInside("#answer[data-sms]")
	s.clock.advance(time.Minute)
	p.clickInside(otherWay)
	p.clickTextInside("Code per SMS")
	p.waitInside("[data-do=resend] button:not([disabled])")
	p.clickInside("[data-do=resend] button")
	p.waitInsideText("erneut gesendet")
	if got := p.seen(); len(got) != 0 {
		t.Errorf("events before an answer: %v", got)
	}
	p.typeInside("#answer", s.sentMessage(v, v.methodID("otp", "sms")).Code.Reveal())
	s.redeemSeen(p, v)
	if got := s.traffic.requests() + s.log.String(); strings.Contains(got, v.Ticket.Reveal()) || strings.Contains(got, "Bearer ck_") {
		t.Error("a secret is in an address or the log")
	}
	if evaluate[int](p, `(document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })).length`) != 2 {
		t.Error("the page stores something")
	}
}

// The number is shown, and the element goes on by itself when the link was confirmed on a phone.
func testElementLink(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p, phone := b.newDevice(t), b.newDevice(t)
	v := s.startVerification()
	s.openElement(p, s.pageURL, v)
	p.clickTextInside("Email a link to")
	p.waitInside(".number")
	phone.open(s.sentMessage(v, v.methodID("magiclink", "")).Link.Reveal())
	phone.waitVisible("#number")
	phone.typeText("#number", evaluate[string](p, `inside(".number").innerText`)+"\r")
	phone.waitHeading("Confirmed")
	s.redeemSeen(p, v)
}

// enrolKey enrols a passkey of user_42 on the hosted page.
func (s *elementSite) enrolKey(p *tab) virtual.AuthenticatorID {
	p.t.Helper()
	id := p.addAuthenticator()
	p.clickKeyButton(s.site, watchword.PurposeEnrol)
	p.waitVisible(welcome)
	return id
}

func keyFirst(r *watchword.VerificationRequest) {
	r.Open, r.Methods = watchword.OpenAuto, slices.Insert(r.Methods, 0, watchword.MethodRequest{Strategy: "webauthn"})
}

// A passkey works on the app's own origin, also as an object of an extension whose inherited members throw, with padded base64url, in
// a browser without BroadcastChannel.
func testElementPasskey(t *testing.T, b *browser) {
	t.Parallel()
	script, err := os.ReadFile("../webauthn/testdata/extension.js")
	must(t, err)
	s := newElementSite(t)
	p := b.newDevice(t)
	s.enrolKey(p)
	for _, wrapped := range []string{"", `wrapCredentials("views", true)`, `wrapCredentials("text", false)`, `delete PublicKeyCredential.parseRequestOptionsFromJSON`} {
		v := s.startVerification(keyFirst)
		p.open(s.pageURL)
		p.waitUntil("window.ready")
		evaluate[bool](p, string(script)+"; delete window.BroadcastChannel; "+wrapped+"; true")
		s.showElement(p, v)
		p.clickInside(keyButton)
		s.redeemSeen(p, v)
	}
}

// signInByKey is a sign-in that names nobody: the passkey does.
func signInByKey(r *watchword.VerificationRequest) {
	r.Purpose, r.Subject, r.Open, r.Methods = "sign_in", "", watchword.OpenAuto, []watchword.MethodRequest{{Strategy: "webauthn"}}
}

// holdTimers makes the page's clock one that the test advances, for timers of a minute and more.
const holdTimers = `{
  const now = Date.now, real = { set: setTimeout.bind(window), clear: clearTimeout.bind(window) };
  let ahead = 0, held = new Map(), id = 1e9;
  Date.now = () => now() + ahead;
  window.setTimeout = (f, ms, ...rest) => ms < 60000 ? real.set(f, ms, ...rest) : (held.set(++id, { f, at: Date.now() + ms }), id);
  window.clearTimeout = (n) => held.delete(n) || real.clear(n);
  window.advance = (ms) => {
    ahead += ms;
    for (const [n, { f, at }] of held) if (at <= Date.now()) { held.delete(n); f(); }
  };
  window.heldTimers = () => held.size;
}; true`

// A sign-in page with suggestions (conditional UI) stays open for more than the five minutes of a challenge. The challenge is renewed in
// time, the suggestion with it, and the person signs in by it. Nothing changes on the page.
func testElementRenewsKey(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p := b.newDevice(t)
	id := s.enrolKey(p)
	callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
	v := s.startVerification(signInByKey)
	p.open(s.pageURL + "/sign-in")
	p.waitUntil("window.ready")
	evaluate[bool](p, holdTimers)
	evaluate[bool](p, `{ window.asked = []; window.aborted = 0; const get = navigator.credentials.get.bind(navigator.credentials);
		navigator.credentials.get = (o) => { asked.push([o.mediation, btoa(String.fromCharCode(...new Uint8Array(o.publicKey.challenge)))]); o.signal.addEventListener("abort", () => aborted++); return get(o) } }; true`)
	s.showElement(p, v)
	p.waitUntil(`asked.length === 1 && asked[0][0] === "conditional"`)
	first := s.methodView(v, "m1").Challenge
	for n := 2; n <= 3; n++ { // nearly ten minutes
		s.clock.advance(4*time.Minute + time.Second)
		evaluate[bool](p, `(advance(241000), true)`)
		p.waitUntil(`asked.length === ` + string(rune('0'+n)) + ` && new Set(asked.map((a) => a[1])).size === ` + string(rune('0'+n)) + ` && aborted === ` + string(rune('0'+n-1)))
	}
	if s.methodView(v, "m1").Challenge == first || p.innerTextInside(keyButton) != "Continue with passkey" || len(p.seen()) != 0 {
		t.Errorf("the challenge is not another one, or the page has changed: %v", p.seen())
	}
	callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: true})
	p.clickInside(keyButton)
	s.redeemSeen(p, v)
	if n := evaluate[int](p, "heldTimers()"); n != 0 {
		t.Errorf("%d timers run after the end", n)
	}
}

// A person leaves the dialog of the passkey, chooses another method, comes back and succeeds.
func testElementAbort(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p := b.newDevice(t)
	id := s.enrolKey(p)
	callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
	v := s.startVerification(keyFirst)
	s.openElement(p, s.pageURL, v)
	for range 3 {
		p.clickInside(keyButton)
		p.waitInside("[data-key][aria-busy]")
		p.clickInside(otherWay)
		p.waitInside(".ways")
		p.clickInside(`[data-load=""] button`)
		p.waitInside(keyButton)
	}
	callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: true})
	p.clickInside(keyButton)
	s.redeemSeen(p, v)
}

// An element that is removed ends its requests and its timers. One that is moved keeps what was typed, and a new one with the same
// verification goes on where the other was. After a reload the ticket opens nothing.
func testElementLifecycle(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p := b.newDevice(t)
	id := s.enrolKey(p)
	callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
	v := s.startVerification(keyFirst)
	p.open(s.pageURL)
	p.waitUntil("window.ready")
	evaluate[bool](p, holdTimers)
	evaluate[bool](p, `{ window.aborted = 0; const get = navigator.credentials.get.bind(navigator.credentials);
		navigator.credentials.get = (o) => { o.signal.addEventListener("abort", () => aborted++); return get(o) } }; true`)
	s.showElement(p, v)
	p.clickInside(keyButton)
	p.waitInside("[data-key][aria-busy]")
	p.waitUntil("heldTimers() > 0")
	evaluate[bool](p, `(window.old = document.querySelector("watchword-verification"), old.remove(), true)`)
	p.waitUntil("aborted === 1 && heldTimers() === 0")
	s.waitNoStreams()
	s.showElement(p, v)
	p.clickInside(otherWay)
	p.clickTextInside("Use your authenticator app")
	p.typeInside("#answer", "12")
	evaluate[bool](p, `(document.body.append(document.querySelector("watchword-verification")), true)`)
	p.waitUntil(`inside("#answer").value === "12"`)
	s.openElement(p, s.pageURL, v)
	if e := p.waitSeen("error"); e.Code != "page_opened" {
		t.Errorf("after a reload: %+v", e)
	}
}

func testElementEnds(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p := b.newDevice(t)
	v := s.startVerification()
	s.openElement(p, s.pageURL, v)
	p.clickInside("[data-do=cancel] button")
	if e := p.waitSeen("ended"); e.Status != "canceled" || e.Verification != v.ID {
		t.Errorf("canceled: %+v", e)
	}
	p.waitInsideText("Back to Example Shop")
	approved := s.startVerification()
	s.openElement(p, s.pageURL, approved)
	p.clickTextInside("Use your authenticator app")
	p.typeInside("#answer", s.appCode(s.secret))
	p.waitSeen("approved")
	s.clock.advance(2 * time.Minute) // the return code of the event has expired
	p.clickInside("[data-next]")
	p.waitVisible(welcome)
	if got := s.app.redeemErrors(); len(got) != 1 || got[0] != nil {
		t.Errorf("the button after the end: redeemed %v", got)
	}
	expires := s.startVerification()
	s.openElement(p, s.pageURL, expires)
	p.waitInside(".ways")
	s.clock.advance(16 * time.Minute)
	if e := p.waitSeen("ended"); e.Status != "expired" || e.Verification != expires.ID {
		t.Errorf("expired: %+v", e)
	}
	for name, wrong := range map[string]startedVerification{"a ticket of another": {StartedVerification: &watchword.StartedVerification{VerificationView: expires.VerificationView, Ticket: watchword.NewCode("vt_x")}}} {
		s.openElement(p, s.pageURL, wrong)
		if e := p.waitSeen("error"); e.Code != "unknown_verification" || len(p.seen()) != 1 {
			t.Errorf("%s: %+v", name, p.seen())
		}
	}
}

// At an origin that is not listed the element shows nothing and exchanges no ticket; at the listed one the verification opens then.
func testElementOfForeignOrigin(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	p := b.newDevice(t)
	v := s.startVerification()
	s.openElement(p, s.foreign, v)
	if e := p.waitSeen("error"); e.Code != "unavailable" {
		t.Errorf("%+v", e)
	}
	if !evaluate[bool](p, `inside("#main").innerHTML === "" && !inside("slot").hidden && document.querySelector("watchword-verification").innerText === "One moment"`) {
		t.Error("the element shows something")
	}
	s.openElement(p, s.pageURL, v)
	p.waitInside(".ways")
}

// The element has no violation of axe in any state, in both schemes, and is not wider than a phone.
func testElementAppearance(t *testing.T, b *browser) {
	t.Parallel()
	s := newElementSite(t)
	at := func(ready string, page string, change func(*watchword.VerificationRequest), steps ...func(*tab)) func(*site, *tab) {
		return func(_ *site, p *tab) {
			var changes []func(*watchword.VerificationRequest)
			if change != nil {
				changes = append(changes, change)
			}
			s.openElement(p, s.pageURL+page, s.startVerification(changes...))
			for _, step := range steps {
				step(p)
			}
			p.waitInside(ready)
		}
	}
	choose := func(text string) func(*tab) { return func(p *tab) { p.clickTextInside(text) } }
	axe, shots := axetest.Source(t), os.Getenv("WATCHWORD_SHOTS")
	for name, open := range map[string]func(*site, *tab){
		"element-choose":   at(".ways", "/", nil),
		"element-code":     at("#answer", "/", nil, choose("Text a code to")),
		"element-wrong":    at("[role=alert]", "/", nil, choose("Use your authenticator app"), func(p *tab) { p.typeInside("#answer", wrongCode(s.appCode(s.secret))) }),
		"element-link":     at(".number", "/", nil, choose("Email a link to")),
		"element-key":      at(keyButton, "/sign-in", signInByKey),
		"element-canceled": at(".button", "/", nil, func(p *tab) { p.clickInside("[data-do=cancel] button") }),
	} {
		t.Run(name, func(t *testing.T) {
			p := b.newDevice(t)
			open(s.site, p)
			for _, scheme := range []string{"light", "dark"} {
				p.prefer("prefers-color-scheme", scheme)
				for _, v := range findViolations(p, axe, scheme == "light") {
					t.Errorf("%s: %s", scheme, v)
				}
			}
			p.resize(phone)
			for _, problem := range evaluate[[]string](p, outsideTheScreen) {
				t.Error(problem)
			}
			if shots != "" {
				p.takeShots(filepath.Join(shots, name))
			}
		})
	}
}
