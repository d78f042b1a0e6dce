package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

// An elementSite is a site and an app's own page, at another origin, with the element. user_42 has an authenticator app.
type elementSite struct {
	*site
	pageURL string // of the app's page, at a listed origin
	foreign string // of the same page at an origin that is not listed
	secret  string // of the authenticator app
}

// elementPage is the app's page: it allows nothing that the element does not need, and records the element's events. The paths are
// those of a page with the field of a sign-in form, and of one without.
func elementPage(server func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/app.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = fmt.Fprintf(w, appScript, server()+"/element.js")
			return
		case "/app.css":
			w.Header().Set("Content-Type", "text/css")
			_, _ = io.WriteString(w, appStyle)
			return
		case "/", "/sign-in":
		default:
			http.NotFound(w, r)
			return
		}
		field := ""
		if r.URL.Path == "/sign-in" {
			field = `<label>E-mail <input type="email" autocomplete="username webauthn"></label>`
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src 'self' %[1]s; connect-src %[1]s; style-src 'self'; img-src 'none'; "+
			"require-trusted-types-for 'script'; trusted-types watchword", server()))
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/app.css">`+
			`<link rel="icon" href="data:,"><title>App</title><script type="module" src="/app.js"></script></head><body><main><h1>App</h1>%s<div id="here"></div></main></body></html>`, field)
	})
}

const appStyle = `:root { color-scheme: light dark } body { max-width: 24rem; margin: 1rem auto; padding: 0 1rem; font-family: Georgia, serif;
  color: light-dark(#000, #fff); background: light-dark(#fff, #14161a) } `

// appScript shows a verification and records the events of its element, and violations of the page's policy.
const appScript = `import "%s";
window.seen = []; window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
window.show = (id, ticket) => {
  const element = document.createElement("watchword-verification");
  element.id = id; element.ticket = ticket;
  element.textContent = "One moment";
  for (const name of ["approved", "ended", "error"]) element.addEventListener(name, (e) => seen.push({ name, ...e.detail }));
  document.querySelector("#here").replaceChildren(element);
};
window.inside = (css) => document.querySelector("watchword-verification")?.shadowRoot.querySelector(css);
window.ready = true;
`

func newElementSite(t *testing.T) *elementSite {
	t.Helper()
	var s *elementSite
	newPage := func() string {
		web := httptest.NewServer(elementPage(func() string { return s.public }))
		t.Cleanup(web.Close)
		return strings.Replace(web.URL, "127.0.0.1", "localhost", 1)
	}
	s = &elementSite{pageURL: newPage(), foreign: newPage()}
	s.site = newSite(t, siteOptions{pages: server.Pages{Color: "#0a6b4f"}, origins: []string{s.pageURL}, engine: func(c *watchword.Config) {
		apps, err := totp.New(totp.Config{Issuer: "Example Shop"})
		must(t, err)
		keys, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Example Shop", Origins: []string{c.Issuer, s.pageURL},
			Secret: watchword.NewCode("a secret of these tests, of 32 bytes and more"), Policies: map[string]webauthn.Policy{watchword.PurposeEnrol: {ResidentKey: webauthn.Required}}})
		must(t, err)
		c.Factors = &memory.Factors{}
		c.Strategies = append(c.Strategies, apps, recovery.New(), keys)
	}})
	s.secret = s.enrolApp()
	return s
}

// openElement opens a page of the app at an origin and shows a verification in it.
func (s *elementSite) openElement(p *tab, page string, v startedVerification) {
	p.t.Helper()
	p.open(page)
	p.waitUntil("window.ready")
	s.showElement(p, v)
}

func (s *elementSite) showElement(p *tab, v startedVerification) {
	p.t.Helper()
	evaluate[bool](p, `(show("`+v.ID+`", "`+v.Ticket.Reveal()+`"), true)`)
}

func (p *tab) waitInside(css string) { p.t.Helper(); p.waitUntil("inside(`" + css + "`)") }
func (p *tab) waitInsideText(s string) {
	p.t.Helper()
	p.waitUntil("inside('#main')?.innerText.includes(`" + s + "`)")
}
func (p *tab) clickInside(css string) {
	p.t.Helper()
	p.waitInside(css)
	evaluate[bool](p, "(inside(`"+css+"`).click(), true)")
}

// clickTextInside clicks the button of the element with a text.
func (p *tab) clickTextInside(text string) {
	p.t.Helper()
	p.waitInsideText(text)
	evaluate[bool](p, "([...inside('#main').querySelectorAll('button')].find((b) => b.innerText.includes(`"+text+"`)).click(), true)")
}

// typeInside types into the field of the element by keys.
func (p *tab) typeInside(css, keys string) {
	p.t.Helper()
	p.waitInside(css)
	evaluate[bool](p, "(inside(`"+css+"`).focus(), true)")
	p.do(chromedp.KeyEvent(keys))
}

// An elementEvent is an event that the page has seen.
type elementEvent struct {
	Name, Verification, Status, Code string
	ReturnCode                       string `json:"return_code"`
}

func (p *tab) seen() []elementEvent { p.t.Helper(); return evaluate[[]elementEvent](p, "seen") }
func (p *tab) waitSeen(name string) elementEvent {
	p.t.Helper()
	p.waitUntil("seen.some((e) => e.name === `" + name + "`)")
	all := p.seen()
	return all[slices.IndexFunc(all, func(e elementEvent) bool { return e.Name == name })]
}

// redeemSeen redeems the verification with the return code of the event approved. Without that code and a second time it fails.
func (s *elementSite) redeemSeen(p *tab, v startedVerification) {
	p.t.Helper()
	approved := p.waitSeen("approved")
	if approved.Verification != v.ID || !strings.HasPrefix(approved.ReturnCode, "rc_") {
		p.t.Fatalf("the event is %+v", approved)
	}
	if err := s.app.redeem(p.t.Context(), ""); !errors.Is(err, watchword.ErrReturnCodeInvalid) {
		p.t.Errorf("redeemed without the return code: %v", err)
	}
	must(p.t, s.app.redeem(p.t.Context(), approved.ReturnCode))
	if s.app.redeem(p.t.Context(), approved.ReturnCode) == nil {
		p.t.Error("redeemed twice")
	}
	if got := evaluate[[]string](p, "violations"); len(got) > 0 {
		p.t.Errorf("the element violates the page's policy: %v", got)
	}
	if s.pageHasLeft(p) {
		p.t.Error("the element has left the page")
	}
}

func (s *elementSite) pageHasLeft(p *tab) bool {
	return !strings.HasPrefix(evaluate[string](p, "location.href"), s.pageURL)
}

func (p *tab) innerTextInside(css string) string {
	p.t.Helper()
	return evaluate[string](p, "inside(`"+css+"`).innerText")
}

// waitNoStreams waits until the server sends no events.
func (s *elementSite) waitNoStreams() {
	s.t.Helper()
	for end := time.Now().Add(stepTimeout); s.streams.Load() != 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("a stream is open")
		}
	}
}
