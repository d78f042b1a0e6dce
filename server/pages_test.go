package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/server"
)

func TestThePageOfACode(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" })
	v := s.opened(c)
	v.get(c.page+"/state").want(t, http.StatusOK, `autocomplete="one-time-code"`, `inputmode="numeric"`, "Tries left: 5", "a•••", `data-wait="20"`)
	v.post(c.page+"/answer", map[string]string{"answer": wrong(c.code)}).want(t, http.StatusUnprocessableEntity, "That was not the code.", "Tries left: 4", `aria-invalid="true"`)
	v.post(c.page+"/resend", nil).want(t, http.StatusTooManyRequests, `data-wait="20"`)
	s.clock.move(20 * time.Second)
	v.post(c.page+"/resend", nil).want(t, http.StatusOK, `data-wait="60"`)
	got := v.post(c.page+"/answer", map[string]string{"answer": " " + c.code[:3] + "-" + c.code[3:]}).want(t, http.StatusOK, "Done")
	if got.next != s.app.web.URL+"/done" || !got.final {
		t.Errorf("%s", got.text)
	}
	v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusConflict, "Done")
	must(t, s.app.redeem(t.Context()))
}

func TestThePageOfALink(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	v := s.opened(c)
	v.get(c.page+"/state").want(t, http.StatusOK, `<p class="number" aria-describedby="number_text">`+c.number+`</p>`, "Keep this page open", "Or type the code")
	v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusOK, "Done")
	s.visitor().post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusNotFound)
}

func TestALinkOnAnotherDevice(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	phone := s.visitor()
	token := map[string]string{"token": c.token}
	phone.post("/l/"+c.ID+"/open", token).want(t, http.StatusOK, "Is it you?", "Example Shop", "Sign in", "Firefox on Windows, 203.0.113.7", `pattern="[0-9]{2}"`)
	for _, number := range []string{"", "7", "007", "ab", "４２"} {
		phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": number}).want(t, http.StatusBadRequest, "Type the two digits")
	}
	phone.post("/l/"+c.ID+"/answer", token).want(t, http.StatusBadRequest)
	if got := s.status(c.ID); got.TriesLeft != 5 || got.Status != watchword.Pending {
		t.Fatalf("without the digits: %+v", got)
	}
	got := phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusOK, "Go back to where you started")
	if got.next != "" {
		t.Errorf("the other device goes on to %s", got.next)
	}
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusNotFound, "of no use any more")
	must(t, s.app.redeem(t.Context()))
	if err := s.app.redeem(t.Context()); err == nil {
		t.Error("redeemed twice")
	}
}

func TestAWrongNumberOnThePage(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	starter, phone := s.opened(c), s.visitor()
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": wrong(c.number)}).want(t, http.StatusUnprocessableEntity, "That was not the number")
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusNotFound)
	starter.get(c.page+"/state").want(t, http.StatusOK, "Refused")
	if got := s.status(c.ID); got.Status != watchword.Locked {
		t.Errorf("%s", got.Status)
	}
}

func TestALinkInTheSameBrowser(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	v := s.opened(c)
	got := v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK, "You started this in this browser.")
	if strings.Contains(got.html, "pattern=") {
		t.Error("the number is asked for")
	}
	if got := v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusOK, "Done"); got.next != s.app.web.URL+"/done" {
		t.Errorf("it goes on to %q", got.next)
	}
}

// The cookie skips the number only where the browser can be the one that started: a stranger can send his victim to the
// page of his own challenge, but he cannot start it from the victim's network.
func TestTheCookieOfAStranger(t *testing.T) {
	s := newSite(t, siteOptions{})
	for address, starter := range map[string]bool{"203.0.113.7": true, "203.0.113.99": true, "198.51.100.1": false, "2001:db8::1": false, "10.0.0.1": true, "": true} {
		c := s.begin()
		got := s.opened(c).post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}, "X-Forwarded-For", address)
		if (got.status == http.StatusOK) != starter {
			t.Errorf("from %q: %d %s", address, got.status, got.text)
		}
	}
	c := s.begin(func(q *watchword.StartRequest) { q.Client = watchword.Client{IP: "2001:db8:1:2::3"} })
	v := s.opened(c)
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}, "X-Forwarded-For", "2001:db8:2::3").want(t, http.StatusBadRequest)
	if got := v.form("/l/"+c.ID, "code="+c.code, "X-Forwarded-For", "2001:db8:2::3"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("without script: %d", got.status)
	}
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}, "X-Forwarded-For", "2001:db8:1:9::4").want(t, http.StatusOK)
}

func TestAPressConfirmsWhereTheAppSaysSo(t *testing.T) {
	s := newSite(t, siteOptions{links: magiclink.Config{Confirm: magiclink.ConfirmButton}, pages: server.Pages{PressConfirms: true}})
	c := s.begin()
	if got := s.opened(c).get(c.page+"/state").want(t, http.StatusOK); strings.Contains(got.html, `class="number"`) {
		t.Error("the starting screen shows a number")
	}
	phone := s.visitor()
	if got := phone.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK); strings.Contains(got.html, "pattern=") {
		t.Error("the number is asked for")
	}
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusOK, "Done")

	// Settings that do not agree refuse, rather than confirm too easily.
	s = newSite(t, siteOptions{pages: server.Pages{PressConfirms: true}})
	c = s.begin()
	s.visitor().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusUnprocessableEntity)
	if got := s.status(c.ID); got.Status != watchword.Pending {
		t.Errorf("%s", got.Status)
	}
	s = newSite(t, siteOptions{links: magiclink.Config{Confirm: magiclink.ConfirmButton}})
	c = s.begin()
	s.visitor().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusBadRequest)
	if got := s.status(c.ID); got.TriesLeft != 5 {
		t.Error("pages that ask for a number cost a try")
	}
}

func TestThatWasNotMe(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	starter := s.opened(c)
	s.visitor().post("/l/"+c.ID+"/report", map[string]string{"token": c.token}).want(t, http.StatusOK, "Example Shop was told")
	starter.get(c.page+"/state").want(t, http.StatusOK, "Stopped")
	if s.seen.count(watchword.EventReported) != 1 {
		t.Error("nobody was told")
	}
}

// An id alone shows nothing, and everything that is not known looks the same: status, headers, body.
func TestAnIDAloneShowsNothing(t *testing.T) {
	s := newSite(t, siteOptions{})
	c, other := s.begin(), s.begin()
	expired := s.begin()
	usedUp := s.begin()
	s.visitor().post("/l/"+usedUp.ID+"/answer", map[string]string{"token": usedUp.token, "number": usedUp.number}).want(t, http.StatusOK)
	ids := []string{c.ID, "ch_x", "ch_" + strings.Repeat("A", 40), usedUp.ID}
	first := map[string]shown{}
	same := func(what string, got shown) {
		t.Helper()
		got.header.Del("Date")
		got.header.Del("X-Request-Id")
		if got.status != http.StatusOK && got.took < server.RefusalTime {
			t.Errorf("%s: after %s, which tells that nothing was looked up", what, got.took)
		}
		want, ok := first[what]
		if !ok {
			first[what] = got
			return
		}
		if got.status != want.status || got.text != want.text || !equalHeaders(got.header, want.header) {
			t.Errorf("%s differs: %d %v %s\nfrom %d %v %s", what, got.status, got.header, got.text, want.status, want.header, want.text)
		}
	}
	for _, id := range ids {
		v := s.visitor()
		same("the shell", v.get("/c/"+id))
		same("the link's shell", v.get("/l/"+id))
		for _, ticket := range []string{"", "pt_x", other.Ticket.Reveal()} {
			same("a page", v.post("/c/"+id+"/open", map[string]string{"ticket": ticket}).want(t, http.StatusNotFound))
		}
		same("a page", v.get("/c/"+id+"/state").want(t, http.StatusNotFound))
		same("a page", v.get("/c/"+id+"/events").want(t, http.StatusNotFound))
		same("a page", v.post("/c/"+id+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusNotFound))
		same("a page", v.post("/c/"+id+"/resend", nil).want(t, http.StatusNotFound))
		same("a page", v.post("/c/"+id+"/cancel", nil).want(t, http.StatusNotFound))
		for _, token := range []string{"", "lk_0123456789abcdefghijkl", other.token, c.code} {
			same("a link", v.post("/l/"+id+"/open", map[string]string{"token": token}).want(t, http.StatusNotFound))
			same("a link", v.post("/l/"+id+"/answer", map[string]string{"token": token, "number": c.number}).want(t, http.StatusNotFound))
			same("a link", v.post("/l/"+id+"/report", map[string]string{"token": token}).want(t, http.StatusNotFound))
		}
		same("a form", v.form("/l/"+id, "code="+wrong(c.code)+"&number=42"))
	}
	same("a link", s.visitor().post("/l/"+usedUp.ID+"/open", map[string]string{"token": usedUp.token}))
	s.clock.move(10 * time.Minute)
	same("a link", s.visitor().post("/l/"+expired.ID+"/open", map[string]string{"token": expired.token}))
	if got := s.engine; got == nil || s.status(other.ID).TriesLeft != 5 {
		t.Error("somebody was charged")
	}
}

func equalHeaders(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if a.Get(name) != b.Get(name) {
			return false
		}
	}
	return true
}

// Requests of other sites change nothing: they are refused before anything is read.
func TestRequestsOfOtherSites(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	v := s.opened(c)
	paths := map[string]string{c.page + "/answer": `{"answer":"` + c.code + `"}`, c.page + "/resend": `{}`, c.page + "/cancel": `{}`,
		"/l/" + c.ID + "/answer": `{"token":"` + c.token + `","number":"` + c.number + `"}`, "/l/" + c.ID + "/report": `{"token":"` + c.token + `"}`}
	for path, body := range paths {
		for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "", "Origin", "null"}} {
			v.do(http.MethodPost, path, "application/json", body, from...).want(t, http.StatusForbidden)
		}
		for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
			v.do(http.MethodPost, path, contentType, body).want(t, http.StatusBadRequest)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete} {
			v.do(method, path, "", "").want(t, http.StatusMethodNotAllowed)
		}
	}
	v.form("/l/"+c.ID, "code="+c.code+"&number="+c.number, "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden)
	if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 5 || got.SendsLeft != 4 {
		t.Errorf("%+v", got)
	}
}

// Fetching a link's page, however often and by whom, changes nothing; then the person's press works, once.
func TestFetchingChangesNothing(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	v := s.visitor()
	agents := []string{"", "curl/8.5", "Mozilla/5.0 (compatible; Barracuda Sentinel)", "Mimecast-URL-Scanner", "Mozilla/5.0 (compatible; MSIE 9.0) SafeLinks", "Slackbot-LinkExpanding 1.0",
		"WhatsApp/2.23", "facebookexternalhit/1.1", "Googlebot/2.1", "python-requests/2.31", "Mozilla/5.0 HeadlessChrome/120", firefox}
	for _, agent := range agents {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			for range 2 {
				v.do(method, "/l/"+c.ID, "", "", "User-Agent", agent)
				v.do(method, c.page, "", "", "User-Agent", agent)
			}
		}
		v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}, "User-Agent", agent).want(t, http.StatusOK)
	}
	if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 5 {
		t.Fatalf("%+v", got)
	}
	if n := s.seen.count(watchword.EventScannerSuspected); n != 1 {
		t.Errorf("the operator heard of scanners %d times", n)
	}
	if s.seen.count(watchword.EventLinkOpened) != len(agents) {
		t.Error("the operator did not hear that it was opened")
	}
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusOK, "Done")
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusNotFound)
}

func TestPeopleAreNoScanners(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	v := s.visitor()
	v.get("/l/" + c.ID)
	v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token})
	if s.seen.count(watchword.EventScannerSuspected) != 0 {
		t.Error("a person is taken for a scanner")
	}
	s.clock.move(-10 * time.Second)
	v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token})
	if s.seen.count(watchword.EventScannerSuspected) != 1 {
		t.Error("nobody is that fast")
	}
}

// Without script the link's page takes the mail's code, and the number with it; and leaves tries for others.
func TestWithoutScript(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.begin()
	v := s.visitor()
	if got := v.get("/l/" + c.ID); !strings.Contains(got.text, `name="code"`) || strings.Contains(got.text, c.ID) {
		t.Errorf("%s", got.text)
	}
	v.form("/l/"+c.ID, "code="+c.code).want(t, http.StatusUnprocessableEntity)
	if s.status(c.ID).TriesLeft != 5 {
		t.Error("the code without the number cost a try")
	}
	for range 9 {
		v.form("/l/"+c.ID, "code="+wrong(c.code)+"&number="+c.number).want(t, http.StatusUnprocessableEntity)
	}
	if got := s.status(c.ID); got.TriesLeft != 2 || got.Status != watchword.Pending {
		t.Errorf("strangers with an id left %d tries", got.TriesLeft)
	}
	s.opened(c).post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusOK)

	c = s.begin()
	if got := v.form("/l/"+c.ID, "code="+c.code[:3]+"+"+c.code[3:]+"&number="+c.number); got.status != http.StatusOK || !strings.Contains(got.text, "Done") {
		t.Errorf("%d %s", got.status, got.text)
	}
	c = s.begin(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" })
	v.form("/l/"+c.ID, "code="+c.code+"&number=42").want(t, http.StatusUnprocessableEntity)
	if s.status(c.ID).TriesLeft != 5 {
		t.Error("a code that came without a link was taken at a link's page")
	}
	c = s.begin()
	if got := s.opened(c).form("/l/"+c.ID, "code="+c.code); got.status != http.StatusOK || !strings.Contains(got.text, s.app.web.URL+"/done") {
		t.Errorf("in the starter's browser: %d %s", got.status, got.text)
	}
}

// What a page's answers have, all of them.
func TestPageHeaders(t *testing.T) {
	s := newSite(t, siteOptions{public: "https://verify.example.com"})
	c := s.begin()
	v := s.visitor()
	opened := v.post(c.page+"/open", map[string]string{"ticket": c.Ticket.Reveal()})
	for path, got := range map[string]shown{"shell": v.get(c.page), "link": v.get("/l/" + c.ID), "css": v.get("/pages/page.css"), "js": v.get("/pages/page.js"), "part": opened,
		"unknown": v.get("/c/ch_x/state"), "problem": v.do(http.MethodPost, c.page+"/open", "text/plain", "")} {
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Opener-Policy": "same-origin"} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.header.Get(name))
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if !strings.Contains(got.header.Get("Permissions-Policy"), "camera=()") {
			t.Errorf("%s: no Permissions-Policy", path)
		}
	}
	form := regexp.MustCompile(`^__Host-` + c.ID + `=ck_[A-Za-z0-9_-]{43}; Path=/; Max-Age=1490; HttpOnly; Secure; SameSite=Strict$`)
	if got := opened.header.Get("Set-Cookie"); !form.MatchString(got) {
		t.Errorf("the cookie is %q", got)
	}
}

// Twenty-five poisoned headers: the link's origin stays the configured one.
func TestPoisonedHeaders(t *testing.T) {
	s := newSite(t, siteOptions{public: "https://verify.example.com"})
	const evil = "evil.example"
	body := `{"strategy":"magiclink","purpose":"sign_in","to":"ada@example.com"}`
	n := 0
	for _, name := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-For", "Forwarded",
		"X-Host", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Host-Override", "X-Proxy-Host", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP",
		"Origin", "Referer", "Via", "X-Url-Scheme", "X-Forwarded-Scheme", "Front-End-Https", "X-ProxyUser-Ip", "X-Envoy-Original-Path"} {
		value := evil
		if name == "Forwarded" {
			value = "host=" + evil + ";proto=http"
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.web.URL+"/v1/challenges", strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+shopKey)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = evil
		}
		w, err := http.DefaultClient.Do(r)
		must(t, err)
		_ = w.Body.Close()
		if w.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %s", name, w.Status)
		}
		m, err := s.engine.Compose(t.Context(), s.outbox.kept[n])
		must(t, err)
		if n++; !strings.HasPrefix(m.Link.Reveal(), "https://verify.example.com/l/ch_") {
			t.Errorf("%s: the link goes to %s", name, m.Link.Reveal()[:30])
		}
	}
	if n != 25 {
		t.Errorf("%d headers", n)
	}
}
