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

// pageBudget is how many bytes a browser may load before the person can type, as they are sent: the shell, the style and the script are
// compressed, the part is not.
const pageBudget = 9_800

// A browser that loads a page makes four requests before the person can type: for the shell, the style, the script and the part. Only
// the page of a key loads more.
func TestPagesLoadWithinBudget(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	code := s.startLink(func(q *watchword.StartRequest) { q.Strategy, q.Channel, q.Locale = "otp", "email", "fr" })
	link := s.startLink(func(q *watchword.StartRequest) {
		q.Locale, q.Transaction = "fr", map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"}
	})
	key := s.startForSubject("webauthn", watchword.PurposeEnrol)
	ticket := func(c startedChallenge) map[string]string { return map[string]string{"ticket": c.Ticket.Reveal()} }
	for name, c := range map[string]struct {
		page, open string
		body       map[string]string
		extra      int // requests
	}{
		"code":    {code.page, code.page, ticket(code), 0},
		"link":    {link.page, link.page, ticket(link), 0},
		"confirm": {"/l/" + link.ID, "/l/" + link.ID, map[string]string{"token": link.token}, 0},
		"key":     {key.page, key.page, ticket(key), 1},
	} {
		v := s.newPageClient()
		shell := v.get(c.page)
		size, requests := len(v.get(c.page, "Accept-Encoding", "gzip").text), 2
		for _, m := range assetPath.FindAllStringSubmatch(shell.text, -1) {
			requests++
			got := v.get(m[1], "Accept-Encoding", "gzip")
			size += len(got.text)
			if got.header.Get("Content-Encoding") != "gzip" || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("%s: %s has the headers %v", name, m[1], got.header)
			}
		}
		part := v.post(c.open+"/open", c.body).want(t, http.StatusOK)
		size += len(part.text)
		if strings.Contains(part.html, "data-key") {
			requests++
		}
		if t.Logf("%s: %d bytes, %d requests", name, size, requests); size > pageBudget || requests != 4+c.extra {
			t.Errorf("%s: %d bytes in %d requests", name, size, requests)
		}
		if strings.Contains(shell.text+part.html, `src="http`) {
			t.Errorf("%s loads a resource from another origin", name)
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
	for _, encoding := range []string{"identity", "br", "gzip;q=0", "gzip; q=0.0"} {
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
