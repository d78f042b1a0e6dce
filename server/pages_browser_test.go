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

// pageURL is what the app sends the starter's browser to.
func (s *site) pageURL(c begun) string { return s.public + c.page + "#" + c.Ticket.Reveal() }

const welcome = "#welcome"

func TestInABrowser(t *testing.T) {
	b := newBrowser(t)
	t.Run("a laptop and a phone", func(t *testing.T) { laptopAndPhone(t, b) })
	t.Run("programs that press", func(t *testing.T) { programsThatPress(t, b) })
	t.Run("a wrong number", func(t *testing.T) { wrongNumberInBrowser(t, b) })
	t.Run("one browser", func(t *testing.T) { oneBrowser(t, b) })
	t.Run("without channels between tabs", func(t *testing.T) { withoutChannels(t, b) })
	t.Run("other origins", func(t *testing.T) { otherOriginsInBrowser(t, b) })
	t.Run("a code", func(t *testing.T) { codeInBrowser(t, b) })
	t.Run("that was not me", func(t *testing.T) { notMeInBrowser(t, b) })
	t.Run("without script", func(t *testing.T) { withoutScriptInBrowser(t, b) })
	t.Run("languages and colors", func(t *testing.T) { languagesInBrowser(t, b) })
	t.Run("looks", func(t *testing.T) {
		looks(t, b, newSite(t, siteOptions{pages: server.Pages{Color: "#0a6b4f"}}), everyLook(t))
	})
}

// The laptop starts, the phone confirms, the laptop's page moves on by itself within a second, and its backend redeems
// once. Over TLS, so with the cookie that production has.
func laptopAndPhone(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{tls: true})
	c := s.begin()
	laptop, phone := b.device(t), b.device(t)
	laptop.open(s.pageURL(c))
	laptop.sees(".number")
	if got := laptop.text(".number"); got != c.number {
		t.Errorf("the number is %q, not %q", got, c.number)
	}
	if eval[string](laptop, "location.hash") != "" || eval[string](laptop, "document.cookie") != "" {
		t.Error("the ticket is still in the address, or the cookie is open to scripts")
	}
	laptop.do(chromedp.Reload())
	laptop.sees(".number")
	phone.open(c.link)
	phone.heading("Is it you?")
	if got := phone.text("dl"); !strings.Contains(got, "Sign in") || !strings.Contains(got, "Firefox on Windows, 203.0.113.7") {
		t.Errorf("the link's page says %q", got)
	}
	if phone.has(".number") || slices.Contains(strings.Fields(phone.text("main")), c.number) {
		t.Error("the link's page tells the number")
	}
	phone.types("#number", c.number)
	phone.click("button")
	began := time.Now()
	laptop.sees(welcome)
	if took := time.Since(began); took > time.Second {
		t.Logf("the laptop moved on after %s", took) // on a busy machine; the promise is a second
	}
	phone.heading("Done")
	if got := s.app.results(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
	if err := s.app.redeem(t.Context()); err == nil {
		t.Error("redeemed twice")
	}
	noTraces(t, s, c)
}

// noTraces: the secrets of links and pages are in no address, Referer, log line or visit of the app.
func noTraces(t *testing.T, s *site, c begun) {
	t.Helper()
	everything := s.seen.all() + s.log.String() + strings.Join(s.app.visits, "\n")
	if !strings.Contains(s.seen.all(), "POST /c/"+c.ID+"/open") || !strings.Contains(s.log.String(), `"route":"/l/{id}/answer"`) {
		t.Fatal("nothing was recorded")
	}
	for name, secret := range map[string]string{"token": c.token, "ticket": c.Ticket.Reveal(), "handle": c.Handle.Reveal(), "code": c.code} {
		if strings.Contains(everything, secret) {
			t.Errorf("the %s is in an address, a Referer or the log", name)
		}
	}
	if strings.Contains(everything, "referer=http") {
		t.Error("a Referer was sent")
	}
}

// A program that opens the link in a browser, runs its scripts, and presses whatever can be pressed has used nothing up.
func programsThatPress(t *testing.T, b *browser) {
	for name, script := range map[string]string{
		"clicks everything": `for (const b of [...document.querySelectorAll("button, a, input")]) b.click()`,
		"submits":           `document.querySelector("form").requestSubmit()`,
		"submits natively":  `document.querySelector("form").submit()`,
		"validates nothing": `(() => { const f = document.querySelector("form"); f.noValidate = true; f.requestSubmit() })()`,
		"posts the form": `fetch(location.pathname + "/answer", {method: "POST", headers: {"Content-Type": "application/json"},
			body: JSON.stringify({token: location.hash.slice(1)})}).then(r => r.text())`,
	} {
		s := newSite(t, siteOptions{})
		c := s.begin()
		scanner := b.device(t)
		scanner.open(c.link)
		scanner.heading("Is it you?")
		_, _ = chromedp.Run(scanner.ctx, chromedp.Evaluate[any](script))
		time.Sleep(300 * time.Millisecond) // for what the script sets off
		if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 5 {
			t.Errorf("%s: %s, %d tries left", name, got.Status, got.TriesLeft)
		}
		person := b.device(t)
		person.open(c.link)
		person.sees("#number")
		person.types("#number", c.number+"\r")
		person.heading("Done")
		if s.status(c.ID).Status != watchword.Approved {
			t.Errorf("%s: the person's press did not work", name)
		}
	}
}

func wrongNumberInBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	stranger, victim := b.device(t), b.device(t)
	stranger.open(s.pageURL(c))
	stranger.sees(".number")
	victim.open(c.link)
	victim.sees("#number")
	victim.types("#number", wrong(c.number)+"\r")
	victim.heading("That was not the number")
	stranger.heading("Refused")
	victim.open("about:blank")
	victim.open(c.link)
	victim.heading("This link is of no use any more")
	if s.app.results() != nil {
		t.Error("somebody was sent on")
	}
}

// In the browser that started, one press is enough: the link's tab goes on, and the tab that waits does not go there too.
func oneBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	first := b.device(t)
	first.open(s.pageURL(c))
	first.sees(".number")
	second := b.tab(t, first.ctx)
	second.open(c.link)
	second.heading("Is it you?")
	if second.has("#number") {
		t.Error("the number is asked for in the browser that shows it")
	}
	second.click("button")
	second.sees(welcome)
	first.heading("Done")
	if got := s.app.results(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
	if first.has(welcome) || !first.has("a.button") {
		t.Error("both tabs went on")
	}
}

// Browsers without BroadcastChannel do as well: both pages work, and whichever is looked at goes on.
func withoutChannels(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	first := b.device(t)
	second := b.tab(t, first.ctx)
	for _, p := range []*tab{first, second} {
		command(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: "delete window.BroadcastChannel"})
	}
	first.open(s.pageURL(c))
	first.sees(".number")
	second.open(c.link)
	second.heading("Is it you?")
	if eval[bool](second, `"BroadcastChannel" in window`) {
		t.Fatal("the browser still has BroadcastChannel")
	}
	second.click("button")
	second.sees(welcome)
	first.sees(welcome)
}

func codeInBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.begin(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" })
	p := b.device(t)
	p.open(s.pageURL(c))
	p.sees("#answer")
	if !eval[bool](p, `document.activeElement.id === "answer"`) {
		t.Error("typing goes nowhere")
	}
	if got := p.text("[data-wait]"); !strings.HasPrefix(got, "Send again in 0:") {
		t.Errorf("the countdown says %q", got)
	}
	p.types("#answer", wrong(c.code)+"\r")
	p.sees("#error")
	if got := p.text("main"); !strings.Contains(got, "Tries left: 4") {
		t.Errorf("after a wrong code: %s", got)
	}
	s.clock.move(time.Minute)
	p.do(chromedp.Reload())
	p.until(`document.querySelector("[data-wait]")?.innerText === "Send again"`)
	p.click("[data-wait]")
	p.until(`document.querySelector("[data-wait]")?.innerText.startsWith("Send again in 1:")`)
	if s.outbox.count() != 2 {
		t.Errorf("%d messages", s.outbox.count())
	}
	p.types("#answer", c.code[:3]+" "+c.code[3:]+"\r")
	p.sees(welcome)

	c = s.begin()
	p.open(s.pageURL(c))
	p.sees(".number")
	s.clock.move(10 * time.Minute)
	p.heading("Too late")
}

func notMeInBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	p := b.device(t)
	p.open(c.link)
	p.sees("[data-show]")
	p.click("[data-show]")
	p.sees("[data-do=report] button")
	if s.status(c.ID).Status != watchword.Pending {
		t.Error("one press on it was enough")
	}
	p.click("[data-do=report] button")
	p.heading("Thank you")
	if s.status(c.ID).Status != watchword.Canceled {
		t.Error("it was not stopped")
	}
}

func withoutScriptInBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	p := b.device(t)
	p.scripts(false)
	p.open(s.pageURL(c))
	p.do(chromedp.WaitVisible(chromedp.CSS("noscript h1")))
	p.open(c.link)
	p.do(chromedp.SendKeys(chromedp.CSS("#code"), c.code), chromedp.SendKeys(chromedp.CSS("#number"), c.number+"\r"))
	p.do(chromedp.WaitNotPresent(chromedp.CSS("#code")))
	if s.status(c.ID).Status != watchword.Approved {
		t.Error("the code and the number did not do")
	}
}

func languagesInBrowser(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{pages: server.Pages{Color: "#FFD500"}, links: magiclink.Config{NoCode: true}})
	p := b.device(t)
	for locale, want := range map[string]string{"de-AT": "Sind Sie es?", "fr": "Est-ce bien vous ?", "es-MX": "¿Es usted?", "pt-BR": "É você?", "zh-Hans": "是您本人吗？", "xx": "Is it you?"} {
		c := s.begin(func(q *watchword.StartRequest) { q.Locale = locale })
		p.open("about:blank")
		p.open(c.link)
		p.sees("#number")
		if got := p.text("h1"); got != want {
			t.Errorf("%s: %q", locale, got)
		}
		if got := eval[string](p, "document.documentElement.lang"); got != want[:0]+strings.ToLower(locale[:2]) && locale != "xx" {
			t.Errorf("%s: the page's language is %q", locale, got)
		}
	}
	if got := eval[string](p, `getComputedStyle(document.querySelector("button")).backgroundColor + getComputedStyle(document.querySelector("button")).color`); got != "rgb(255, 213, 0)rgb(0, 0, 0)" {
		t.Errorf("the button is %s", got)
	}
}
