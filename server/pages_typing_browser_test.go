package server_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
)

// TestCodeFieldInBrowser tests the field of a code as people use it.
func TestCodeFieldInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	code := func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" }
	open := func(t *testing.T) (*site, *tab, startedChallenge) {
		s := newSite(t, siteOptions{})
		c, p := s.startLink(code), b.newDevice(t)
		p.open(s.pageURL(c))
		p.waitVisible("#answer")
		return s, p, c
	}
	paste := func(p *tab, text string) {
		callBrowser(p, input.InsertText, input.InsertTextParams{Text: text})
	}
	t.Run("pasted codes are accepted in other spellings", func(t *testing.T) {
		for name, spell := range map[string]func(string) string{
			"a line break":       func(c string) string { return c + "\r\n" },
			"a no-break space":   func(c string) string { return "\u00a0" + c[:3] + "\u00a0" + c[3:] },
			"full-width digits":  func(c string) string { return strings.Map(func(r rune) rune { return r - '0' + '０' }, c) },
			"words before it":    func(c string) string { return "Your code: " + c },
			"an invisible space": func(c string) string { return "\u200b" + c[:3] + "\u2013" + c[3:] },
		} {
			_, p, c := open(t)
			paste(p, spell(c.code))
			p.waitVisible(welcome)
			t.Log(name)
		}
	})
	t.Run("a wrong code is sent once", func(t *testing.T) {
		s, p, c := open(t)
		wrong := wrongCode(c.code)
		p.typeText("#answer", wrong)
		p.waitVisible("#error")
		if got := evaluate[string](p, "getSelection().toString() || document.querySelector('#answer').value.slice(document.querySelector('#answer').selectionStart, document.querySelector('#answer').selectionEnd)"); got != wrong {
			t.Errorf("selected is %q", got)
		}
		p.do(chromedp.KeyEvent("\r"))
		p.click("[data-do=answer] button")
		p.click("[data-do=answer] button")
		if evaluate[bool](p, `document.querySelector("main").ariaBusy === "true"`) {
			t.Error("a wrong code is sent again")
		}
		if got := s.status(c.ID).TriesLeft; got != 4 {
			t.Errorf("%d tries left", got)
		}
		p.typeText("#answer", c.code)
		p.waitVisible(welcome)
	})
	t.Run("the last try is sent by the button only", func(t *testing.T) {
		s, p, c := open(t)
		for range 4 {
			_ = s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: wrongCode(c.code), Starter: true}, watchword.Client{})
		}
		p.do(chromedp.Reload())
		p.waitVisible("#answer:not([data-auto])")
		p.typeText("#answer", c.code)
		if evaluate[bool](p, `document.querySelector("main").ariaBusy === "true"`) || s.status(c.ID).Status != watchword.Pending {
			t.Error("the last try was sent by itself")
		}
		p.click("[data-do=answer] button")
		p.waitVisible(welcome)
	})
}
