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

const ann = "ann@example.com"

// newSite starts the app at a free port.
func newSite(t *testing.T) (url string) {
	t.Helper()
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	url = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	var err error
	if handler, err = newApp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}

// waitForMail waits for the nth mail to ann.
func waitForMail(t *testing.T, site string, n int) (link, code string) {
	t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(site + "/inbox/messages?to=" + url.QueryEscape(ann))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		var found []struct{ Link, Code string }
		if err == nil {
			err = json.Unmarshal(body, &found)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == n {
			return found[0].Link, found[0].Code
		}
	}
	t.Fatalf("there is no mail number %d", n)
	return "", ""
}

// A visitor is a browser with cookies and without scripts.
type visitor struct {
	t      *testing.T
	client *http.Client
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, &http.Client{Jar: jar}}
}

// wantPage expects a text on the page at an address. If there is a form, it is posted.
func (v *visitor) wantPage(want, address string, form url.Values) {
	v.t.Helper()
	get := v.client.Get
	if form != nil {
		get = func(address string) (*http.Response, error) { return v.client.PostForm(address, form) }
	}
	res, err := get(address)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if !strings.Contains(string(page), want) {
		v.t.Fatalf("%s does not say %q:\n%s", address, want, page)
	}
}

func TestLinkSignsInOnlyTheBrowserThatAskedForIt(t *testing.T) {
	site := newSite(t)
	owner, other := newVisitor(t), newVisitor(t)
	owner.wantPage("We sent a link", site+"/link", url.Values{"email": {"Ann@Example.com"}})
	link, _ := waitForMail(t, site, 1)
	page, token, _ := strings.Cut(link, "#")
	answer := url.Values{"answer": {token}}

	other.wantPage("in the browser in which you asked for it", page, nil)
	other.wantPage("Sign in with a link", site+"/link/answer", answer)
	other.wantPage("We sent a link", site+"/link", url.Values{"email": {"bob@example.com"}})
	other.wantPage("That was not right", site+"/link/answer", answer) // it is no answer to a challenge of his own

	owner.wantPage("<button>Sign in", page, nil)
	owner.wantPage("You are signed in as", site+"/link/answer", answer)
	owner.wantPage("Sign in with a link", site+"/sign-out", url.Values{})
	owner.wantPage("Sign in with a link", site+"/link/answer", answer) // it worked once
}

// Without a session no key can be added, removed or used.
func TestKeyRequestsNeedASession(t *testing.T) {
	site, nobody := newSite(t), newVisitor(t)
	nobody.wantPage("not_signed_in", site+"/passkeys/add", url.Values{})
	nobody.wantPage("not_signed_in", site+"/passkeys/remove?factor=nothing", url.Values{})
	nobody.wantPage("authenticate", site+"/passkeys/sign-in", url.Values{})
	nobody.wantPage("invalid_request", site+"/passkeys/sign-in", url.Values{"id": {"no credential"}})
	nobody.wantPage("e-mail address", site+"/link", url.Values{"email": {"ann"}})
}
