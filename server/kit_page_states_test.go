package server_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/axetest"
)

// A pageState is a state of a page that people see. What it waits for is the same in every language.
type pageState struct {
	name     string
	selector string // matches when the page is complete
	open     func(s *site, p *tab)
	after    afterReload
}

// afterReload is what a reload of a state shows.
type afterReload int

const (
	same   afterReload = iota // the same part, without a message about the last attempt
	other                     // another one, because a link or ticket works once
	noPart                    // the state itself shows no part of the server
)

// A screen is a size in CSS pixels that screenshots are taken in.
type screen struct {
	name          string
	width, height int64
}

var (
	phone   = screen{"phone", 390, 844}
	desktop = screen{"desktop", 1280, 800}
)

// A statesCheck checks states of pages. Several at once may share what they have found out.
type statesCheck struct {
	axe   string // the source of axe-core
	shots string // the folder for screenshots; empty: none
	mu    sync.Mutex
	seen  map[string]bool // the structures of pages that axe-core has checked
}

func newStatesCheck(t *testing.T) *statesCheck {
	t.Helper()
	return &statesCheck{axe: axetest.Source(t), shots: os.Getenv("WATCHWORD_SHOTS"), seen: map[string]bool{}}
}

// check opens each state in a tab without cookies and checks every property of people's settings and, once for each structure of a page,
// with axe-core the accessibility in light and dark mode. If there is a folder for screenshots, it checks the words only.
func (c *statesCheck) check(t *testing.T, b *browser, s *site, all []pageState) {
	t.Helper()
	words, device := untranslatedWords(t, s.locale), b.newDevice(t)
	for _, state := range all {
		t.Run(state.name, func(t *testing.T) {
			p := &tab{t, device.ctx}
			p.reset()
			s.clock.advance(20 * time.Minute) // the failed attempts of the states before are forgotten
			p.acceptLanguage(s.locale)
			state.open(s, p)
			t.Cleanup(p.leave) // before held requests are answered, after which the page would lead somewhere else at any time
			p.waitVisible(state.selector)
			if state.after != noPart {
				checkHeading(t, p)
			}
			checkWords(t, p, words)
			if c.shots != "" {
				p.takeShots(filepath.Join(c.shots, s.locale+"-"+state.name))
				return
			}
			checkKeyboard(t, p)
			c.checkAccessibility(t, p)
			for _, condition := range pageConditions {
				condition.set(p)
				for _, problem := range evaluate[[]string](p, condition.problems) {
					t.Errorf("%s: %s", condition.name, problem)
				}
			}
			if state.after == same {
				checkReload(t, p, state)
			}
		})
	}
}

// structure is an expression whose value is the same for pages that differ in nothing but words, or in how often one element follows
// another: what axe-core looks at, and what has a color.
const structure = `(function describe(e) {
	const attributes = [...e.attributes].filter(a => !/^(data-|value|href|src|style|datetime)/.test(a.name)).map(a => a.name + "=" + (/^(alt|aria-label)$/.test(a.name) ? a.value !== "" : a.value))
	const inside = [...e.children].map(describe).filter((text, n, all) => text !== all[n - 1])
	return e.localName + " " + attributes + (e.disabled ? " disabled" : "") + (e.innerText ? " text" : "") + "(" + inside + ")"
})(document.querySelector("body"))`

// checkAccessibility checks a structure with axe-core if none of the states before had it.
func (c *statesCheck) checkAccessibility(t *testing.T, p *tab) {
	t.Helper()
	key := evaluate[string](p, structure)
	c.mu.Lock()
	known := c.seen[key]
	c.seen[key] = true
	c.mu.Unlock()
	if known {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		p.prefer("prefers-color-scheme", scheme)
		for _, v := range findViolations(p, c.axe, scheme == "light") {
			t.Errorf("%s: %s", scheme, v)
		}
	}
}

// reset gives a tab that has left its page the state of a new one: no cookies and no settings of a person.
func (p *tab) reset() {
	p.t.Helper()
	p.enableScripts(true)
	p.block("")
	callBrowser(p, network.ClearBrowserCookies, cdp.Empty{})
	callBrowser(p, virtual.Disable, cdp.Empty{})
	callBrowser(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.enlargeText(1)
	p.prefer("prefers-color-scheme", "light")
	p.resize(desktop)
}

// leave ends what the page does.
func (p *tab) leave() { p.t.Helper(); p.open("about:blank") }

// checkReload requires that a reload leads to the same state.
func checkReload(t *testing.T, p *tab, state pageState) {
	t.Helper()
	const title = `document.querySelector("h1").innerText`
	before := evaluate[string](p, title)
	p.do(chromedp.Reload())
	p.waitUntil(`document.querySelector("h1")?.checkVisibility() && document.querySelector("main").ariaBusy !== "true"`)
	if after := evaluate[string](p, title); after != before {
		t.Errorf("a reload shows %q instead of %q", after, before)
	}
}

func (p *tab) resize(s screen) { p.t.Helper(); p.do(chromedp.EmulateViewport(s.width, s.height)) }

// prefer sets one preference of a person's system and resets the others.
func (p *tab) prefer(feature, value string) {
	p.t.Helper()
	callBrowser(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: feature, Value: value}}})
}

func (p *tab) acceptLanguage(language string) {
	p.t.Helper()
	p.sendHeaders(network.Headers{"Accept-Language": language})
}

func (p *tab) sendHeaders(headers network.Headers) {
	p.t.Helper()
	callBrowser(p, network.Enable, network.EnableParams{})
	callBrowser(p, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
}

// takeShots writes screenshots of the whole page, on a phone and on a desktop, in light and in dark mode.
func (p *tab) takeShots(path string) {
	p.t.Helper()
	for _, size := range []screen{phone, desktop} {
		p.resize(size)
		size.height = max(size.height, evaluate[int64](p, "document.documentElement.scrollHeight"))
		p.resize(size)
		for _, scheme := range []string{"light", "dark"} {
			p.prefer("prefers-color-scheme", scheme)
			picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			must(p.t, err)
			must(p.t, os.WriteFile(path+"-"+size.name+"-"+scheme+".png", picture, 0o600))
		}
	}
}

// findViolations returns the violations that axe-core finds, with rule and element: of all rules, or of those about colors.
func findViolations(p *tab, axe string, all bool) (out []string) {
	p.t.Helper()
	if axe == "" {
		return nil
	}
	options := `{rules: {"target-size": {enabled: true}, "page-has-heading-one": {enabled: false}}}` // checkHeading requires the heading
	if !all {
		axe, options = "", `{runOnly: ["color-contrast", "link-in-text-block"]}`
	}
	text := evaluate[string](p, axe+`; axe.run(`+options+`).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; "))))`)
	must(p.t, json.Unmarshal([]byte(text), &out))
	return out
}
