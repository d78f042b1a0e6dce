package server_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/webstyle"
	"github.com/watchword-auth/watchword/server"
)

var assetPath = regexp.MustCompile(`(?:href|src)="\.\.(/pages/[^"]+)"`)

// pageBudget is how many bytes a browser may load before the person can type or click, also one that accepts gzip alone.
const pageBudget = 8 << 10

// A browser that loads a page makes four requests before the person can type or click: for the shell, the style, the script and the
// part. What the page loads later is needed after that alone; see testKeyBeforeItsModule.
func TestPagesLoadWithinBudget(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{Color: "#6d28d9"})
	payment := func(q *watchword.StartRequest) {
		q.Locale, q.Transaction = "fr", map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"}
	}
	code := func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" }
	french := func(q *watchword.StartRequest) {
		q.Locale, q.Metadata = "fr", map[string]string{"account": "ada@example.com"}
	}
	link := s.startLink(payment)
	pages := map[string]startedChallenge{"code": s.startLink(payment, code), "link": link, "confirm": link}
	for name, strategy := range map[string]string{"new key": "webauthn", "scan": "totp", "recovery codes": "recovery"} {
		pages[name] = s.startForSubject(strategy, watchword.PurposeEnrol, french)
	}
	pages["key"] = s.startForSubject("webauthn", "sign_in", french)
	for name, c := range pages {
		t.Run(name, func(t *testing.T) {
			page, body := c.page, map[string]string{"ticket": c.Ticket.Reveal(), "seed": strings.Repeat("s", 36)}
			if name == "confirm" {
				page, body = "/l/"+c.ID, map[string]string{"token": c.token}
			}
			for _, accepted := range []string{"gzip, br", "gzip"} {
				size, requests := s.loadPage(t, page, body, accepted)
				if t.Logf("%s: %d bytes, %d requests", accepted, size, requests); size > pageBudget || requests != 4 {
					t.Errorf("%s: %d bytes in %d requests", accepted, size, requests)
				}
			}
		})
	}
}

// loadPage loads a page as a browser does, and returns how many bytes were sent in how many requests.
func (s *site) loadPage(t *testing.T, page string, body map[string]string, accepted string) (size, requests int) {
	v := s.newPageClient()
	load := func(path string) string {
		got := v.get(path, "Accept-Encoding", accepted)
		if size, requests = size+len(got.text), requests+1; got.header.Get("Content-Encoding") == "" {
			t.Errorf("%s is not compressed", path)
		}
		if isAsset := strings.HasPrefix(path, "/pages/"); isAsset && got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s has the headers %v", path, got.header)
		}
		return v.get(path).text
	}
	shell := load(page)
	for _, m := range assetPath.FindAllStringSubmatch(shell, -1) {
		load(m[1])
	}
	size, requests = size+len(v.post(page+"/open", body, "Accept-Encoding", accepted).text), requests+1
	part := v.post(page+"/open", body).want(t, http.StatusOK)
	if strings.Contains(shell+part.html, `src="http`) {
		t.Error("the page loads a resource from another origin")
	}
	return size, requests
}

// The length of a compressed part would say something about a number of two digits.
func TestPartWithNumberIsNotCompressed(t *testing.T) {
	s := newSite(t, siteOptions{})
	for want, c := range map[string]startedChallenge{"": s.startLink(), "gzip": s.startLink(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "sms" })} {
		got := s.newPageClient().post(c.page+"/open", map[string]string{"ticket": c.Ticket.Reveal()}, "Accept-Encoding", "gzip")
		if is := got.header.Get("Content-Encoding"); got.status != http.StatusOK || is != want {
			t.Errorf("%d, Content-Encoding %q, want %q", got.status, is, want)
		}
	}
}

// A page of another version of the server asks for files by other hashes. It gets those of this version, which it does not keep.
func TestPageAssetsAreServedUnderOtherHashes(t *testing.T) {
	v := newSite(t, siteOptions{}).newPageClient()
	current := ""
	for _, path := range []string{"/pages/page.js", "/pages/page.0123456789abcdef.js"} {
		got := v.get(path)
		if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		current = got.text
	}
	name := regexp.MustCompile(`keys\.[0-9a-f]{16}\.js`).FindString(current)
	if got := v.get("/pages/" + name); got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || strings.Contains(current, "./keys.js") {
		t.Errorf("the script loads %q, with %v", name, got.header)
	}
	for _, encoding := range []string{"identity", "deflate", "gzip;q=0", "gzip; q=0.0"} {
		if got := v.get("/pages/page.js", "Accept-Encoding", encoding); got.text != current || got.header.Get("Content-Encoding") != "" {
			t.Errorf("Accept-Encoding %q: %v", encoding, got.header)
		}
	}
	for _, path := range []string{"/pages/parts.html", "/pages/text.en.json", "/pages/shell.js", "/pages/.js"} {
		if got := v.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// The tools of development mode look like the pages.
func TestToolsHaveTheColorsOfPages(t *testing.T) {
	style, err := os.ReadFile("pages/page.css")
	must(t, err)
	if !strings.HasPrefix(string(style), webstyle.Tokens()) {
		t.Error("the variables of page.css and those of internal/webstyle differ")
	}
}
