package server_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
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

// checkPageStates opens each state in a new browser profile and checks every property of people's settings and, with axe-core, the
// accessibility in light and dark mode. If WATCHWORD_SHOTS is the path of a folder, it checks the words only and writes screenshots there.
func checkPageStates(t *testing.T, b *browser, s *site, all []pageState) {
	t.Helper()
	axe, words, shots := axetest.Source(t), untranslatedWords(t, s.locale), os.Getenv("WATCHWORD_SHOTS")
	for _, state := range all {
		t.Run(state.name, func(t *testing.T) {
			p := b.newDevice(t)
			s.clock.advance(20 * time.Minute) // the failed attempts of the states before are forgotten
			p.prefer("prefers-color-scheme", "light")
			p.resize(desktop)
			p.acceptLanguage(s.locale)
			state.open(s, p)
			p.waitVisible(state.selector)
			if state.after != noPart {
				checkHeading(t, p)
			}
			checkWords(t, p, words)
			if shots != "" {
				p.takeShots(filepath.Join(shots, s.locale+"-"+state.name))
				return
			}
			checkKeyboard(t, p)
			for _, scheme := range []string{"light", "dark"} {
				p.prefer("prefers-color-scheme", scheme)
				for _, v := range findViolations(p, axe, scheme == "light") {
					t.Errorf("%s: %s", scheme, v)
				}
			}
			for _, c := range pageConditions {
				c.set(p)
				for _, problem := range evaluate[[]string](p, c.problems) {
					t.Errorf("%s: %s", c.name, problem)
				}
			}
			if state.after == same {
				checkReload(t, p, state)
			}
		})
	}
}

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
