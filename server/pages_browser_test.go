package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/server"
)

// pageURL returns the page_url of a challenge.
func (s *site) pageURL(c startedChallenge) string { return s.public + c.page + "#" + c.Ticket.Reveal() }

const welcome = "#welcome"

func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	t.Run("a link on another device", func(t *testing.T) { testLinkOnAnotherDevice(t, b) })
	t.Run("automated clicks", func(t *testing.T) { testAutomatedClicks(t, b) })
	t.Run("a wrong number", func(t *testing.T) { testWrongNumber(t, b) })
	t.Run("a link in the same browser", func(t *testing.T) { testLinkInSameBrowser(t, b) })
	t.Run("without BroadcastChannel", func(t *testing.T) { testWithoutBroadcastChannel(t, b) })
	t.Run("cross-origin reads", func(t *testing.T) { testCrossOriginReads(t, b) })
	t.Run("a code", func(t *testing.T) { testCode(t, b) })
	t.Run("a report", func(t *testing.T) { testReport(t, b) })
	t.Run("without script", func(t *testing.T) { testWithoutScript(t, b) })
	t.Run("languages and colors", func(t *testing.T) { testLanguages(t, b) })
}

// A laptop starts and a phone confirms; then the laptop's page opens return_url and the app redeems once. The site uses TLS,
// so the cookie is the one of production.
func testLinkOnAnotherDevice(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{tls: true})
	c := s.startLink()
	laptop, phone := b.newDevice(t), b.newDevice(t)
	laptop.open(s.pageURL(c))
	laptop.waitVisible(".number")
	if got := laptop.innerText(".number"); got != c.number {
		t.Errorf("the number is %q, not %q", got, c.number)
	}
	if evaluate[string](laptop, "location.hash") != "" || evaluate[string](laptop, "document.cookie") != "" {
		t.Error("the ticket is still in the address, or the cookie is open to scripts")
	}
	laptop.do(chromedp.Reload())
	laptop.waitVisible(".number")
	phone.open(c.link)
	phone.waitHeading("Is this you signing in?")
	if got := phone.innerText("dl"); !strings.Contains(got, "Sign in") || !strings.Contains(got, "Firefox on Windows") {
		t.Errorf("the page of the link shows %q", got)
	}
	if phone.contains(".number") || slices.Contains(strings.Fields(phone.innerText("main")), c.number) {
		t.Error("the page of the link shows the number")
	}
	phone.typeText("#number", c.number)
	phone.click("button")
	began := time.Now()
	laptop.waitVisible(welcome)
	if took := time.Since(began); took > time.Second {
		t.Logf("the laptop opened return_url after %s", took) // a log line, not a failure, because the machine may be busy
	}
	phone.waitHeading("Confirmed")
	if got := s.app.redeemErrors(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
	if err := s.app.redeem(t.Context(), ""); err == nil {
		t.Error("redeemed twice")
	}
	checkNoSecretLeaks(t, s, c)
}

// checkNoSecretLeaks checks that no secret of a challenge is in a URL, a Referer header or the log.
func checkNoSecretLeaks(t *testing.T, s *site, c startedChallenge) {
	t.Helper()
	recorded := s.traffic.requests() + s.log.String() + s.app.visited()
	if !strings.Contains(s.traffic.requests(), "POST /c/"+c.ID+"/open") || !strings.Contains(s.log.String(), `"route":"/l/{id}/answer"`) {
		t.Fatal("nothing was recorded")
	}
	for name, secret := range map[string]string{"token": c.token, "ticket": c.Ticket.Reveal(), "handle": c.Handle.Reveal(), "code": c.code} {
		if strings.Contains(recorded, secret) {
			t.Errorf("the %s is in an address, a Referer or the log", name)
		}
	}
	if strings.Contains(recorded, "referer=http") {
		t.Error("a Referer was sent")
	}
}

// A program that opens the link in a browser, runs its scripts and clicks all buttons does not use up the link.
func testAutomatedClicks(t *testing.T, b *browser) {
	for name, script := range map[string]string{
		"clicks everything": `for (const b of [...document.querySelectorAll("button, a, input")]) b.click()`,
		"submits":           `document.querySelector("form").requestSubmit()`,
		"submits natively":  `document.querySelector("form").submit()`,
		"validates nothing": `(() => { const f = document.querySelector("form"); f.noValidate = true; f.requestSubmit() })()`,
		"posts the form": `fetch(location.pathname + "/answer", {method: "POST", headers: {"Content-Type": "application/json"},
			body: JSON.stringify({token: location.hash.slice(1)})}).then(r => r.text())`,
	} {
		s := newSite(t, siteOptions{})
		c := s.startLink()
		scanner := b.newDevice(t)
		scanner.open(c.link)
		scanner.waitHeading("Is this you signing in?")
		_, _ = chromedp.Run(scanner.ctx, chromedp.Evaluate[any](script))
		time.Sleep(300 * time.Millisecond) // for the requests of the script
		if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 5 {
			t.Errorf("%s: %s, %d tries left", name, got.Status, got.TriesLeft)
		}
		person := b.newDevice(t)
		person.open(c.link)
		person.waitVisible("#number")
		person.typeText("#number", c.number+"\r")
		person.waitHeading("Confirmed")
		if s.status(c.ID).Status != watchword.Approved {
			t.Errorf("%s: the person could not confirm", name)
		}
	}
}

func testWrongNumber(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	attacker, victim := b.newDevice(t), b.newDevice(t)
	attacker.open(s.pageURL(c))
	attacker.waitVisible(".number")
	victim.open(c.link)
	victim.waitVisible("#number")
	victim.typeText("#number", wrongCode(c.number)+"\r")
	victim.waitHeading("That number doesn’t match")
	attacker.waitHeading("The number didn’t match")
	victim.open("about:blank")
	victim.open(c.link)
	victim.waitHeading("This link has expired or was already used")
	if s.app.redeemErrors() != nil {
		t.Error("a browser was sent to return_url")
	}
}

// In the browser that started, the link needs no number: its tab opens return_url, and the other tab does not.
func testLinkInSameBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	first := b.newDevice(t)
	first.open(s.pageURL(c))
	first.waitVisible(".number")
	second := b.newTab(t, first.ctx)
	second.open(c.link)
	second.waitHeading("Is this you signing in?")
	if second.contains("#number") {
		t.Error("the page asks for the number in the browser that shows it")
	}
	second.click("button")
	second.waitVisible(welcome)
	first.waitHeading("You’re signed in")
	if got := s.app.redeemErrors(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
	if first.contains(welcome) || !first.contains("a.button") {
		t.Error("both tabs opened return_url")
	}
}

// Without BroadcastChannel both tabs open return_url.
func testWithoutBroadcastChannel(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	first := b.newDevice(t)
	second := b.newTab(t, first.ctx)
	for _, p := range []*tab{first, second} {
		callBrowser(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: "delete window.BroadcastChannel"})
	}
	first.open(s.pageURL(c))
	first.waitVisible(".number")
	second.open(c.link)
	second.waitHeading("Is this you signing in?")
	if evaluate[bool](second, `"BroadcastChannel" in window`) {
		t.Fatal("the browser still has BroadcastChannel")
	}
	second.click("button")
	second.waitVisible(welcome)
	first.waitVisible(welcome)
}

func testCode(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" })
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	p.waitVisible("#answer")
	if !evaluate[bool](p, `document.activeElement.id === "answer"`) {
		t.Error("the input has no focus")
	}
	if got := p.innerText("[data-wait]"); !strings.HasPrefix(got, "Send a new text message in 0:") {
		t.Errorf("the countdown shows %q", got)
	}
	p.typeText("#answer", wrongCode(c.code)+"\r")
	p.waitVisible("#error")
	if got := p.innerText("main"); !strings.Contains(got, "4 tries left") {
		t.Errorf("after a wrong code: %s", got)
	}
	s.clock.advance(time.Minute)
	p.do(chromedp.Reload())
	p.waitUntil(`document.querySelector("[data-wait]")?.innerText === "Send a new text message"`)
	p.click("[data-wait]")
	p.waitUntil(`document.querySelector("[data-wait]")?.dataset.wait === "60" && /^Send a new text message in [01]:[0-5][0-9]$/.test(document.querySelector("[data-wait]").innerText)`)
	if s.outbox.count() != 2 {
		t.Errorf("%d messages", s.outbox.count())
	}
	p.typeText("#answer", c.code[:3]+" "+c.code[3:]+"\r")
	p.waitVisible(welcome)

	c = s.startLink()
	p.open(s.pageURL(c))
	p.waitVisible(".number")
	s.clock.advance(10 * time.Minute)
	p.waitHeading("This link has expired")
}

func testReport(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	p := b.newDevice(t)
	p.open(c.link)
	p.waitVisible("[data-show]")
	p.click("[data-show]")
	p.waitVisible("[data-do=report] button")
	if s.status(c.ID).Status != watchword.Pending {
		t.Error("one click canceled the challenge")
	}
	p.click("[data-do=report] button")
	p.waitHeading("Request blocked")
	if s.status(c.ID).Status != watchword.Canceled {
		t.Error("the challenge was not canceled")
	}
}

func testWithoutScript(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	p := b.newDevice(t)
	p.enableScripts(false)
	p.open(s.pageURL(c))
	p.do(chromedp.WaitVisible(chromedp.CSS("noscript h1")))
	p.open(c.link)
	p.do(chromedp.SendKeys(chromedp.CSS("#code"), c.code), chromedp.SendKeys(chromedp.CSS("#number"), c.number+"\r"))
	p.do(chromedp.WaitNotPresent(chromedp.CSS("#code")))
	if s.status(c.ID).Status != watchword.Approved {
		t.Error("the code and the number did not confirm")
	}
}

func testLanguages(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{pages: server.Pages{Color: "#FFD500"}, links: magiclink.Config{NoCode: true}})
	p := b.newDevice(t)
	for locale, want := range map[string]string{"de-AT": "Melden Sie sich gerade an?", "fr": "Est-ce bien vous qui vous connectez\u202f?", "es-MX": "¿Es usted quien inicia sesión?", "pt-BR": "É você que está entrando?", "zh-Hans": "是您本人在登录吗？", "xx": "Is this you signing in?"} {
		c := s.startLink(func(q *watchword.StartRequest) { q.Locale = locale })
		p.open("about:blank")
		p.open(c.link)
		p.waitVisible("#number")
		if got := p.innerText("h1"); got != want {
			t.Errorf("%s: %q", locale, got)
		}
		if got := evaluate[string](p, "document.documentElement.lang"); got != want[:0]+strings.ToLower(locale[:2]) && locale != "xx" {
			t.Errorf("%s: the page's language is %q", locale, got)
		}
	}
	if got := evaluate[string](p, `getComputedStyle(document.querySelector("button")).backgroundColor + getComputedStyle(document.querySelector("button")).color`); got != "rgb(255, 213, 0)rgb(0, 0, 0)" {
		t.Errorf("the button is %s", got)
	}
}
