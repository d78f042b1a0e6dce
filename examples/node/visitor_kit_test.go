package node_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
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

// answer exchanges the ticket of a hosted page, and answers with the code. It returns the address to which the page sends the browser.
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

var (
	anyForm  = regexp.MustCompile(`(?is)<form(.*?)>(.*?)</form>`)
	anyInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)"(?: value="([^"]*)")?`)
	action   = regexp.MustCompile(`action="(/[^"]*)"`)
	element  = regexp.MustCompile(`<watchword-verification id="(vf_[^"]*)" ticket="(vt_[^"]*)"`)
)

// submit sends the form of the home page that has a text, with its hidden fields and others, given as name, value, ... It comes from an
// origin.
func (v *visitor) submit(origin, with string, fields ...string) response {
	v.t.Helper()
	for _, form := range anyForm.FindAllStringSubmatch(v.get("/").text, -1) {
		if !strings.Contains(form[2], with) {
			continue
		}
		for _, input := range anyInput.FindAllStringSubmatch(form[2], -1) {
			fields = append(fields, html.UnescapeString(input[1]), html.UnescapeString(input[2]))
		}
		path := "/"
		if found := action.FindStringSubmatch(form[1]); found != nil {
			path = found[1]
		}
		if strings.Contains(form[1], "multipart") {
			return v.postMultipart(origin, path, fields...)
		}
		return v.postFrom(origin, path, fields...)
	}
	v.t.Fatalf("the page has no form with %q", with)
	return response{}
}

func (v *visitor) postMultipart(origin, path string, fields ...string) response {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		must(v.t, form.WriteField(fields[i], fields[i+1]))
	}
	must(v.t, form.Close())
	return v.send(http.MethodPost, v.site.url+path, body.String(), "Content-Type", form.FormDataContentType(), "Origin", origin)
}

// start asks for a code by mail, and returns the page of the verification.
func (v *visitor) start(email string) hostedPage {
	v.t.Helper()
	res := v.submit(v.site.url, `name="email"`, "email", email, "method", "code")
	if page, ticket, ok := strings.Cut(res.Header.Get("Location"), "#"); ok {
		return hostedPage{page, ticket}
	}
	found := element.FindStringSubmatch(res.text)
	if found == nil {
		v.t.Fatalf("no verification was started: %d %s", res.StatusCode, res.text)
	}
	return hostedPage{v.site.server + "/v/" + found[1], found[2]}
}

// signIn signs in by a code in a mail.
func (v *visitor) signIn(email string) {
	v.t.Helper()
	before := len(v.site.messages(email))
	page := v.start(email)
	v.get(v.answer(page, v.site.message(email, before+1).Code))
	if !v.isSignedIn() {
		v.t.Fatalf("%s is not signed in", email)
	}
}

func (v *visitor) isSignedIn() bool {
	v.t.Helper()
	return strings.Contains(v.get("/").text, "You are signed in as ")
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
