package server_test

import (
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
)

// listLinkStates returns the states of the page that waits for a link.
func listLinkStates() []pageState {
	ended := func(end func(s *site, c startedChallenge), change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return openPageOf(".number", func(s *site, p *tab, c startedChallenge) {
			end(s, c)
			p.waitUntil(`document.querySelector(".number") === null`)
		}, change...)
	}
	approve := func(s *site, c startedChallenge) {
		must(s.t, s.engine.Answer(s.t.Context(), c.ID, watchword.Answer{Text: c.token, Starter: true}, watchword.Client{}))
	}
	return []pageState{
		{"link", ".number", openPageOf(".number", nil), same},
		{"link-payment", ".number", openPageOf(".number", nil, withPayment), same},
		{"link-code-instead", "#answer", openPageOf(".number", func(_ *site, p *tab, _ startedChallenge) { p.click("summary") }), same},
		{"link-code-wrong", "#error", openPageOf(".number", func(_ *site, p *tab, c startedChallenge) {
			p.click("summary")
			p.typeText("#answer", wrongCode(c.code))
		}), same},
		{"link-sent-again", "[data-wait]:disabled", openPageOf(".number", sendAgain), same},
		{"link-not-delivered", "#note:not(:empty)", openPageOf(".number", func(s *site, p *tab, c startedChallenge) {
			s.reportFailure(c.ID)
			p.do(chromedp.Reload())
		}), same},
		{"link-done", ".sign.good", ended(approve, withoutReturn), same},
		{"link-done-payment", ".sign.good", ended(approve, withoutReturn, withPayment), same},
		{"link-canceled", ".sign", ended(func(s *site, c startedChallenge) {
			_, err := s.engine.Cancel(s.t.Context(), c.ID)
			must(s.t, err)
		}), same},
		{"link-wrong-number", ".sign", ended(func(s *site, c startedChallenge) {
			_ = s.engine.Answer(s.t.Context(), c.ID, watchword.Answer{Text: c.token, Number: wrongCode(c.number)}, watchword.Client{})
		}), same},
		{"link-expired", ".sign", ended(func(s *site, _ startedChallenge) { s.clock.advance(11 * time.Minute) }), same},
		{"opened-elsewhere", ".sign", func(s *site, p *tab) {
			c := s.startLink()
			s.openPage(c)
			p.open(s.pageURL(c))
		}, other},
		{"unknown", ".sign", func(s *site, p *tab) { p.open(s.public + "/c/ch_x") }, same},
		{"not-found", ".sign", func(s *site, p *tab) { p.open(s.public + "/x/y/z") }, same},
	}
}

// listConfirmStates returns the states of the page that a link opens.
func listConfirmStates() []pageState {
	opened := func(ask string, then func(s *site, p *tab, c startedChallenge), change ...func(*watchword.StartRequest)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.startLink(change...)
			p.open(c.link)
			p.waitVisible(ask)
			if then != nil {
				then(s, p, c)
			}
		}
	}
	return []pageState{
		{"confirm", "#number", opened("#number", nil), same},
		{"confirm-payment", "#number", opened("#number", nil, withPayment), same},
		{"confirm-own-purpose", "#number", opened("#number", nil, forPurpose("close_account")), same},
		{"confirm-same-browser", "[data-do=answer]", func(s *site, p *tab) {
			p.sendHeaders(map[string]any{"X-Forwarded-For": "203.0.113.7", "Accept-Language": s.locale})
			c := s.startLink()
			p.open(s.pageURL(c))
			p.waitVisible(".number")
			p.open(c.link)
		}, same},
		{"confirm-long-lived", "[data-do=answer]", opened("[data-do=answer]", nil, forPurpose("confirm_email")), same},
		{"confirm-incomplete", "#error", opened("#number", func(_ *site, p *tab, _ startedChallenge) { p.typeText("#number", "1\r") }), same},
		{"confirm-not-me", "[data-do=report]", opened("#number", func(_ *site, p *tab, _ startedChallenge) { p.click("[data-show]") }), same},
		{"confirm-wrong-number", ".sign", opened("#number", func(_ *site, p *tab, c startedChallenge) { p.typeText("#number", wrongCode(c.number)+"\r") }), other},
		{"confirmed", ".sign.good", opened("#number", func(_ *site, p *tab, c startedChallenge) { p.typeText("#number", c.number+"\r") }), other},
		{"reported", ".sign", opened("#number", func(_ *site, p *tab, _ startedChallenge) {
			p.click("[data-show]")
			p.click("[data-do=report] button")
		}), other},
		{"unknown-link", ".sign", func(s *site, p *tab) { p.open(s.public + "/l/ch_x#lk_x") }, same},
	}
}
