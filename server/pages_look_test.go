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

// A look is a page in one of its states.
type look struct {
	name string
	wait string // what is there when the page is
	show func(s *site, p *tab)
}

// everyLook is each page of codes and links, and each state that people come to see.
func everyLook(t *testing.T) []look {
	starter := func(change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.begin(change...)
			p.open(s.pageURL(c))
		}
	}
	code := func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" }
	payment := func(q *watchword.StartRequest) {
		q.Purpose, q.Transaction = "approve_payment", map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"}
	}
	link := func(then func(s *site, p *tab, c begun), change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.begin(change...)
			p.open(c.link)
			p.sees("#number")
			then(s, p, c)
		}
	}
	nothing := func(*site, *tab, begun) {}
	ended := func(end func(s *site, c begun)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.begin(func(q *watchword.StartRequest) { q.ReturnURL = "" })
			p.open(s.pageURL(c))
			p.sees(".number")
			end(s, c)
			p.until(`document.querySelector(".number") === null`)
		}
	}
	return []look{
		{"code", "#answer", starter(code)},
		{"code-wrong", "#error", func(s *site, p *tab) {
			c := s.begin(code)
			p.open(s.pageURL(c))
			p.sees("#answer")
			p.types("#answer", wrong(c.code)+"\r")
		}},
		{"link", ".number", starter()},
		{"link-payment", ".number", starter(payment)},
		{"approved", "h1", ended(func(s *site, c begun) {
			must(t, s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: c.token, Starter: true}, watchword.Client{}))
		})},
		{"canceled", "h1", ended(func(s *site, c begun) {
			_, err := s.engine.Cancel(t.Context(), c.ID)
			must(t, err)
		})},
		{"locked", "h1", ended(func(s *site, c begun) {
			_ = s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: c.token, Number: wrong(c.number)}, watchword.Client{})
		})},
		{"expired", "h1", ended(func(s *site, _ begun) { s.clock.move(10 * time.Minute) })},
		{"unknown", "h1", func(s *site, p *tab) { p.open(s.public + "/c/ch_x") }},
		{"confirm", "#number", link(nothing)},
		{"confirm-payment-de", "#number", link(nothing, payment, func(q *watchword.StartRequest) { q.Locale = "de" })},
		{"confirm-not-me", "[data-do=report]", link(func(_ *site, p *tab, _ begun) { p.click("[data-show]") })},
		{"confirm-refused", "h1", link(func(_ *site, p *tab, c begun) {
			p.types("#number", wrong(c.number)+"\r")
			p.heading("That was not the number")
		})},
		{"confirmed", "h1", link(func(_ *site, p *tab, c begun) {
			p.types("#number", c.number+"\r")
			p.heading("Done")
		})},
		{"reported", "h1", link(func(_ *site, p *tab, _ begun) {
			p.click("[data-show]")
			p.click("[data-do=report] button")
			p.heading("Thank you")
		})},
		{"unknown-link", "h1", func(s *site, p *tab) { p.open(s.public + "/l/ch_x#lk_x") }},
		{"without-script", "#code", func(s *site, p *tab) {
			p.scripts(false)
			p.open(s.public + "/l/ch_x")
			p.do(chromedp.SendKeys(chromedp.CSS("noscript #code"), "123456\r"), chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
			p.scripts(true) // for the tests' own
		}},
	}
}

// looks holds every page against axe-core, in light and dark; with WATCHWORD_SHOTS=FOLDER it leaves pictures there.
func looks(t *testing.T, b *browser, s *site, all []look) {
	axe := axeCore(t)
	shots := os.Getenv("WATCHWORD_SHOTS")
	for _, l := range all {
		p := b.device(t)
		l.show(s, p)
		p.do(chromedp.WaitVisible(chromedp.CSS(l.wait)))
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
				if over := eval[bool](p, "document.documentElement.scrollWidth > innerWidth"); over {
					t.Errorf("%s, %s: it is wider than the screen", l.name, size.name)
				}
			}
			for _, v := range violations(p, axe) {
				t.Errorf("%s, %s: %s", l.name, scheme, v)
			}
		}
	}
}

// violations is what axe-core finds: rule and element.
func violations(p *tab, axe string) (out []string) {
	if axe == "" {
		return nil
	}
	text := eval[string](p, axe+`; axe.run().then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; "))))`)
	must(p.t, json.Unmarshal([]byte(text), &out))
	return out
}

const axeVersion = "4.14.1"

// axeCore is the source of axe-core, fetched once through npm; empty if it cannot be had.
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
			t.Logf("axe-core cannot be had, so accessibility was NOT checked: install npm, or see to the network: %v %s", err, lastLine(out))
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
