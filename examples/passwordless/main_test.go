package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const ann = "ann@example.com"

// A site is the app at a free port.
type site struct {
	t   *testing.T
	url string
}

func newSite(t *testing.T) *site {
	t.Helper()
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	url := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	var err error
	if handler, err = newApp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return &site{t, url}
}

// A device is a browser with cookies and without scripts: tests send the requests of the pages' scripts.
type device struct {
	*site
	client *http.Client
}

func (s *site) device() *device {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &device{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (d *device) do(method, target, contentType, body string) (*http.Response, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	res, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res, string(text)
}

// start starts a sign-in, and returns the hosted page with its ticket.
func (d *device) start() (page, ticket string) {
	d.t.Helper()
	res, text := d.do(http.MethodPost, d.url+"/sign-in", "application/x-www-form-urlencoded", "email="+url.QueryEscape(ann))
	page, ticket, ok := strings.Cut(res.Header.Get("Location"), "#")
	if !ok {
		d.t.Fatalf("no page: %s", text)
	}
	return page, ticket
}

// openPage opens a hosted page and returns the number on it.
func (d *device) openPage(page, ticket string) (number string) {
	d.t.Helper()
	return d.postScript(page+"/open", map[string]string{"ticket": ticket, "seed": rand.Text()}, `class=\\"number\\"[^0-9]*([0-9]{2})`)
}

// next returns the address to which the hosted page sends the browser.
func (d *device) next(page string) string {
	d.t.Helper()
	_, text := d.do(http.MethodGet, page+"/state", "", "")
	var part struct{ Next string }
	if err := json.Unmarshal([]byte(text), &part); err != nil || part.Next == "" {
		d.t.Fatalf("the page leads nowhere: %v %s", err, text)
	}
	return part.Next
}

// postScript sends a request of the pages' script and returns a match in the response.
func (d *device) postScript(target string, fields map[string]string, find string) string {
	d.t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		d.t.Fatal(err)
	}
	_, text := d.do(http.MethodPost, target, "application/json", string(body))
	text = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(text)
	found := regexp.MustCompile(find).FindStringSubmatch(text)
	if found == nil {
		d.t.Fatalf("%s: nothing like %q in %s", target, find, text)
	}
	return found[len(found)-1]
}

// waitForMail waits for the mail and returns its link.
func (d *device) waitForMail() (page, token string) {
	d.t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		_, text := d.do(http.MethodGet, d.url+"/inbox/messages?to="+url.QueryEscape(ann), "", "")
		var found []struct{ Link string }
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			d.t.Fatal(err)
		}
		if len(found) > 0 {
			page, token, _ = strings.Cut(found[0].Link, "#")
			return page, token
		}
	}
	d.t.Fatal("there is no mail")
	return "", ""
}

// home returns the app's first page.
func (d *device) home() string {
	_, text := d.do(http.MethodGet, d.url+"/", "", "")
	return text
}

// The laptop starts, the phone opens the link and sends the number. The laptop is signed in, the phone is not.
func TestLinkOnSecondDeviceSignsInTheFirst(t *testing.T) {
	s := newSite(t)
	laptop, phone := s.device(), s.device()
	page, ticket := laptop.start()
	number := laptop.openPage(page, ticket)
	back := s.url + "/done?verification=" + page[strings.LastIndex(page, "/")+1:]
	if _, text := laptop.do(http.MethodGet, back, "", ""); !strings.Contains(text, "open the link in your mail first") {
		t.Errorf("before the link: %s", text)
	}
	link, token := phone.waitForMail()
	phone.postScript(link+"/open", map[string]string{"token": token}, "Example Notes")
	phone.postScript(link+"/answer", map[string]string{"token": token, "number": number}, "Continue on your other screen")
	next := laptop.next(page)
	phone.do(http.MethodGet, next, "", "")
	if strings.Contains(phone.home(), "signed in") {
		t.Error("the phone is signed in")
	}
	if _, text := laptop.do(http.MethodGet, back, "", ""); !strings.Contains(text, "not confirmed in this browser") {
		t.Errorf("without a return code: %s", text)
	}
	for range 2 { // coming back a second time does not sign out
		res, _ := laptop.do(http.MethodGet, next, "", "")
		if res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Location") != "/" || !strings.Contains(laptop.home(), "signed in as "+ann) {
			t.Errorf("the laptop is not signed in: %v", res.Header)
		}
	}
}

// An attacker starts a sign-in with the victim's address, and the victim clicks the link.
func TestLinkWithoutNumberDoesNotSignInTheStarter(t *testing.T) {
	s := newSite(t)
	attacker, victim := s.device(), s.device()
	page, ticket := attacker.start()
	attacker.openPage(page, ticket)
	link, token := victim.waitForMail()
	victim.postScript(link+"/answer", map[string]string{"token": token}, "Enter the two digits")
	attacker.do(http.MethodGet, s.url+"/done?verification="+page[strings.LastIndex(page, "/")+1:], "", "")
	if strings.Contains(attacker.home(), "signed in") {
		t.Error("the attacker is signed in")
	}
}

// An attacker starts a sign-in with the victim's address and sends the victim the address of the hosted page. The victim opens it and
// clicks the link in the same browser, which asks for no number there.
func TestPageThatIsPassedOnSignsNobodyIn(t *testing.T) {
	s := newSite(t)
	attacker, victim := s.device(), s.device()
	page, ticket := attacker.start()
	victim.openPage(page, ticket)
	link, token := victim.waitForMail()
	victim.postScript(link+"/answer", map[string]string{"token": token}, "return_code")
	victim.do(http.MethodGet, victim.next(page), "", "")
	if strings.Contains(victim.home(), "signed in") {
		t.Error("the victim is signed in without having started")
	}
	attacker.postScript(page+"/open", map[string]string{"ticket": ticket, "seed": rand.Text()}, "open in another browser")
	for _, code := range []string{"", "&return_code=", "&return_code=guessed"} {
		attacker.do(http.MethodGet, s.url+"/done?verification="+page[strings.LastIndex(page, "/")+1:]+code, "", "")
	}
	if strings.Contains(attacker.home(), "signed in") {
		t.Error("the attacker is signed in")
	}
}
