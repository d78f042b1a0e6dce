package server_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

func TestPagesOfABrandInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	t.Run("without script", func(t *testing.T) { testShellWithoutScript(t, b) })
	t.Run("a script that does not load", func(t *testing.T) { testScriptThatDoesNotLoad(t, b) })
	t.Run("a network that fails", func(t *testing.T) { testNetworkThatFails(t, b) })
	t.Run("a dark logo and color", func(t *testing.T) { testDarkBrand(t, b) })
}

// The page that works without script is not dimmed, not marked as busy, and shows the app.
func testShellWithoutScript(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{pages: server.Pages{Color: "#0a6b4f"}})
	p := b.newDevice(t)
	p.enableScripts(false)
	p.open(s.public + "/l/ch_x")
	p.waitVisible("noscript #code")
	p.enableScripts(true)
	const look = `(() => { const b = document.querySelector("noscript button"), s = getComputedStyle(b); return [s.opacity, s.backgroundColor,
		document.querySelector("main").getAttribute("aria-busy"), document.querySelector("#wait").checkVisibility(), document.querySelector(".app").innerText].join() })()`
	if got, want := evaluate[string](p, look), "1,rgb(10, 107, 79),,false,Example Shop"; got != want {
		t.Errorf("the page is %q, want %q", got, want)
	}
}

// block makes requests fail whose URL matches a pattern.
func (p *tab) block(pattern string) {
	p.t.Helper()
	callBrowser(p, network.Enable, network.EnableParams{})
	var patterns []*network.BlockPattern
	if pattern != "" {
		patterns = append(patterns, &network.BlockPattern{URLPattern: pattern, Block: true})
	}
	callBrowser(p, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: patterns})
}

// The page says after some seconds that it is not complete. A reload completes it.
func testScriptThatDoesNotLoad(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	p := b.newDevice(t)
	p.block("*://*:*/pages/page.*.js")
	p.open(s.pageURL(c))
	p.waitVisible("#wait .waiting")
	if got := p.innerText("main"); !strings.Contains(got, "Example Shop") || !strings.Contains(got, "One moment") {
		t.Errorf("the page shows %q", got)
	}
	p.waitUntil(`document.querySelector(".late").checkVisibility({ visibilityProperty: true })`)
	p.block("")
	p.do(chromedp.Reload())
	p.waitVisible(".number")
}

// A failed request is reported above the button that was pressed. What was typed and the focus stay, and the next press works.
func testNetworkThatFails(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	c := s.startLink(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" })
	p := b.newDevice(t)
	p.block("*://*:*/c/*/open")
	p.open(s.pageURL(c))
	p.waitVisible("[data-reload]")
	p.block("")
	p.click("[data-reload]")
	p.waitVisible("#answer")
	p.block("*://*:*/c/*/answer")
	p.typeText("#answer", c.code)
	p.do(chromedp.Focus(chromedp.CSS("[data-do=answer] button")))
	p.click("[data-do=answer] button")
	state := `[document.querySelector(".error[role=alert] + button") === document.activeElement, document.activeElement.ariaDisabled, document.querySelector("#answer").value === "` + c.code + `"].join()`
	p.waitUntil(state + ` === "true,,true"`)
	p.block("")
	p.click("[data-do=answer] button")
	p.waitVisible(welcome)
}

// In dark mode the dark logo and color are used; without a dark logo, the logo has a white background.
func testDarkBrand(t *testing.T, b *browser) {
	light, dark := []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20"/>`), []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"/>`)
	for _, c := range []struct {
		pages server.Pages
		want  map[string]string // width of the logo, its background, and the color of the button
	}{
		{server.Pages{Color: "#111827", ColorDark: "#c4b5fd", Logo: light, LogoDark: dark}, map[string]string{"light": "80 rgba(0, 0, 0, 0) rgb(17, 24, 39)", "dark": "90 rgba(0, 0, 0, 0) rgb(196, 181, 253)"}},
		{server.Pages{ColorDark: "#c4b5fd", Logo: light}, map[string]string{"light": "80 rgba(0, 0, 0, 0) rgb(31, 95, 191)", "dark": "80 rgb(255, 255, 255) rgb(196, 181, 253)"}},
	} {
		s := newSite(t, siteOptions{pages: c.pages})
		p := b.newDevice(t)
		p.open(s.startLink().link)
		p.waitVisible("#number")
		for scheme, want := range c.want {
			callBrowser(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			p.waitUntil(`(() => { const i = document.querySelector(".app img"); return [i.naturalWidth, getComputedStyle(i).backgroundColor, getComputedStyle(document.querySelector("[data-do=answer] button")).backgroundColor].join(" ") })() === "` + want + `"`)
		}
	}
}
