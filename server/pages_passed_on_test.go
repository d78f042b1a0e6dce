package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
)

// A sessionApp is the web server of an app that follows the contract: the handle is in the session of the browser that started, and
// the page at return_url takes it from there.
type sessionApp struct {
	web   *httptest.Server
	start func() startedPage // of the next session

	mu       sync.Mutex
	sessions map[string]func(returnCode string) error // by the value of the cookie
	refused  []error
}

func newSessionApp(t *testing.T) *sessionApp {
	a := &sessionApp{sessions: map[string]func(string) error{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", a.serveStart)
	mux.HandleFunc("GET /done", a.serveReturn)
	a.web = httptest.NewServer(mux)
	t.Cleanup(a.web.Close)
	return a
}

// serveStart starts for a new session and sends the browser to the page.
func (a *sessionApp) serveStart(w http.ResponseWriter, r *http.Request) {
	started := a.start()
	a.mu.Lock()
	defer a.mu.Unlock()
	name := fmt.Sprint("session-", len(a.sessions))
	a.sessions[name] = started.redeem
	http.SetCookie(w, &http.Cookie{Name: "session", Value: name, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, started.url, http.StatusSeeOther)
}

// serveReturn signs the session in whose own handle fits the return code.
func (a *sessionApp) serveReturn(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Type", "text/html")
	err := errors.New("this browser has no session")
	if c, errCookie := r.Cookie("session"); errCookie == nil && a.sessions[c.Value] != nil {
		err = a.sessions[c.Value](r.URL.Query().Get("return_code"))
	}
	if err != nil {
		a.refused = append(a.refused, err)
		_, _ = io.WriteString(w, "<!doctype html><title>App</title><h1 id=refused>Not signed in</h1>")
		return
	}
	_, _ = io.WriteString(w, "<!doctype html><title>App</title><h1 id=welcome>Signed in</h1>")
}

func (a *sessionApp) refusedErrors() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]error(nil), a.refused...)
}

// newSessionSite returns a site that returns to the app.
func newSessionSite(t *testing.T) (*site, *sessionApp) {
	t.Helper()
	app := newSessionApp(t)
	s, _ := newVerificationSite(t, func(c *watchword.Config) { c.ReturnOrigins = append(c.ReturnOrigins, app.web.URL) })
	return s, app
}

// A passedOnPage is a page that a stranger starts and passes on, or an attacker answers.
type passedOnPage struct {
	name   string
	start  func(s *site, app *sessionApp) startedPage
	shown  string                                 // in the browser that opens the page
	answer func(b *browser, s *site, victim *tab) // answers in that browser, and waits until the app has refused it
}

// A startedPage is what an app keeps of a start: redeem in the session, and the URL of the page.
type startedPage struct {
	redeem func(returnCode string) error
	url    string
}

func startChallengePage(change func(*watchword.StartRequest)) func(*site, *sessionApp) startedPage {
	return func(s *site, app *sessionApp) startedPage {
		c := s.startLink(func(q *watchword.StartRequest) { q.ReturnURL, q.Client.IP = app.web.URL+"/done", "" }, change)
		return startedPage{url: s.pageURL(c), redeem: func(code string) error {
			_, err := s.engine.Redeem(context.Background(), c.ID, watchword.RedeemRequest{Handle: c.Handle.Reveal(), Purpose: c.Purpose, To: annsMailbox, ReturnCode: code})
			return err
		}}
	}
}

func startVerificationPage(method watchword.MethodRequest) func(*site, *sessionApp) startedPage {
	return func(s *site, app *sessionApp) startedPage {
		v := s.startVerification(func(r *watchword.VerificationRequest) {
			r.Open, r.Methods, r.ReturnURL = watchword.OpenFirst, []watchword.MethodRequest{method}, app.web.URL+"/done"
		})
		return startedPage{url: s.verificationURL(v), redeem: func(code string) error {
			_, err := s.engine.RedeemVerification(context.Background(), v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: v.Purpose, Subject: v.Subject, ReturnCode: code})
			return err
		}}
	}
}

func answerByCode(_ *browser, s *site, victim *tab) {
	victim.typeText("#answer", s.lastMessage().Code.Reveal()+"\r")
	victim.waitVisible("#refused")
}

// answerByLink opens the link in the browser that has opened the page.
func answerByLink(b *browser, s *site, victim *tab) {
	mail := b.newTab(victim.t, victim.ctx)
	mail.open(s.lastMessage().Link.Reveal())
	mail.waitHeading("Is this you signing in?")
	mail.click("button")
	mail.waitVisible("#refused")
}

func answerByKey(_ *browser, _ *site, victim *tab) {
	victim.click(keyButton)
	victim.waitVisible("#refused")
}

func listPassedOnPages() []passedOnPage {
	return []passedOnPage{
		{"challenge by code", startChallengePage(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" }), "#answer", answerByCode},
		{"challenge by link in the browser that opened the page", startChallengePage(func(*watchword.StartRequest) {}), ".number", answerByLink},
		{"verification by code", startVerificationPage(watchword.MethodRequest{Strategy: "otp", Channel: "email", To: annsMailbox}), "#answer", answerByCode},
		{"verification by link in the browser that opened the page", startVerificationPage(watchword.MethodRequest{Strategy: "magiclink", To: annsMailbox}), ".number", answerByLink},
		{"verification by key", startVerificationPage(watchword.MethodRequest{Strategy: "webauthn"}), keyButton, answerByKey},
	}
}

// lastMessage returns the message that was queued last.
func (s *site) lastMessage() watchword.Message {
	s.t.Helper()
	all := s.outbox.all()
	out := all[len(all)-1]
	if m, ok := s.sent[out.ChallengeID]; ok {
		return m
	}
	m, err := s.engine.ComposeMessage(s.t.Context(), out)
	must(s.t, err)
	return m
}

func TestPassedOnPagesInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for _, page := range listPassedOnPages() {
		t.Run(page.name, func(t *testing.T) {
			testPassedOnPage(t, b, page)
			testPassedOnPageOfOpenTab(t, b, page)
		})
	}
}

// newVictim returns a browser with the key of user_42.
func newVictim(t *testing.T, b *browser, s *site) *tab {
	t.Helper()
	victim := b.newDevice(t)
	victim.addAuthenticator()
	victim.clickKeyButton(s, watchword.PurposeEnrol)
	victim.waitVisible(welcome)
	return victim
}

// The stranger keeps the page's link and passes it on without opening it. The victim answers: the app refuses the victim's browser,
// which has no session, and the stranger's redeem fails, with any return code that the stranger can make up.
func testPassedOnPage(t *testing.T, b *browser, page passedOnPage) {
	s, app := newSessionSite(t)
	victim, stranger := newVictim(t, b, s), b.newDevice(t)
	started := page.start(s, app)
	victim.open(started.url)
	victim.waitVisible(page.shown)
	page.answer(b, s, victim)
	if got := app.refusedErrors(); len(got) != 1 {
		t.Errorf("the app refused the victim's browser: %v", got)
	}
	for _, guess := range []string{"", "rc_x"} {
		if err := started.redeem(guess); !errors.Is(err, watchword.ErrReturnCodeInvalid) {
			t.Errorf("the stranger redeems with %q: %v", guess, err)
		}
	}
	stranger.open(started.url)
	stranger.waitHeading("This page is open in another browser")
	if stranger.contains("a[href*=return_code]") {
		t.Error("the stranger sees a return code")
	}
}

// The stranger's own tab is open on the ticket: the victim's browser cannot answer, and goes back to the app.
func testPassedOnPageOfOpenTab(t *testing.T, b *browser, page passedOnPage) {
	s, app := newSessionSite(t)
	victim, stranger := newVictim(t, b, s), b.newDevice(t)
	var started startedPage
	app.start = func() startedPage { started = page.start(s, app); return started }
	stranger.open(app.web.URL + "/sign-in")
	stranger.waitVisible(page.shown)
	victim.open(started.url)
	victim.waitHeading("This page is open in another browser")
	if victim.contains("form") {
		t.Error("the victim can answer")
	}
	victim.click("a.button")
	victim.waitVisible("#refused")
	if err := started.redeem(""); !errors.Is(err, watchword.ErrNotAnswered) {
		t.Errorf("redeem: %v", err)
	}
}

// An attacker answers a page of their own and sends the victim the URL at which it ended. The victim is not signed in: neither
// without a session, nor with one whose own page is open, or answered too.
func TestAttackersOwnAnswerSignsNobodyIn(t *testing.T) {
	s, app := newSessionSite(t)
	code := watchword.MethodRequest{Strategy: "otp", Channel: "email", To: annsMailbox}
	for name, start := range map[string]func(*site, *sessionApp) startedPage{
		"challenge":    startChallengePage(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" }),
		"verification": startVerificationPage(code),
	} {
		attack := s.answerPage(start(s, app).url)
		if !strings.Contains(attack, "return_code=rc_") {
			t.Fatalf("%s: the attacker's page leads to %q", name, attack)
		}
		app.start = func() startedPage { return start(s, app) }
		victim := s.newPageClient()
		requireRefused := func(state string) {
			t.Helper()
			if got := victim.visit(attack); !strings.Contains(got, "Not signed in") {
				t.Errorf("%s, %s: %s", name, state, got)
			}
		}
		requireRefused("without a session")
		page := victim.visitRedirect(app.web.URL + "/sign-in")
		requireRefused("with a session")
		own := s.answerPage(page)
		requireRefused("with a session whose page is answered")
		if got := victim.visit(own); !strings.Contains(got, "Signed in") {
			t.Errorf("%s: the victim's own page: %s", name, got)
		}
	}
}

// answerPage opens a page of a code in a new browser, answers it and returns the URL to which it leads.
func (s *site) answerPage(page string) (next string) {
	s.t.Helper()
	path, ticket, _ := strings.Cut(strings.TrimPrefix(page, s.public), "#")
	p := s.newPageClient()
	opened := p.post(path+"/open", map[string]string{"ticket": ticket}).want(s.t, http.StatusOK)
	fields := map[string]string{"answer": s.lastMessage().Code.Reveal()}
	if strings.Contains(opened.html, `name="method"`) {
		fields["method"] = "m1"
	}
	return p.post(path+"/answer", fields).want(s.t, http.StatusOK).next
}

// visit opens a URL of the app and returns its page.
func (v *pageClient) visit(url string) string {
	v.s.t.Helper()
	w, err := v.http.Get(url)
	must(v.s.t, err)
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	must(v.s.t, err)
	return string(text)
}

// visitRedirect opens a URL of the app and returns the URL to which it sends the browser.
func (v *pageClient) visitRedirect(url string) string {
	v.s.t.Helper()
	stay := *v.http
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w, err := stay.Get(url)
	must(v.s.t, err)
	must(v.s.t, w.Body.Close())
	return w.Header.Get("Location")
}
