package server_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
)

// A pageState is a state of a page that people see.
type pageState struct {
	name     string
	selector string // matches when the page is complete
	open     func(s *site, p *tab)
}

// listPageStates returns the states of the pages of codes and links.
func listPageStates(t *testing.T) []pageState {
	starter := func(change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.startLink(change...)
			p.open(s.pageURL(c))
		}
	}
	code := func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" }
	payment := func(q *watchword.StartRequest) {
		q.Purpose, q.Transaction = "approve_payment", map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"}
	}
	link := func(then func(s *site, p *tab, c startedChallenge), change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.startLink(change...)
			p.open(c.link)
			p.waitVisible("#number")
			then(s, p, c)
		}
	}
	stay := func(*site, *tab, startedChallenge) {}
	ended := func(end func(s *site, c startedChallenge), change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.startLink(change...)
			p.open(s.pageURL(c))
			p.waitVisible(".number")
			end(s, c)
			p.waitUntil(`document.querySelector(".number") === null`)
		}
	}
	return []pageState{
		{"code", "#answer", starter(code)},
		{"code-wrong", "#error", func(s *site, p *tab) {
			c := s.startLink(code)
			p.open(s.pageURL(c))
			p.waitVisible("#answer")
			p.typeText("#answer", wrongCode(c.code)+"\r")
		}},
		{"link", ".number", starter()},
		{"link-payment", ".number", starter(payment)},
		{"approved", "h1", ended(func(s *site, c startedChallenge) {
			must(t, s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: c.token, Starter: true}, watchword.Client{}))
		}, func(q *watchword.StartRequest) { q.ReturnURL = "" })},
		{"canceled", "h1", ended(func(s *site, c startedChallenge) {
			_, err := s.engine.Cancel(t.Context(), c.ID)
			must(t, err)
		})},
		{"locked", "h1", ended(func(s *site, c startedChallenge) {
			_ = s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: c.token, Number: wrongCode(c.number)}, watchword.Client{})
		})},
		{"expired", "h1", ended(func(s *site, _ startedChallenge) { s.clock.advance(10 * time.Minute) })},
		{"opened-elsewhere", "a.button", func(s *site, p *tab) {
			c := s.startLink()
			s.openPage(c)
			p.open(s.pageURL(c))
		}},
		{"unknown", "h1", func(s *site, p *tab) { p.open(s.public + "/c/ch_x") }},
		{"confirm", "#number", link(stay)},
		{"confirm-payment-de", "#number", link(stay, payment, func(q *watchword.StartRequest) { q.Locale = "de" })},
		{"confirm-not-me", "[data-do=report]", link(func(_ *site, p *tab, _ startedChallenge) { p.click("[data-show]") })},
		{"confirm-refused", "h1", link(func(_ *site, p *tab, c startedChallenge) {
			p.typeText("#number", wrongCode(c.number)+"\r")
			p.waitHeading("That number doesn’t match")
		})},
		{"confirmed", "h1", link(func(_ *site, p *tab, c startedChallenge) {
			p.typeText("#number", c.number+"\r")
			p.waitHeading("Confirmed")
		})},
		{"reported", "h1", link(func(_ *site, p *tab, _ startedChallenge) {
			p.click("[data-show]")
			p.click("[data-do=report] button")
			p.waitHeading("Request blocked")
		})},
		{"unknown-link", "h1", func(s *site, p *tab) { p.open(s.public + "/l/ch_x#lk_x") }},
		{"without-script", "#code", func(s *site, p *tab) {
			p.enableScripts(false)
			p.open(s.public + "/l/ch_x")
			p.do(chromedp.SendKeys(chromedp.CSS("noscript #code"), "123456\r"), chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
			p.enableScripts(true) // axe-core needs scripts
		}},
	}
}

// checkPageStates checks the width and, with axe-core, the accessibility of pages in light and dark mode. If WATCHWORD_SHOTS
// is the path of a folder, it writes screenshots there.
func checkPageStates(t *testing.T, b *browser, s *site, all []pageState) {
	axe := axeCore(t)
	shots := os.Getenv("WATCHWORD_SHOTS")
	for _, l := range all {
		p := b.newDevice(t)
		l.open(s, p)
		p.do(chromedp.WaitVisible(chromedp.CSS(l.selector)))
		for _, scheme := range []string{"light", "dark"} {
			for _, size := range []struct {
				name          string
				width, height int64
			}{{"phone", 375, 720}, {"desktop", 1280, 800}} {
				p.do(chromedp.EmulateViewport(size.width, size.height))
				_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				must(t, err)
				if shots != "" {
					picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
					must(t, err)
					must(t, os.WriteFile(filepath.Join(shots, l.name+"-"+size.name+"-"+scheme+".png"), picture, 0o600))
				}
				if over := evaluate[bool](p, "document.documentElement.scrollWidth > innerWidth"); over {
					t.Errorf("%s, %s: the page is wider than the screen", l.name, size.name)
				}
			}
			for _, v := range findViolations(p, axe) {
				t.Errorf("%s, %s: %s", l.name, scheme, v)
			}
		}
	}
}

// findViolations returns the violations that axe-core finds, with rule and element.
func findViolations(p *tab, axe string) (out []string) {
	if axe == "" {
		return nil
	}
	text := evaluate[string](p, axe+`; axe.run().then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; "))))`)
	must(p.t, json.Unmarshal([]byte(text), &out))
	return out
}

const axeVersion = "4.14.1"

// axeCore returns the source of axe-core, which npm downloads once. It returns an empty text if the download fails.
func axeCore(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "watchword-tests", "axe-core-"+axeVersion)
	file := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, "axe-core@"+axeVersion).CombinedOutput()
		if err != nil {
			t.Logf("axe-core cannot be downloaded, so accessibility was NOT checked: install npm, or check the network: %v %s", err, lastLine(out))
			return ""
		}
	}
	source, err := os.ReadFile(file)
	must(t, err)
	return string(source)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
