package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A browser drives the app over HTTP, as a person would. It runs no scripts: tests send the requests of the pages' scripts.
type browser struct {
	t      *testing.T
	client *http.Client
	url    string
}

// newBrowser starts the app, and returns a browser.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	b := &browser{t: t, url: strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)}
	var err error
	if handler, err = newApp(t.Context(), b.url); err != nil {
		t.Fatal(err)
	}
	return b.another()
}

// another returns a second browser at the same app.
func (b *browser) another() *browser {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &browser{t: b.t, url: b.url, client: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/v/") || strings.HasPrefix(r.URL.Path, "/c/") {
			return http.ErrUseLastResponse // its fragment is for the page's script
		}
		return nil
	}}}
}

// fetch sends a request and returns the response and its body.
func (b *browser) fetch(r *http.Request, err error) (*http.Response, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(text)
}

// submit posts a form, given as name, value, ...
func (b *browser) submit(path string, form ...string) (*http.Response, string) {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(values.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.fetch(r, err)
}

// post sends a form, and expects a text on the next page.
func (b *browser) post(path, want string, form ...string) {
	b.t.Helper()
	if _, page := b.submit(path, form...); !strings.Contains(page, want) {
		b.t.Fatalf("POST %s: the page does not say %q:\n%s", path, want, page)
	}
}

// open expects a text on the page at an address.
func (b *browser) open(address, want string) *http.Response {
	b.t.Helper()
	res, page := b.fetch(http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil))
	if !strings.Contains(page, want) {
		b.t.Fatalf("%s: the page does not say %q:\n%s", address, want, page)
	}
	return res
}

// A hostedPage is a hosted page with the ticket of its address.
type hostedPage struct{ url, ticket string }

// hosted submits a form that leads to a hosted page.
func (b *browser) hosted(path string, form ...string) hostedPage {
	b.t.Helper()
	res, text := b.submit(path, form...)
	page, ticket, ok := strings.Cut(res.Header.Get("Location"), "#")
	if !ok {
		b.t.Fatalf("POST %s: no hosted page: %s", path, text)
	}
	return hostedPage{page, ticket}
}

// A part is what a hosted page shows next.
type part struct{ HTML, Next string }

// script sends a request of a hosted page's script.
func (b *browser) script(p hostedPage, action string, fields map[string]string) (status int, out part) {
	b.t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, p.url+"/"+action, strings.NewReader(string(body)))
	if err == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, text := b.fetch(r, err)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		b.t.Fatalf("%s: %v: %s", action, err, text)
	}
	return res.StatusCode, out
}

// exchange opens a hosted page with its ticket.
func (b *browser) exchange(p hostedPage) int {
	b.t.Helper()
	status, _ := b.script(p, "open", map[string]string{"ticket": p.ticket, "seed": rand.Text()})
	return status
}

// answer answers on a hosted page, and returns the address to which it sends the browser.
func (b *browser) answer(p hostedPage, code string) (next string) {
	b.t.Helper()
	status, out := b.tryAnswer(p, code)
	if status != http.StatusOK || out.Next == "" {
		b.t.Fatalf("the answer was not accepted: %d %+v", status, out)
	}
	return out.Next
}

// codeMethod is the id of the method of signIn that sends a code.
const codeMethod = "m2"

// tryAnswer answers the code of the message on a hosted page.
func (b *browser) tryAnswer(p hostedPage, code string) (status int, out part) {
	b.t.Helper()
	return b.script(p, "answer", map[string]string{"answer": code, "method": codeMethod})
}

// messages returns the messages to an address.
func (b *browser) messages(to string) (found []struct{ Code, Text string }) {
	b.t.Helper()
	_, text := b.fetch(http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+"/inbox/messages?to="+url.QueryEscape(to), nil))
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	return found
}

// code waits for the nth message to an address and returns its code.
func (b *browser) code(to string, n int) string {
	b.t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if found := b.messages(to); len(found) == n {
			return found[0].Code
		}
	}
	b.t.Fatalf("there is no message number %d", n)
	return ""
}

// wrong returns a code other than the right one.
func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}
