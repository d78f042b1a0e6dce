package playground_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/server/playground"
)

func newHandler(t *testing.T, p *playground.Playground) http.Handler {
	t.Helper()
	h, err := p.Handler(playground.Config{PublicURL: "http://localhost:8080", Key: "dev", AdminKey: "dev-admin", App: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost:8080"
	for _, c := range change {
		c(r)
	}
	h.ServeHTTP(w, r)
	return w
}

var files = []string{"/", "/playground/page.css", "/playground/page.js", "/playground/api.js", "/playground/codes.js", "/playground/journeys.js",
	"/playground/lines.js", "/playground/person.js", "/playground/receipt.js", "/playground/step.js"}

func TestHandlerRefusesForeignHostsAndOrigins(t *testing.T) {
	t.Parallel()
	h := newHandler(t, playground.New())
	for _, path := range append(files, "/playground/events") {
		if w := get(h, path); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
			strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		for name, change := range map[string]func(*http.Request){
			"Host":           func(r *http.Request) { r.Host = "evil.example:8080" },
			"Origin":         func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
			"Sec-Fetch-Site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		} {
			if w := get(h, path, change); w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s with a foreign %s: %d", path, name, w.Code)
			}
		}
	}
	if page := get(h, "/").Body.String(); strings.Contains(page, "<script>") || strings.Contains(page, "<style") || strings.Contains(page, " style=") {
		t.Error("the page has inline script or style")
	}
}

func TestHandlerListsEventsSince(t *testing.T) {
	t.Parallel()
	p := playground.New()
	h := newHandler(t, p)
	for range 250 {
		p.AddEvent([]byte(`{"type":"challenge.started"}`))
	}
	for after, want := range map[string]int{"": 200, "0": 200, "100": 150, "248": 2, "250": 0, "999": 200, "x": 200} {
		var found struct {
			Newest int
			Events []struct{ Type string }
		}
		if err := json.Unmarshal(get(h, "/playground/events?after="+after).Body.Bytes(), &found); err != nil {
			t.Fatal(err)
		}
		if found.Newest != 250 || len(found.Events) != want || want > 0 && found.Events[0].Type != "challenge.started" {
			t.Errorf("after %q: %d events, the newest is %d", after, len(found.Events), found.Newest)
		}
	}
}

// The whole page is small, as browsers would load it compressed.
func TestPageIsSmall(t *testing.T) {
	t.Parallel()
	h, total := newHandler(t, playground.New()), 0
	for _, path := range files {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		_, _ = w.Write(get(h, path).Body.Bytes())
		_ = w.Close()
		total += compressed.Len()
	}
	if total > 20_000 || total < 5000 {
		t.Errorf("%d bytes", total)
	}
	t.Logf("%d bytes", total)
}

// A server in production has neither playground nor inbox nor events.
func TestProductionHasNoPlayground(t *testing.T) {
	t.Parallel()
	origin := startProduction(t)
	for _, path := range append(files, "/playground/events", "/inbox", "/inbox/messages", "/inbox/rows") {
		for accept, contentType := range map[string]string{"*/*": "application/problem+json", "text/html,*/*;q=0.8": "text/html; charset=utf-8"} {
			status, got, body := fetch(t, origin+path, accept)
			if status != http.StatusNotFound || got != contentType || strings.Contains(body, "playground") {
				t.Errorf("%s for %s: %d %s %s", path, accept, status, got, body)
			}
		}
	}
}

// fetch returns status, content type and body of a response.
func fetch(t *testing.T, url, accept string) (status int, contentType, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(text)
}
