package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// A pageClient sends the requests that the pages send in a browser, with cookies and Sec-Fetch-Site.
type pageClient struct {
	s    *site
	http *http.Client
}

func (s *site) newPageClient() *pageClient {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	return &pageClient{s: s, http: &http.Client{Jar: jar, Timeout: stepTimeout}}
}

// A pageResponse is a response to a pageClient, with the members of a part.
type pageResponse struct {
	status int
	header http.Header
	text   string
	html   string
	next   string
	final  bool
	took   time.Duration
}

func (v *pageClient) do(method, path, contentType, body string, headers ...string) pageResponse {
	v.s.t.Helper()
	r, err := http.NewRequestWithContext(v.s.t.Context(), method, v.s.web.URL+path, strings.NewReader(body))
	must(v.s.t, err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("User-Agent", firefox)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	began := time.Now()
	w, err := v.http.Do(r)
	must(v.s.t, err)
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	must(v.s.t, err)
	out := pageResponse{status: w.StatusCode, header: w.Header, text: string(text), took: time.Since(began)}
	var part struct {
		HTML, Next string
		Final      bool
	}
	if json.Unmarshal(text, &part) == nil {
		out.html, out.next, out.final = part.HTML, part.Next, part.Final
	}
	return out
}

// post sends a JSON request, as the script of a page does.
func (v *pageClient) post(path string, fields map[string]string, headers ...string) pageResponse {
	v.s.t.Helper()
	if fields == nil {
		fields = map[string]string{}
	}
	body, err := json.Marshal(fields)
	must(v.s.t, err)
	return v.do(http.MethodPost, path, "application/json", string(body), headers...)
}

func (v *pageClient) get(path string, headers ...string) pageResponse {
	v.s.t.Helper()
	return v.do(http.MethodGet, path, "", "", headers...)
}

// form sends the form of the page without script.
func (v *pageClient) form(path, body string, headers ...string) pageResponse {
	v.s.t.Helper()
	return v.do(http.MethodPost, path, "application/x-www-form-urlencoded", body, headers...)
}

// openPage returns the client that has the cookie of the challenge's page. The first call opens the page.
func (s *site) openPage(c startedChallenge) *pageClient {
	s.t.Helper()
	if v := s.opened[c.ID]; v != nil {
		return v
	}
	v := s.newPageClient()
	s.opened[c.ID] = v
	if got := v.post(c.page+"/open", map[string]string{"ticket": c.Ticket.Reveal()}); got.status != http.StatusOK {
		s.t.Fatalf("the page did not open: %d %s", got.status, got.text)
	}
	return v
}

// want requires the status, and texts that the part contains.
func (g pageResponse) want(t testing.TB, status int, texts ...string) pageResponse {
	t.Helper()
	if g.status != status {
		t.Fatalf("got %d, want %d: %s", g.status, status, g.text)
	}
	for _, text := range texts {
		if !strings.Contains(g.html, text) {
			t.Errorf("%q is not shown: %s", text, g.text)
		}
	}
	return g
}
