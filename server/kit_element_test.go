package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
