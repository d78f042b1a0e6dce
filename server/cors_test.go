package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestCrossOriginRequestsReadPublicDocumentsOnly(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	public := []string{"/.well-known/jwks.json", "/openapi.json"}
	targets := []string{"/", "/nowhere", "/problems", "/problems/incorrect_answer", "/c/ch_x", "/l/ch_x", "/pages/page.js", "/.well-known/jwks.json/x",
		"/v1/openapi.json", "/v1/.well-known/jwks.json"}
	for path := range ts.contract.model.Paths.PathItems.FromOldest() {
		targets = append(targets, strings.NewReplacer("{id}", "x", "{subject}", "x").Replace(path))
	}
	for _, target := range append(targets, "/openapi.json") {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions} {
			r := ts.send(newRequest(method, target, "", "Origin", "https://app.example.net", "Access-Control-Request-Method", "GET",
				"Access-Control-Request-Headers", "x-version"))
			allowed := ""
			if slices.Contains(public, target) {
				allowed = "*"
			}
			if got := r.header.Get("Access-Control-Allow-Origin"); got != allowed {
				t.Errorf("%s %s: Access-Control-Allow-Origin is %q, want %q", method, target, got, allowed)
			}
			if r.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: credentials are allowed", method, target)
			}
			preflight := allowed != "" && method == http.MethodOptions
			if (r.status == http.StatusNoContent) != preflight || (r.header.Get("Access-Control-Allow-Methods") == "GET, HEAD") != preflight ||
				(r.header.Get("Access-Control-Allow-Headers") == "*") != preflight {
				t.Errorf("%s %s: %d %v", method, target, r.status, r.header)
			}
		}
	}
}

// In a browser, a page of the app's origin can read the public documents, also with a custom header, and nothing of the API.
func testCrossOriginReads(t *testing.T, b *browser) {
	s := newSite(t, siteOptions{})
	p := b.newDevice(t)
	p.open(s.app.web.URL)
	read := func(path, options string) string {
		return evaluate[string](p, `fetch("`+s.public+path+`", `+options+`).then((r) => r.json()).then((o) => Object.keys(o).join(), (e) => e.name)`)
	}
	for _, c := range []struct{ path, options, want string }{
		{"/.well-known/jwks.json", `{}`, "keys"},
		{"/.well-known/jwks.json", `{ headers: { "X-Version": "1" } }`, "keys"},
		{"/.well-known/jwks.json", `{ credentials: "include" }`, "TypeError"},
		{"/openapi.json", `{}`, "components,info,openapi,paths,servers"},
		{"/v1/factors?subject=x", `{}`, "TypeError"},
		{"/v1/factors?subject=x", `{ headers: { Authorization: "Bearer ` + shopKey + `" } }`, "TypeError"},
		{"/healthz", `{}`, "TypeError"},
	} {
		if got := read(c.path, c.options); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.path, c.options, got, c.want)
		}
	}
}
