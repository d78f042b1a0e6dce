package examples_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// A visitor is a browser without scripts and with cookies of its own, who does what a real browser would not.
type visitor struct {
	t      *testing.T
	site   *site
	client *http.Client
}

func newVisitor(t *testing.T, s *site) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	// Redirects are followed on the example only: what is elsewhere needs a script.
	return &visitor{t: t, site: s, client: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), s.url+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// A response is the last one after redirects, with its body.
type response struct {
	*http.Response
	text string
}

func (v *visitor) send(method, address, body string, headers ...string) response {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(body))
	must(v.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.client.Do(r)
	must(v.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	must(v.t, err)
	return response{res, string(text)}
}

// get opens an address, or a path of the example.
func (v *visitor) get(address string) response {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = v.site.url + address
	}
	return v.send(http.MethodGet, address, "")
}

// post sends a form of the example, given as name, value, ...
func (v *visitor) post(path string, form ...string) response {
	v.t.Helper()
	return v.postFrom(v.site.url, path, form...)
}

func (v *visitor) postFrom(origin, path string, form ...string) response {
	v.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	return v.send(http.MethodPost, v.site.url+path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Origin", origin)
}

// A hostedPage is one of watchword's, with the ticket of its address.
type hostedPage struct{ url, ticket string }

func (p hostedPage) id() string { return p.url[strings.LastIndex(p.url, "/")+1:] }

// page sends a form that leads to a hosted page.
func (v *visitor) page(path string, form ...string) hostedPage {
	v.t.Helper()
	res := v.post(path, form...)
	page, ticket, ok := strings.Cut(res.Header.Get("Location"), "#")
	if !ok || !strings.HasPrefix(page, v.site.server+"/") {
		v.t.Fatalf("POST %s leads to no hosted page: %d %s", path, res.StatusCode, res.text)
	}
	return hostedPage{page, ticket}
}

// open exchanges the ticket of a hosted page, and answers with the code. It returns the address to which the page sends the browser.
func (v *visitor) answer(p hostedPage, code string) (next string) {
	v.t.Helper()
	send := func(action string, fields map[string]string) response {
		body, err := json.Marshal(fields)
		must(v.t, err)
		return v.send(http.MethodPost, p.url+"/"+action, string(body), "Content-Type", "application/json")
	}
	send("open", map[string]string{"ticket": p.ticket, "seed": rand.Text()})
	res := send("answer", map[string]string{"answer": code, "method": "m1"})
	var part struct{ Next string }
	if err := json.Unmarshal([]byte(res.text), &part); err != nil || part.Next == "" {
		v.t.Fatalf("the answer was not accepted: %d %s", res.StatusCode, res.text)
	}
	return part.Next
}

// signIn signs in by the code of the newest of n messages.
func (v *visitor) signIn(email string) {
	v.t.Helper()
	before := len(v.site.messages(email))
	page := v.page("/sign-in", "email", email, "method", "code")
	v.get(v.answer(page, v.site.message(email, before+1).Code))
	if !v.isSignedIn() {
		v.t.Fatalf("%s is not signed in", email)
	}
}

func (v *visitor) isSignedIn() bool {
	v.t.Helper()
	return strings.Contains(v.get("/").text, "You are signed in as")
}

// cookie returns the cookie of the example's session.
func (v *visitor) cookie() string {
	v.t.Helper()
	at, err := url.Parse(v.site.url)
	must(v.t, err)
	for _, c := range v.client.Jar.Cookies(at) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}
