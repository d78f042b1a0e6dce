package server_test

import (
	"github.com/chromedp/chromedp"
)

// listFailureStates returns the states of pages that a script, a network or a server fails.
func listFailureStates() []pageState {
	return []pageState{
		{"loading", "#wait", func(s *site, p *tab) {
			p.t.Cleanup(s.gate.hold("POST /c/"))
			p.open(s.pageURL(s.startLink()))
		}, noPart},
		{"script-missing", ".late", func(s *site, p *tab) {
			p.block("*://*:*/pages/page.*.js")
			p.open(s.pageURL(s.startLink()))
			p.waitUntil(`document.querySelector(".late").checkVisibility({ visibilityProperty: true })`)
		}, noPart},
		{"network-missing", "[data-reload]", func(s *site, p *tab) {
			p.block("*://*:*/c/*/open")
			p.open(s.pageURL(s.startLink()))
		}, noPart},
		{"network-lost", ".error[role=alert]", openPageOf("#answer", func(_ *site, p *tab, c startedChallenge) {
			p.block("*://*:*/c/*/answer")
			p.typeText("#answer", c.code)
		}, byCode("email")), same},
		{"sending", `main[aria-busy="true"]`, openPageOf("#answer", func(s *site, p *tab, c startedChallenge) {
			p.t.Cleanup(s.gate.hold("/answer"))
			p.typeText("#answer", c.code)
		}, byCode("email")), other},
		{"without-script", "#code", func(s *site, p *tab) {
			p.enableScripts(false)
			p.open(s.public + "/l/ch_x")
			p.do(chromedp.SendKeys(chromedp.CSS("noscript #code"), "123456\r"), chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
			p.enableScripts(true) // the checks need scripts
		}, noPart},
		{"needs-script", "h1", func(s *site, p *tab) {
			p.enableScripts(false)
			p.open(s.pageURL(s.startLink()))
			p.waitVisible("noscript h1")
			p.enableScripts(true) // the browser hides the element then, but not what it holds
			evaluate[bool](p, `(e => e.replaceWith(...e.childNodes))(document.querySelector("noscript")), document.querySelector("#wait").hidden = true`)
		}, noPart},
	}
}

func listProblemStates() []pageState {
	return []pageState{
		{"problems", "li a", func(s *site, p *tab) { p.open(s.public + "/problems") }, same},
		{"problem", "footer a", func(s *site, p *tab) { p.open(s.public + "/problems/incorrect_answer") }, same},
	}
}
