package server_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/server"
)

// What browsers send when a person opens an address.
const (
	chromeAccept  = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	firefoxAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// ask sends a request to a host and returns the response.
func ask(t *testing.T, h http.Handler, method, host, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// wantNotFound requires a 404 with the page or the problem, which nothing keeps, and returns the body.
func wantNotFound(t *testing.T, what string, got *http.Response, page bool) string {
	t.Helper()
	contentType := map[bool]string{true: "text/html; charset=utf-8", false: "application/problem+json"}[page]
	if got.StatusCode != http.StatusNotFound || got.Header.Get("Content-Type") != contentType || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %s, Cache-Control %s; want %s", what, got.StatusCode, got.Header.Get("Content-Type"), got.Header.Get("Cache-Control"), contentType)
	}
	body := readAll(t, got.Body)
	var p struct {
		Code   string
		Status int
	}
	if isProblem := json.Unmarshal([]byte(body), &p) == nil && p.Code == "not_found" && p.Status == http.StatusNotFound; isProblem == page {
		t.Errorf("%s: %s", what, body)
	}
	return body
}

func TestUnknownPathShowsPageToClientsThatPreferHTML(t *testing.T) {
	t.Parallel()
	ts := newTestServer(t, serverOptions{})
	for _, c := range []struct {
		accept string
		page   bool
	}{
		{chromeAccept, true}, {firefoxAccept, true}, {"text/html", true}, {"TEXT/HTML", true}, {"text/*", true}, {"text/html;q=0.1", true},
		{"text/html; charset=utf-8; q=1", true}, {"application/json;q=0.5, text/html;q=0.6", true}, {"application/*;q=0.9, text/html", true},
		{"*/*;q=0.1, text/html;q=0.2", true}, {"text/html, application/json;q=0, */*;q=0.9", true}, {"image/png, text/html;q=0.001", true},
		{"application/*;q=0, */*", true}, {"nonsense, text/html", true},

		{"", false}, {"*/*", false}, {"application/json", false}, // curl; both clients
		{"application/problem+json", false}, {"application/json, text/plain, */*", false}, {"image/avif,image/webp,*/*;q=0.8", false}, // an icon
		{"text/html, application/json", false}, {"text/html, */*", false}, {"text/html;q=0.5, application/*;q=0.5", false},
		{"application/json, text/html;q=0.9", false}, {"text/html;q=0.9, application/problem+json", false}, {"text/html;q=0.2, */*;q=0.3", false},
		{"text/html;q=0", false}, {"text/html;q=0.0, */*", false}, {"text/*, text/html;q=0", false}, {"application/xhtml+xml", false}, {"text/plain", false},
		{"text/html;q=2", false}, {"text/html;q=-1", false}, {"text/html;q=NaN", false}, {"text/html;q=x", false}, {"text/html;q", false}, {"text", false}, {",;,", false},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			got := ask(t, ts.server, method, "shop.example.com", "/nowhere", "Accept", c.accept)
			wantNotFound(t, method+" "+c.accept, got, c.page)
			if !slices.Contains(got.Header.Values("Vary"), "Accept") {
				t.Errorf("%s %s: Vary is %q", method, c.accept, got.Header.Values("Vary"))
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
			wantNotFound(t, method+" "+c.accept, ask(t, ts.server, method, "shop.example.com", "/nowhere", "Accept", c.accept), false)
		}
	}
	wantNotFound(t, "no header", ask(t, ts.server, http.MethodGet, "shop.example.com", "/nowhere"), false)
	wantNotFound(t, "two headers", ask(t, ts.server, http.MethodGet, "shop.example.com", "/nowhere", "Accept", "text/html;q=0.9", "Accept", "application/json"), false)
	wantNotFound(t, "two headers", ask(t, ts.server, http.MethodGet, "shop.example.com", "/nowhere", "Accept", "application/json;q=0.8", "Accept", "text/html"), true)
}

func TestUnknownPathOfTheAPIIsAlwaysAProblem(t *testing.T) {
	t.Parallel()
	ts := newTestServer(t, serverOptions{})
	for path, page := range map[string]bool{
		"/": true, "/favicon.ico": true, "/c": true, "/c/": true, "/l": true, "/v": true, "/c/x/y": true, "/x/y": true, "/x/y/": true, "/index.html": true, "/.env": true, "/v1x": true, "/v2/challenges": true, "/V1/challenges": true, "/inbox": true,
		"/pages/": true, "/pages/nothing": true, "/problems/": true, "/problems/nothing": true, "//x": true, "/x//y": true, "/x/../y": true, "/v1/../x": true, "/%2e%2e/x": true,

		"/v1": false, "/v1/": false, "/v1/nothing": false, "/v1/challenges/": false, "/v1/challenges/x/verify": false, "//v1/challenges": false, "/v1//challenges": false,
		"/x/../v1/challenges": false, "/./v1/x": false, "/%76%31/x": false, "/.well-known/": false, "/.well-known/change-password": false,
	} {
		wantNotFound(t, path, ask(t, ts.server, http.MethodGet, "shop.example.com", path, "Accept", chromeAccept), page)
		wantNotFound(t, path, ask(t, ts.server, http.MethodGet, "shop.example.com", path, "Accept", "application/json"), false)
	}
}

// Nothing of a request is in the page: it depends on the host and the language alone.
func TestNotFoundPageShowsNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	ts := newBrandedServer(t, "https://bank.example.com")
	const marker = "m4rk3r"
	pages := map[string]bool{}
	for _, path := range []string{"/", "/" + marker, "/" + marker + "/../" + marker, "/a/" + marker + "/c?q=" + marker, "/%3Cscript%3E" + marker, "//" + marker + ".example/", "/pages/" + marker, "/problems/" + marker} {
		got := ask(t, ts.server, http.MethodGet, "shop.example.com", path, "Accept", firefoxAccept+", x/"+marker, "User-Agent", marker, "Referer", "https://"+marker+".example/", "Cookie", "a="+marker,
			"X-Forwarded-Host", marker+".example", "Forwarded", "host="+marker+".example", "Accept-Language", "en, "+marker, "Origin", "https://"+marker+".example", "X-Request-Id", marker)
		body := wantNotFound(t, path, got, true)
		pages[body] = true
		for name, values := range got.Header {
			if strings.Contains(strings.Join(values, " "), marker) {
				t.Errorf("%s: %s has something of the request: %q", path, name, values)
			}
		}
		if strings.Contains(body, marker) {
			t.Errorf("%s: the page has something of the request: %s", path, body)
		}
	}
	if len(pages) != 1 {
		t.Errorf("%d different pages", len(pages))
	}
	if log := ts.log.String(); strings.Contains(log, marker) || strings.Count(log, `"status":404`) != 8 || strings.Count(log, `"code":"not_found"`) != 8 {
		t.Errorf("the log: %s", log)
	}
}

func TestNotFoundPageShowsTheAppAtItsHost(t *testing.T) {
	t.Parallel()
	ts := newBrandedServer(t, "https://bank.example.com")
	shared := newBrandedServer(t, "https://shop.example.com")
	const leads = `<a class="button" href="https://www.shop.example.com/start">Back to Northwind</a>`
	for _, c := range []struct {
		ts         *testServer
		host, app  string
		leads      bool
		stylesheet string
	}{
		{ts, "shop.example.com", "Northwind", true, "light-dark(#102030, "}, {ts, "SHOP.example.com", "Northwind", true, "light-dark(#102030, "},
		{ts, "bank.example.com", "Fabrikam", false, "light-dark(#a01010, "},
		{ts, "other.example.com", "", false, "--button:#1f5fbf"}, {ts, "shop.example.com.evil.example", "", false, "--button:#1f5fbf"},
		{shared, "shop.example.com", "", false, "--button:#1f5fbf"},
	} {
		page := wantNotFound(t, c.host, ask(t, c.ts.server, http.MethodGet, c.host, "/x/y/z", "Accept", chromeAccept), true)
		title := "<title>This page doesn’t exist</title>"
		if c.app != "" {
			title = "<title>This page doesn’t exist · " + c.app + "</title>"
		}
		for text, want := range map[string]bool{title: true, "<h1>This page doesn’t exist</h1>": true, "Northwind": c.app == "Northwind", "Fabrikam": c.app == "Fabrikam",
			leads: c.leads, "<a ": c.leads, "<script": false, "atchword": false, `<link rel="stylesheet" href="/pages/page.`: true} {
			if strings.Contains(page, text) != want {
				t.Errorf("%s: has %q: %t in %s", c.host, text, !want, page)
			}
		}
		if css := readAll(t, ask(t, c.ts.server, http.MethodGet, c.host, stylesheetOf(t, page)).Body); !strings.Contains(css, c.stylesheet) {
			t.Errorf("%s: the stylesheet has not %q", c.host, c.stylesheet)
		}
	}
}

// stylesheetOf returns the address of a page's stylesheet.
func stylesheetOf(t *testing.T, page string) string {
	t.Helper()
	_, after, _ := strings.Cut(page, `<link rel="stylesheet" href="`)
	address, _, found := strings.Cut(after, `"`)
	if !found {
		t.Fatalf("no stylesheet in %s", page)
	}
	return address
}

// A server of one app shows it at every host. The stylesheet is below the path of the public URL, which a proxy has removed from the request.
func TestNotFoundPageOfTheOnlyApp(t *testing.T) {
	t.Parallel()
	for public, folder := range map[string]string{"https://shop.example.com": "/pages/page.", "https://example.com/verify": "/verify/pages/page."} {
		ts := newTestServer(t, serverOptions{configure: func(c *server.Config) { c.Apps = c.Apps[:1]; c.Apps[0].PublicURL = public }})
		for _, path := range []string{"/", "/x/y"} {
			page := wantNotFound(t, path, ask(t, ts.server, http.MethodGet, "10.0.0.7:8080", path, "Accept", chromeAccept), true)
			if got := stylesheetOf(t, page); !strings.HasPrefix(got, folder) || !strings.Contains(page, ">shop<") {
				t.Errorf("%s%s: the stylesheet is at %s: %s", public, path, got, page)
			}
		}
	}
}

func TestNotFoundPageHasTheLanguageOfTheBrowser(t *testing.T) {
	t.Parallel()
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) { c.Apps[0].Pages.Texts = arabic(t) }})
	for language, want := range map[string][2]string{"en": {"ltr", "This page doesn’t exist"}, "de-CH, en;q=0.9": {"ltr", "Diese Seite gibt es nicht"}, "fr": {"ltr", "Cette page n’existe pas"},
		"es": {"ltr", "Esta página no existe"}, "pt": {"ltr", "Esta página não existe"}, "zh": {"ltr", "页面不存在"}, "ar": {"rtl", "هذه الصفحة غير موجودة"}} {
		page := wantNotFound(t, language, ask(t, ts.server, http.MethodGet, "shop.example.com", "/", "Accept", chromeAccept, "Accept-Language", language), true)
		name, _, _ := strings.Cut(strings.ReplaceAll(language, "-CH", ""), ",")
		if !strings.Contains(page, `<html lang="`+name+`" dir="`+want[0]+`">`) || !strings.Contains(page, "<h1>"+want[1]+"</h1>") {
			t.Errorf("%s: %s", language, page)
		}
	}
	// Arabic is a language of the shop, not of the bank.
	if page := readAll(t, ask(t, ts.server, http.MethodGet, "bank.example.com", "/", "Accept", chromeAccept, "Accept-Language", "ar").Body); !strings.Contains(page, `<html lang="en" dir="ltr">`) {
		t.Error(page)
	}
}

// The page has the headers of every hosted page.
func TestNotFoundPageHasTheHeadersOfPages(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(newTestServer(t, serverOptions{}).server)
	defer srv.Close()
	fetch := func(method, path string) (http.Header, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		must(t, err)
		r.Header.Set("Accept", firefoxAccept)
		r.Header.Set("Accept-Encoding", "identity")
		w, err := http.DefaultClient.Do(r)
		must(t, err)
		defer func() { _ = w.Body.Close() }()
		body, err := io.ReadAll(w.Body)
		must(t, err)
		for _, name := range []string{"X-Request-Id", "Date"} {
			w.Header.Del(name)
		}
		return w.Header, string(body)
	}
	want, _ := fetch(http.MethodGet, "/c/ch_x")
	got, body := fetch(http.MethodGet, "/x")
	if vary := append(want.Values("Vary"), "Accept"); !slices.Equal(got.Values("Vary"), vary) {
		t.Errorf("Vary is %q, want %q", got.Values("Vary"), vary)
	}
	head, empty := fetch(http.MethodHead, "/x")
	if !maps.EqualFunc(head, got, slices.Equal) || empty != "" || body == "" {
		t.Errorf("HEAD has %q, GET %q", head, got)
	}
	for _, name := range []string{"Vary", "Content-Length"} {
		want.Del(name)
		got.Del(name)
	}
	if !maps.EqualFunc(got, want, slices.Equal) || got.Get("X-Robots-Tag") != "noindex" || got.Get("Content-Security-Policy") == "" {
		t.Errorf("the headers are %q, those of a page %q", got, want)
	}
}

// A program that mounts the pages alone shows the page below their paths.
func TestMountedPagesHaveTheNotFoundPage(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	ts := newTestServer(t, serverOptions{})
	must(t, server.MountPages(mux, server.Config{Apps: []server.App{{Engine: ts.engines["shop"], PublicURL: "https://shop.example.com"}}}))
	wantNotFound(t, "/pages/nothing", ask(t, mux, http.MethodGet, "shop.example.com", "/pages/nothing", "Accept", chromeAccept), true)
	if got := ask(t, mux, http.MethodGet, "shop.example.com", "/nothing", "Accept", chromeAccept); got.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("a path of the program: %v", got.Header)
	}
}
