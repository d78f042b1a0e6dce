package server_test

import (
	virtual "github.com/chromedp/cdproto/webauthn"

	"github.com/watchword-auth/watchword"
)

// openAskOf returns a function that starts a challenge of a factor, opens its page and waits for the ask; then happens what then
// does.
func openAskOf(strategy, purpose, ask string, then func(*site, *tab, startedChallenge), change ...func(*watchword.StartRequest)) func(*site, *tab) {
	return func(s *site, p *tab) {
		c := s.startForSubject(strategy, purpose, change...)
		p.open(s.pageURL(c))
		p.waitVisible(ask)
		if then != nil {
			then(s, p, c)
		}
	}
}

// listAskStates returns the states of the pages of factors.
func listAskStates() []pageState {
	const enrol = watchword.PurposeEnrol
	saveCodes := func(_ *site, p *tab, _ startedChallenge) {
		p.click("[type=checkbox]")
		p.click("[data-do=answer] button")
	}
	return []pageState{
		{"scan", ".qr", openAskOf("totp", enrol, ".qr", nil), same},
		{"scan-on-phone", ".here", func(s *site, p *tab) {
			p.resize(phone)
			openAskOf("totp", enrol, ".here", nil)(s, p)
		}, same},
		{"scan-wrong", "#error", openAskOf("totp", enrol, "#answer", func(_ *site, p *tab, _ startedChallenge) { p.typeText("#answer", "000000") }), same},
		{"scan-done", ".sign.good", openAskOf("totp", enrol, "#answer", func(s *site, p *tab, c startedChallenge) {
			p.typeText("#answer", s.appCode(c.Public["secret"].(string)))
		}, withoutReturn, ofSubject("user_43")), same},
		{"codes", "#codes", openAskOf("recovery", enrol, "#codes", nil), same},
		{"codes-done", ".sign.good", openAskOf("recovery", enrol, "#codes", saveCodes, withoutReturn), same},
		{"key", keyButton, openAskOf("webauthn", "sign_in", keyButton, nil), same},
		{"new-key", keyButton, openAskOf("webauthn", enrol, keyButton, nil), same},
		{"key-elsewhere", keyButton, func(s *site, p *tab) {
			p.sendHeaders(map[string]any{"X-Forwarded-For": "198.51.100.1", "Accept-Language": s.locale})
			openAskOf("webauthn", "sign_in", keyButton, nil, func(q *watchword.StartRequest) {
				q.Client = watchword.Client{IP: "203.0.113.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
			})(s, p)
		}, same},
		{"key-refused", "[role=alert]", func(s *site, p *tab) {
			p.addAuthenticator()
			p.clickKeyButton(s, "sign_in")
		}, same},
		{"key-missing", "[role=alert]", openAskOf("webauthn", "sign_in", keyButton, func(_ *site, p *tab, _ startedChallenge) {
			evaluate[bool](p, `delete window.PublicKeyCredential`)
			p.click(keyButton)
		}), same},
		{"key-waiting", keyButton + ":disabled", openAskOf("webauthn", enrol, keyButton, func(_ *site, p *tab, _ startedChallenge) {
			id := p.addAuthenticator()
			callBrowser(p, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
			p.click(keyButton)
		}), other},
		{"new-key-done", ".sign.good", openAskOf("webauthn", enrol, keyButton, func(_ *site, p *tab, _ startedChallenge) {
			p.addAuthenticator()
			p.click(keyButton)
		}, withoutReturn), same},
	}
}

// listCopiedStates returns the states of pages that have copied something to the clipboard.
func listCopiedStates() []pageState {
	const enrol = watchword.PurposeEnrol
	return []pageState{
		{"scan-copied", ".tools [role=status]:not(:empty)", openAskOf("totp", enrol, ".qr", func(_ *site, p *tab, _ startedChallenge) {
			p.click("details:has(#secret) > summary")
			p.waitTools()
			p.click("[data-copy]")
		}), same},
		{"codes-copied", "#copied:not(:empty)", openAskOf("recovery", enrol, "#codes", func(_ *site, p *tab, _ startedChallenge) {
			p.waitTools()
			p.click("[data-copy]")
		}), same},
	}
}

func ofSubject(subject string) func(*watchword.StartRequest) {
	return func(q *watchword.StartRequest) { q.Subject = subject }
}
