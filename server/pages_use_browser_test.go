package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// TestPageUseInBrowser uses the pages as people do who have no mouse, click twice, lose the network, or open a page in two tabs.
func TestPageUseInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	s := newStatesSite(t, server.Pages{})
	for name, test := range map[string]func(*testing.T, *browser, *site){
		"keyboard": testKeyboardAlone, "clicks": testClicksSendOnce, "double click": testDoubleClickOnNextPart, "slow network": testSlowNetwork, "offline": testOfflineAndBack,
		"offline while waiting": testOfflineWhileWaiting, "back button": testBackButton, "two tabs": testTwoTabs, "autofill": testAutofill,
		"module of keys": testKeyModuleThatDoesNotLoad, "a key before its module": testKeyBeforeItsModule,
	} {
		t.Run(name, func(t *testing.T) { test(t, b, s) })
	}
}

// tabTo presses Tab until the element has the focus.
func (p *tab) tabTo(css string) {
	p.t.Helper()
	for range 30 {
		if evaluate[bool](p, "document.activeElement.matches(`"+css+"`)") {
			return
		}
		p.press("\t")
	}
	p.t.Fatalf("Tab does not reach %s", css)
}

func (p *tab) press(keys string) { p.t.Helper(); p.do(chromedp.KeyEvent(keys)) }

// Every ask is answered, and every other thing done, by keys alone.
func testKeyboardAlone(t *testing.T, b *browser, s *site) {
	code := func(then func(p *tab, c startedChallenge)) func(*tab) {
		return func(p *tab) {
			openPageOf("#answer", func(_ *site, p *tab, c startedChallenge) { then(p, c) }, byCode("email"))(s, p)
		}
	}
	confirm := func(p *tab) startedChallenge {
		c := s.startLink()
		p.open(c.link)
		p.waitVisible("[data-show]")
		return c
	}
	for name, use := range map[string]struct {
		keys func(p *tab)
		end  string // a selector of what is shown then
	}{
		"a code": {code(func(p *tab, c startedChallenge) { p.press(c.code) }), welcome},
		"a wrong code before": {code(func(p *tab, c startedChallenge) {
			p.press(wrongCode(c.code))
			p.waitVisible("#error")
			p.press(c.code) // replaces the wrong one, which is selected
		}), welcome},
		"cancel": {code(func(p *tab, _ startedChallenge) { p.tabTo("[data-do=cancel] button"); p.press("\r") }), welcome},
		"send again": {code(func(p *tab, c startedChallenge) {
			s.clock.advance(2 * time.Minute)
			p.do(chromedp.Reload())
			p.waitVisible("[data-wait]:enabled")
			p.tabTo("[data-wait]")
			p.press(" ")
			p.waitVisible("[data-wait]:disabled")
			p.tabTo("#answer")
			p.press(c.code)
		}), welcome},
		"a code instead of a link": {func(p *tab) {
			c := s.startLink()
			p.open(s.pageURL(c))
			p.waitVisible(".number")
			p.tabTo("summary")
			p.press("\r")
			p.tabTo("#answer")
			p.press(c.code)
		}, welcome},
		"confirm a link": {func(p *tab) { c := confirm(p); p.press(c.number + "\r") }, ".sign.good"},
		"not me": {func(p *tab) {
			confirm(p)
			p.tabTo("[data-show]")
			p.press("\r")
			p.waitVisible("[data-do=report]")
			p.press("\r")
		}, ".sign"},
		"set up an app": {func(p *tab) {
			openAskOf("totp", watchword.PurposeEnrol, "#answer", func(_ *site, p *tab, c startedChallenge) {
				p.tabTo("details:has(#secret) > summary")
				p.press("\r")
				p.tabTo("[data-copy]")
				p.press("\r")
				p.tabTo("#answer")
				p.press(s.appCode(c.Public["secret"].(string)))
			}, ofSubject("user_44"))(s, p)
		}, welcome},
		"save recovery codes": {func(p *tab) {
			openAskOf("recovery", watchword.PurposeEnrol, "#codes", nil)(s, p)
			p.tabTo("[type=checkbox]")
			p.press(" ")
			p.tabTo("[data-do=answer] button")
			p.press("\r")
		}, welcome},
		"a recovery code": {func(p *tab) {
			codes := s.enrolRecoveryCodes()
			openAskOf("recovery", "sign_in", "#answer", nil)(s, p)
			p.press(codes[1] + "\r")
		}, welcome},
		"a passkey": {func(p *tab) {
			p.addAuthenticator()
			openAskOf("webauthn", watchword.PurposeEnrol, keyButton, nil)(s, p)
			p.tabTo(keyButton)
			p.press("\r")
		}, welcome},
		"another method, and back": {func(p *tab) {
			openVerificationOf(choose(1, "#answer"))(s, p)
			p.tabTo(otherWay)
			p.press("\r")
			p.waitVisible(goBack)
			p.tabTo(goBack)
			p.press(" ")
			p.waitVisible("#answer")
			p.tabTo("[data-do=cancel] button")
			p.press("\r")
		}, welcome},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.advance(20 * time.Minute)
			p := b.newDevice(t)
			use.keys(p)
			p.waitVisible(use.end)
		})
	}
}

// Whoever clicks twice sends once, whether the server is quick or slow: the second click reaches neither the same button nor the one
// that the next part has at its place.
func testClicksSendOnce(t *testing.T, b *browser, s *site) {
	lastTry := func(s *site, p *tab, c startedChallenge) {
		spendTries(s, c, 4)
		p.do(chromedp.Reload())
		p.waitVisible("#answer:not([data-auto])")
		p.typeText("#answer", c.code)
	}
	confirm := func(then func(*tab, startedChallenge)) func(*site, *tab) {
		return func(s *site, p *tab) {
			c := s.startLink()
			p.open(c.link)
			p.waitVisible("#number")
			then(p, c)
		}
	}
	for name, c := range map[string]struct {
		open    func(*site, *tab)
		button  string
		request string // what is counted, behind the id
		end     string
	}{
		"continue": {openPageOf("#answer", lastTry, byCode("email")), "[data-do=answer] button", "/answer", welcome},
		"cancel":   {openPageOf("#answer", nil, byCode("email")), "[data-do=cancel] button", "/cancel", welcome},
		"send again": {openPageOf("#answer", func(s *site, p *tab, c startedChallenge) {
			s.clock.advance(2 * time.Minute)
			p.do(chromedp.Reload())
			p.waitVisible("[data-wait]:enabled")
		}, byCode("email")), "[data-wait]", "/resend", "[data-wait]:disabled"},
		"confirm":        {confirm(func(p *tab, c startedChallenge) { p.typeText("#number", c.number) }), "[data-do=answer] button", "/answer", ".sign.good"},
		"report":         {confirm(func(p *tab, _ startedChallenge) { p.click("[data-show]"); p.waitVisible("[data-do=report]") }), "[data-do=report] button", "/report", ".sign"},
		"choose":         {openVerificationOf(nil), ".ways li:nth-child(2) button", "/choose", "#answer"},
		"another method": {openVerificationOf(choose(1, "#answer")), otherWay, "/state?choose", ".ways"},
		"save codes":     {openAskOf("recovery", watchword.PurposeEnrol, "#codes", func(_ *site, p *tab, _ startedChallenge) { p.click("[type=checkbox]") }), "[data-do=answer] button", "/answer", welcome},
		"create a passkey": {func(s *site, p *tab) {
			p.addAuthenticator()
			openAskOf("webauthn", watchword.PurposeEnrol, keyButton, nil)(s, p)
		}, keyButton, "/answer", welcome},
	} {
		for _, slow := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", slow server", false: ", quick server"}[slow], func(t *testing.T) {
				s.clock.advance(20 * time.Minute)
				p := b.newDevice(t)
				c.open(s, p)
				before := s.traffic.count()
				if slow {
					release := s.gate.hold(strings.TrimSuffix(c.request, "?choose"))
					defer release()
					p.doubleClick(c.button)
					p.click(c.button)
					release()
				} else {
					p.doubleClick(c.button)
				}
				p.waitVisible(c.end)
				sent := s.traffic.since(before)
				if n := strings.Count(sent, c.request+" "); n != 1 {
					t.Errorf("%d requests: %s", n, sent)
				}
				for _, other := range []string{"/answer ", "/choose ", "/cancel ", "/resend ", "/report "} {
					if other != c.request+" " && strings.Contains(sent, other) {
						t.Errorf("a request that nobody asked for: %s", sent)
					}
				}
			})
		}
	}
}

// middleOf returns where the middle of an element is.
func (p *tab) middleOf(css string) []float64 {
	p.t.Helper()
	return evaluate[[]float64](p, "(() => { const e = document.querySelector(`"+css+"`); e.scrollIntoView(); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()")
}

func (p *tab) doubleClick(css string) {
	p.t.Helper()
	at := p.middleOf(css)
	p.do(chromedp.MouseClickXY(at[0], at[1]), chromedp.MouseClickXY(at[0], at[1], chromedp.ClickCount(2)))
}

// The second click of a double click opens no method that the first click has brought below the pointer.
func testDoubleClickOnNextPart(t *testing.T, b *browser, s *site) {
	p := b.newDevice(t)
	openVerificationOf(choose(1, "#answer"))(s, p)
	p.click(otherWay)
	p.waitVisible(".ways")
	before := s.traffic.count()
	at := p.middleOf(".ways li:nth-child(2) button")
	p.do(chromedp.MouseClickXY(at[0], at[1], chromedp.ClickCount(2)))
	if evaluate[bool](p, `document.querySelector("main").ariaBusy === "true"`) || strings.Contains(s.traffic.since(before), "/choose") {
		t.Error("a method was chosen")
	}
	p.do(chromedp.MouseClickXY(at[0], at[1]))
	p.waitVisible("#answer[data-sms]")
}

// since returns the requests after the first ones.
func (l *trafficLog) since(count int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[count:], "\n")
}

// On a slow network the page shows that it waits, keeps what was typed, and sends nothing again.
func testSlowNetwork(t *testing.T, b *browser, s *site) {
	p := b.newDevice(t)
	p.emulateNetwork(&network.Conditions{Latency: 300, DownloadThroughput: 50_000, UploadThroughput: 20_000})
	c := s.startLink(byCode("email"))
	p.open(s.pageURL(c))
	p.waitVisible("#answer")
	release := s.gate.hold("/answer")
	defer release()
	p.typeText("#answer", c.code)
	p.waitVisible(`main[aria-busy="true"] [data-do=answer] button[aria-disabled="true"]`)
	if got := evaluate[string](p, `[parseFloat(getComputedStyle(document.querySelector("[data-do=answer] button")).opacity) < 1, document.querySelector("#answer").value].join()`); got != "true,"+c.code {
		t.Errorf("while it waits the page is %s", got)
	}
	before := s.countRequests(c.page + "/answer")
	p.press("\r")
	p.click("[data-do=answer] button")
	p.click("[data-do=cancel] button")
	if after := s.countRequests(c.page + "/answer"); after > 1 || before > after {
		t.Errorf("%d requests", after)
	}
	release()
	p.waitVisible(welcome)
	if n, canceled := s.countRequests(c.page+"/answer"), s.countRequests(c.page+"/cancel"); n != 1 || canceled != 0 {
		t.Errorf("%d answers, %d cancelations", n, canceled)
	}
}

func (s *site) countRequests(path string) int {
	return strings.Count(s.traffic.requests(), "POST "+path+" ")
}

func (p *tab) emulateNetwork(c *network.Conditions) {
	p.t.Helper()
	callBrowser(p, network.Enable, network.EnableParams{})
	var all []*network.Conditions
	if c != nil {
		all = append(all, c)
	}
	callBrowser(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: all})
}

var offline = &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1}

// Without a network the page says so and keeps what was typed; when it is back, the same button goes on.
func testOfflineAndBack(t *testing.T, b *browser, s *site) {
	for name, c := range map[string]struct {
		open func(*site, *tab)
		act  func(*tab)
		end  string
	}{
		"a code":         {openPageOf("#answer", func(_ *site, p *tab, c startedChallenge) { evaluate[bool](p, "window.kept = '"+c.code+"', true") }, byCode("email")), func(p *tab) { p.typeText("#answer", evaluate[string](p, "kept")) }, welcome},
		"cancel":         {openPageOf("#answer", nil, byCode("email")), func(p *tab) { p.click("[data-do=cancel] button") }, welcome},
		"the choice":     {openVerificationOf(nil), func(p *tab) { p.click(".ways li:nth-child(2) button") }, "#answer"},
		"another method": {openVerificationOf(choose(1, "#answer")), func(p *tab) { p.click(otherWay) }, ".ways"},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.advance(20 * time.Minute)
			p := b.newDevice(t)
			c.open(s, p)
			p.emulateNetwork(offline)
			c.act(p)
			p.waitVisible(".error[role=alert]")
			shown := evaluate[string](p, `JSON.stringify([document.querySelectorAll(".error[role=alert]").length, document.querySelector("#answer")?.value])`)
			p.emulateNetwork(nil)
			if name == "a code" {
				if want := `[1,"` + evaluate[string](p, "kept") + `"]`; shown != want {
					t.Errorf("the page shows %s, want %s", shown, want)
				}
				p.click("[data-do=answer] button")
			} else {
				c.act(p)
			}
			p.waitVisible(c.end)
		})
	}
}

// A page that waits for a link and loses its network learns afterwards what has happened.
func testOfflineWhileWaiting(t *testing.T, b *browser, s *site) {
	p := b.newDevice(t)
	openPageOf(".number", func(s *site, p *tab, c startedChallenge) {
		events := "GET " + c.page + "/events"
		s.reportFailure(c.ID)
		p.waitVisible("#note:not(:empty)") // so the stream is open, and the browser does not repeat its request unseen
		p.emulateNetwork(offline)
		s.web.CloseClientConnections()
		must(t, s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: c.token, Starter: true}, watchword.Client{}))
		if p.contains(welcome) {
			t.Error("the page has a network")
		}
		p.emulateNetwork(nil)
		p.waitVisible(welcome)
		if n := strings.Count(s.traffic.requests(), events); n < 2 {
			t.Errorf("%d connections, so the first one was not lost", n)
		}
	})(s, p)
}

// The page is not in the history when it has ended, and shows the present state to whoever comes back to it before.
func testBackButton(t *testing.T, b *browser, s *site) {
	p := b.newDevice(t)
	p.open(s.app.web.URL + "/start")
	c := s.startLink(byCode("email"))
	p.open(s.pageURL(c))
	p.waitVisible("#answer")
	p.typeText("#answer", c.code)
	p.waitVisible(welcome)
	p.goBack(`location.pathname === "/start"`)
	for _, answered := range []bool{false, true} {
		c = s.startLink(byCode("email"))
		p.open(s.pageURL(c))
		p.waitVisible("#answer")
		p.typeText("#answer", wrongCode(c.code))
		p.waitVisible("#error")
		p.goBack(`!location.pathname.startsWith("/c/")`)
		if answered {
			must(t, s.engine.Answer(t.Context(), c.ID, watchword.Answer{Text: c.code, Starter: true}, watchword.Client{}))
		}
		_, _ = chromedp.Run(p.ctx, chromedp.Evaluate[any]("history.forward()"))
		if !answered {
			p.waitVisible("#answer")
			p.do(chromedp.Focus(chromedp.CSS("#answer")), chromedp.KeyEvent(c.code))
		}
		p.waitVisible(welcome)
	}
}

// goBack goes back in the history of the tab, until an expression is true there.
func (p *tab) goBack(expression string) {
	p.t.Helper()
	_, _ = chromedp.Run(p.ctx, chromedp.Evaluate[any]("history.back()"))
	p.waitUntil(expression)
}

// A page that is open in two tabs goes on to the app in the one where it was answered. The other shows the ending.
func testTwoTabs(t *testing.T, b *browser, s *site) {
	for name, c := range map[string]struct {
		open func(*site, *tab) string
		act  func(*tab)
	}{
		"a code": {func(s *site, p *tab) string {
			c := s.startLink(byCode("email"))
			p.open(s.pageURL(c))
			return c.code
		}, nil},
		"canceled": {func(s *site, p *tab) string {
			p.open(s.pageURL(s.startLink(byCode("email"))))
			return ""
		}, func(p *tab) { p.click("[data-do=cancel] button") }},
		"a verification": {func(s *site, p *tab) string {
			v := s.startVerification()
			p.open(s.verificationURL(v))
			p.waitVisible(".ways")
			choose(2, "#answer")(s, p, v)
			return s.sentMessage(v, v.methodID("otp", "sms")).Code.Reveal()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.advance(20 * time.Minute)
			visits := len(s.app.redeemErrors())
			first := b.newDevice(t)
			code := c.open(s, first)
			first.waitVisible("#answer")
			second := b.newTab(t, first.ctx)
			second.open(evaluate[string](first, "location.href"))
			second.waitVisible("#answer")
			if c.act != nil {
				c.act(second)
			} else {
				second.typeText("#answer", code)
			}
			second.waitVisible(welcome)
			first.waitVisible("main .sign")
			if first.contains(welcome) || !first.contains("a.button") {
				t.Error("the other tab went on, too, or cannot")
			}
			if got := s.app.redeemErrors()[visits:]; len(got) != 1 {
				t.Errorf("the app was visited %d times: %v", len(got), got)
			}
		})
	}
}

// A browser fills in a code at once, without a key: from a text message, a mail or a password manager.
func testAutofill(t *testing.T, b *browser, s *site) {
	fill := func(p *tab, code string) {
		evaluate[bool](p, `(() => { const e = document.querySelector("[autocomplete=one-time-code]"); e.value = "`+code+`"
			for (const kind of ["input", "change"]) e.dispatchEvent(new Event(kind, { bubbles: true })); return true })()`)
	}
	for name, use := range map[string]func(*tab, startedChallenge){
		"autofill": func(p *tab, c startedChallenge) { fill(p, c.code) },
		"autofill after a wrong code": func(p *tab, c startedChallenge) {
			p.typeText("#answer", wrongCode(c.code))
			p.waitVisible("#error")
			fill(p, c.code)
		},
		"a text message": func(p *tab, c startedChallenge) {
			p.waitUntil("window.arrive") // the page asks for it when tools.js is there
			evaluate[bool](p, `arrive({ code: "`+c.code+`" }), true`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.advance(20 * time.Minute)
			p := b.newDevice(t)
			callBrowser(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.OTPCredential = class {}
				navigator.credentials.get = ({ otp }) => otp.transport.includes("sms") && new Promise((resolve) => { window.arrive = resolve })`})
			c := s.startLink(byCode("sms"))
			p.open(s.pageURL(c))
			p.waitVisible("#answer")
			before := s.countRequests(c.page + "/answer")
			use(p, c)
			p.waitVisible(welcome)
			if n := s.countRequests(c.page+"/answer") - before; n != 1 && name != "autofill after a wrong code" || n > 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The module for keys is loaded again when it is needed and did not load.
func testKeyModuleThatDoesNotLoad(t *testing.T, b *browser, s *site) {
	p := b.newDevice(t)
	p.addAuthenticator()
	p.block("*://*:*/pages/keys.*.js")
	p.open(s.pageURL(s.startForSubject("webauthn", watchword.PurposeEnrol, ofSubject("user_45"))))
	p.waitVisible(keyButton)
	p.click(keyButton)
	p.waitVisible("[role=alert]")
	p.block("")
	p.click(keyButton)
	p.waitVisible(welcome)
}

// A person can use a key when the page has loaded what TestPagesLoadWithinBudget counts: the module, which reads the result, comes later.
func testKeyBeforeItsModule(t *testing.T, b *browser, s *site) {
	p := b.newDevice(t)
	id := p.addAuthenticator()
	release := s.gate.hold("/pages/keys.")
	t.Cleanup(release)
	p.open(s.pageURL(s.startForSubject("webauthn", watchword.PurposeEnrol, ofSubject("user_46"))))
	p.waitVisible(keyButton)
	p.click(keyButton)
	for end := time.Now().Add(stepTimeout); ; time.Sleep(20 * time.Millisecond) {
		if keys := callBrowser(p, virtual.GetCredentials, virtual.GetCredentialsParams{AuthenticatorID: id}); len(keys.Credentials) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the browser was not asked for a key")
		}
	}
	if p.contains(welcome) {
		t.Error("the module was there before")
	}
	release()
	p.waitVisible(welcome)
}
