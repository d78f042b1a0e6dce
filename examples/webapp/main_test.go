package main

import (
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

// A browser drives the app over HTTP, as a person would.
type browser struct {
	t      *testing.T
	client *http.Client
	url    string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	handler, err := newApp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: &http.Client{Jar: jar}, url: srv.URL}
}

// another returns a second browser at the same app.
func (b *browser) another() *browser {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &browser{t: b.t, client: &http.Client{Jar: jar}, url: b.url}
}

// post sends a form, given as name, value, ..., and expects a text on the next page.
func (b *browser) post(path, want string, form ...string) {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	res, err := b.client.PostForm(b.url+path, values)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if !strings.Contains(string(page), want) {
		b.t.Fatalf("POST %s: the page does not say %q:\n%s", path, want, page)
	}
}

// messages returns the messages to an address.
func (b *browser) messages(to string) (found []struct{ Code, Text string }) {
	b.t.Helper()
	res, err := b.client.Get(b.url + "/inbox/messages?to=" + url.QueryEscape(to))
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&found); err != nil {
		b.t.Fatal(err)
	}
	return found
}

// code waits for the nth message to an address and returns its code.
func (b *browser) code(to string, n int) string {
	b.t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
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

const ann = "ann@example.com"

func TestSignInNeedsPasswordAndCode(t *testing.T) {
	b := newBrowser(t)
	b.post("/sign-in", "Wrong e-mail address or password", "email", ann, "password", "wrong")
	b.post("/sign-in/code", "I forgot my password", "code", "123456") // without a password before
	b.post("/sign-in", "We sent a code to a•••@e•••.com", "email", ann, "password", "correct horse")
	code := b.code(ann, 1)
	b.post("/sign-in/code", "Tries left: 4", "code", wrong(code))
	b.post("/sign-in/code", "You are signed in as ann@example.com", "code", code)
	b.post("/sign-out", "I forgot my password")
	b.post("/sign-in/code", "I forgot my password", "code", code) // used before
}

func TestResetChangesThePassword(t *testing.T) {
	b := newBrowser(t)
	b.post("/forgot", "If somebody has an account with a•••@e•••.com", "email", ann)
	code := b.code(ann, 1)
	b.post("/reset", "Tries left: 4", "code", wrong(code), "password", "battery staple")
	b.post("/reset", "Your password was changed", "code", code, "password", "battery staple")
	b.post("/sign-in", "Wrong e-mail address or password", "email", ann, "password", "correct horse")
	b.post("/sign-in", "We sent a code to", "email", ann, "password", "battery staple")
	b.post("/sign-in/code", "You are signed in", "code", b.code(ann, 2))
}

// The other session was signed in with the old password.
func TestResetEndsOtherSessions(t *testing.T) {
	b := newBrowser(t)
	b.post("/sign-in", "We sent a code to", "email", ann, "password", "correct horse")
	b.post("/sign-in/code", "You are signed in", "code", b.code(ann, 1))
	other := b.another()
	other.post("/forgot", "If somebody has an account", "email", ann)
	other.post("/reset", "Your password was changed", "code", b.code(ann, 2), "password", "battery staple")
	b.post("/sign-in/code", "I forgot my password", "code", "123456") // in the session that was signed in
}

// For an unknown address the page is the same, nothing is sent and no code is right.
func TestResetOfUnknownAddressLooksTheSame(t *testing.T) {
	b := newBrowser(t)
	b.post("/forgot", "If somebody has an account with b•••@e•••.com", "email", "bob@example.com")
	b.post("/reset", "Tries left: 4", "code", "123456", "password", "battery staple")
	b.post("/forgot", "If somebody has an account", "email", ann)
	b.code(ann, 1) // an earlier message would have arrived too
	if found := b.messages("bob@example.com"); len(found) > 0 {
		t.Errorf("%d messages were sent to an unknown address", len(found))
	}
}

func TestSignInRejectsCodeOfReset(t *testing.T) {
	b := newBrowser(t)
	b.post("/forgot", "If somebody has an account", "email", ann)
	reset := b.code(ann, 1)
	b.post("/sign-in", "We sent a code to", "email", ann, "password", "correct horse")
	if mfa := b.code(ann, 2); mfa == reset {
		t.Skip("both codes happen to be the same digits")
	}
	b.post("/sign-in/code", "Tries left: 4", "code", reset)
}
