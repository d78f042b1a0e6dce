package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/browsertest"
	"github.com/watchword-auth/watchword/server"
)

// TestPageStatesInBrowser checks every state of every page in German, which has the longest words, and those that differ in Arabic, which
// is read from right to left, with another brand. With WATCHWORD_SHOTS it takes screenshots of all in English and Chinese too.
func TestPageStatesInBrowser(t *testing.T) {
	t.Parallel()
	b, check := newBrowser(t), newStatesCheck(t)
	green := server.Pages{Color: "#0a6b4f", URL: "https://www.shop.example.com/", Texts: arabic(t)}
	for locale, pages := range map[string]server.Pages{"de": green, "ar": newArabicPages(t), "en": green, "zh": green} {
		if check.shots == "" && (locale == "en" || locale == "zh") {
			continue
		}
		for name, states := range map[string][]pageState{
			"messages": slices.Concat(listCodeStates(), listLinkStates(), listConfirmStates()),
			"factors":  slices.Concat(listAskStates(), listVerificationStates(), listFailureStates()),
			"problems": listProblemStates(),
			"copied":   listCopiedStates(),
		} {
			if locale == "ar" && check.shots == "" {
				states = slices.DeleteFunc(states, func(state pageState) bool { return !slices.Contains(rightToLeftStates, state.name) })
			}
			if len(states) == 0 || name == "problems" && locale != "de" { // problems are in English alone
				continue
			}
			t.Run(locale+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := b
				if name == "copied" {
					b = startBrowser(t, browsertest.FullProgram(t))
				}
				s := newStatesSite(t, pages)
				if s.locale = locale; name == "problems" {
					s.locale = "en"
				}
				check.check(t, b, s, states)
			})
		}
	}
}

// rightToLeftStates have what looks different from right to left.
var rightToLeftStates = []string{"code-sms", "code-wrong", "link-payment", "confirm-payment", "unknown-link", "not-found", "scan-on-phone", "codes", "key-elsewhere", "choose-back", "without-script"}

// newStatesSite returns a site that has every state. In development a page without a return URL shows that it is done.
func newStatesSite(t *testing.T, pages server.Pages) *site {
	s, _ := newVerificationSiteWith(t, pages, trustDevices, func(c *watchword.Config) {
		c.Development, c.Sends, c.Channels, c.Addresses = true, 4, append(c.Channels, "voice"), maskAddress
		c.Lifetimes = map[string]time.Duration{"confirm_email": 24 * time.Hour}
	})
	return s
}

// A near-black brand, whose logo is as dark.
func newArabicPages(t *testing.T) server.Pages {
	return server.Pages{Color: "#111827", Logo: []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="120" height="24"><rect width="24" height="24" rx="6" fill="#111827"/><rect x="32" y="6" width="88" height="12" fill="#111827"/></svg>`),
		URL: "https://www.shop.example.com/", Texts: arabic(t)}
}

// maskAddress is an address policy whose masks look like those of real addresses.
func maskAddress(channel, address string) (watchword.Address, error) {
	local, domain, isMailbox := strings.Cut(address, "@")
	if isMailbox != (channel == "email") {
		return watchword.Address{}, errors.New("an address of another channel")
	}
	if isMailbox {
		return watchword.Address{Value: address, Masked: local[:1] + "•••@" + domain, Kind: "email"}, nil
	}
	return watchword.Address{Value: address, Masked: "+1 ••• ••• ••" + address[len(address)-2:], Kind: "phone"}, nil
}

func byCode(channel string) func(*watchword.StartRequest) {
	return func(q *watchword.StartRequest) {
		q.Strategy, q.Channel = "otp", channel
		if channel != "email" {
			q.To = annsPhone
		}
	}
}

func withPayment(q *watchword.StartRequest) {
	q.Purpose, q.Transaction = "approve_payment", map[string]string{"amount": "1,240.00", "currency": "EUR", "payee": "ACME Handelsgesellschaft mbH",
		"iban": "DE89 3704 0044 0532 0130 00", "reference": "RF18539007547034"}
}

func withoutReturn(q *watchword.StartRequest) { q.ReturnURL = "" }

// openPageOf returns a function that starts a challenge, opens its page and waits for the ask; then happens what then does.
func openPageOf(ask string, then func(*site, *tab, startedChallenge), change ...func(*watchword.StartRequest)) func(*site, *tab) {
	return func(s *site, p *tab) {
		c := s.startLink(change...)
		p.open(s.pageURL(c))
		p.waitVisible(ask)
		if then != nil {
			then(s, p, c)
		}
	}
}

// listCodeStates returns the states of the page of a code.
func listCodeStates() []pageState {
	wrong := func(s *site, p *tab, c startedChallenge) { p.typeText("#answer", wrongCode(c.code)+"\r") }
	return []pageState{
		{"code-sms", "#answer", openPageOf("#answer", nil, byCode("sms")), same},
		{"code-email", "#answer", openPageOf("#answer", nil, byCode("email")), same},
		{"code-voice", "#answer", openPageOf("#answer", nil, byCode("voice")), same},
		{"code-payment", "#answer", openPageOf("#answer", nil, byCode("sms"), withPayment), same},
		{"code-wrong", "#error", openPageOf("#answer", wrong, byCode("email")), same},
		{"code-last-try", "#error", openPageOf("#answer", func(s *site, p *tab, c startedChallenge) {
			spendTries(s, c, 3)
			wrong(s, p, c)
		}, byCode("sms")), same},
		{"code-incomplete", "#error", openPageOf("#answer", func(_ *site, p *tab, _ startedChallenge) { p.typeText("#answer", "12\r") }, byCode("email")), same},
		{"code-not-delivered", "#note:not(:empty)", openPageOf("#answer", func(s *site, p *tab, c startedChallenge) {
			s.reportFailure(c.ID)
			p.do(chromedp.Reload())
		}, byCode("sms")), same},
		{"code-sent-again", "[data-wait]:disabled", openPageOf("#answer", sendAgain, byCode("email")), same},
		{"code-never-again", ".help:not(:has([data-wait]))", openPageOf("#answer", func(s *site, p *tab, c startedChallenge) {
			for range 3 {
				sendAgain(s, p, c)
			}
		}, byCode("email")), same},
		{"code-blocked", ".sign", openPageOf("#answer", func(s *site, p *tab, c startedChallenge) {
			other := s.startLink(byCode("email"))
			spendTries(s, other, 4)
			p.typeText("#answer", wrongCode(c.code)+"\r")
			p.waitVisible("#error")
			p.typeText("#answer", wrongCode(wrongCode(c.code))+"\r")
		}, byCode("email")), other},
		{"code-late", "#note.notice", func(s *site, p *tab) {
			c, err := s.engine.Start(s.t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: annsPhone, ReturnURL: s.app.web.URL + "/done", Locale: s.locale})
			must(s.t, err)
			s.clock.advance(9 * time.Second)
			p.open(s.pageURL(startedChallenge{Started: c, page: "/c/" + c.ID}))
		}, same},
		{"code-locked", ".sign", openPageOf("#answer", func(s *site, _ *tab, c startedChallenge) { spendTries(s, c, 5) }, byCode("sms")), same},
		{"code-expired", ".sign", openPageOf("#answer", func(s *site, _ *tab, _ startedChallenge) { s.clock.advance(11 * time.Minute) }, byCode("sms")), same},
		{"code-done", ".sign.good", openPageOf("#answer", func(_ *site, p *tab, c startedChallenge) { p.typeText("#answer", c.code) }, byCode("email"), withoutReturn), same},
	}
}

// spendTries answers a challenge with wrong codes.
func spendTries(s *site, c startedChallenge, count int) {
	for range count {
		_ = s.engine.Answer(s.t.Context(), c.ID, watchword.Answer{Text: wrongCode(c.code), Starter: true}, watchword.Client{})
	}
}

// reportFailure reports that the last message of a challenge could not be delivered.
func (s *site) reportFailure(challenge string) {
	s.t.Helper()
	out, _ := s.outbox.last(challenge)
	must(s.t, s.engine.RecordDelivery(s.t.Context(), out, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "sms"}))
}

// sendAgain clicks the button of the page after the time that it waits.
func sendAgain(s *site, p *tab, _ startedChallenge) {
	s.clock.advance(2 * time.Minute)
	sent := s.outbox.count()
	p.open(evaluate[string](p, "location.href"))
	p.waitVisible("[data-wait]:enabled")
	p.click("[data-wait]")
	for end := time.Now().Add(stepTimeout); s.outbox.count() == sent; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("the message was not sent again")
		}
	}
	p.waitUntil(`document.querySelector("main").ariaBusy === "false"`)
}
