package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// elementBudget is how many bytes the element may have, compressed.
const elementBudget = 12_000

const appOrigin = "https://app.example.com"

// newOriginSite returns a site whose app lists appOrigin, and a verification.
func newOriginSite(t *testing.T) (*site, startedVerification) {
	t.Helper()
	s := newSite(t, siteOptions{public: "https://verify.example.com", origins: []string{appOrigin}})
	return s, s.startVerification(func(r *watchword.VerificationRequest) { r.Methods = r.Methods[1:] })
}

// elementHeaders are those of a request of the element on a page of an origin, with a bearer if there is one.
func elementHeaders(origin, bearer string) []string {
	h := []string{"Origin", origin, "Sec-Fetch-Site", "cross-site"}
	if bearer != "" {
		h = append(h, "Authorization", "Bearer "+bearer)
	}
	return h
}

// openElementSession exchanges the ticket as the element does.
func (s *site) openElementSession(v startedVerification, origin string) (response pageResponse, bearer string) {
	s.t.Helper()
	response = s.newPageClient().do(http.MethodPost, v.page+"/open", "application/json", `{"ticket":"`+v.Ticket.Reveal()+`","bearer":true}`, elementHeaders(origin, "")...)
	var part struct{ Bearer string }
	_ = json.Unmarshal([]byte(response.text), &part)
	return response, part.Bearer
}

func TestElementScriptIsSmallAndSharedAndImmutableUnderItsHash(t *testing.T) {
	t.Parallel()
	c := newSite(t, siteOptions{}).newPageClient()
	got := c.get("/element.js", "Accept-Encoding", "gzip")
	t.Logf("%d bytes", len(got.text))
	if len(got.text) > elementBudget || got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, %q", len(got.text), got.header.Get("Content-Encoding"))
	}
	plain := c.get("/element.js")
	for _, forbidden := range []string{"eval(", "new Function", "<style", "import ", `setAttribute("style`, "document.cookie", "location.search", "location.hash"} {
		if strings.Contains(plain.text, forbidden) {
			t.Errorf("the script has %q", forbidden)
		}
	}
	if plain.header.Get("Cache-Control") != "no-cache" || c.get("/element.js", "If-None-Match", plain.header.Get("ETag")).status != http.StatusNotModified {
		t.Errorf("headers %v", plain.header)
	}
	hashed := "/pages/" + regexp.MustCompile(`element\.[0-9a-f]{16}\.js`).FindString(plain.header.Get("ETag"))
	for _, r := range []pageResponse{plain, c.get(hashed, "Origin", "https://anybody.example")} {
		if r.status != http.StatusOK || r.text != plain.text || r.header.Get("Access-Control-Allow-Origin") != "*" || r.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%d %v", r.status, r.header)
		}
	}
	if got := c.get(hashed).header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("the file of the hash: %s", got)
	}
	if c.get("/pages/page.js").header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the script of the pages is shared")
	}
}

// A page of an origin that the app does not list can neither read nor send anything: not for the element's paths, and whatever the
// origin resembles. A listed origin can, and only on those paths.
func TestElementRequestsOfListedOriginsOnly(t *testing.T) {
	t.Parallel()
	s, v := newOriginSite(t)
	c := s.newPageClient()
	paths := map[string]string{"/open": http.MethodPost, "/choose": http.MethodPost, "/answer": http.MethodPost, "/renew": http.MethodPost, "/resend": http.MethodPost,
		"/remember": http.MethodPost, "/cancel": http.MethodPost, "/state": http.MethodGet, "/events": http.MethodGet}
	foreign := []string{"https://evil.example", "null", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example", "https://sub.app.example.com",
		"https://APP.example.com", "https://app.example.com/", "*"}
	for path, method := range paths {
		for _, origin := range foreign {
			preflight := c.do(http.MethodOptions, v.page+path, "", "", append(elementHeaders(origin, ""), "Access-Control-Request-Method", method)...)
			sent := c.do(method, v.page+path, "application/json", `{"ticket":"`+v.Ticket.Reveal()+`","bearer":true}`, elementHeaders(origin, "")...)
			if preflight.status != http.StatusMethodNotAllowed || method == http.MethodPost && sent.status != http.StatusForbidden || sent.status < 400 {
				t.Errorf("%s of %s: preflight %d, then %d", path, origin, preflight.status, sent.status)
			}
			for _, r := range []pageResponse{preflight, sent} {
				if r.header.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(strings.Join(r.header.Values("Vary"), ", "), "Origin") {
					t.Errorf("%s of %s: %v", path, origin, r.header)
				}
			}
		}
		allowed := c.do(http.MethodOptions, v.page+path, "", "", append(elementHeaders(appOrigin, ""), "Access-Control-Request-Method", method)...)
		if h := allowed.header; allowed.status != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != appOrigin || h.Get("Access-Control-Allow-Methods") != method ||
			h.Get("Access-Control-Allow-Headers") != "authorization, content-type" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s: %d %v", path, allowed.status, allowed.header)
		}
	}
	for _, path := range []string{v.page, "/c/" + v.ID + "/open", "/l/" + v.ID + "/open", "/v1/verifications/" + v.ID, "/pages/page.js", "/healthz"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			if r := c.do(method, path, "application/json", "{}", elementHeaders(appOrigin, "")...); r.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s can be read", method, path)
			}
		}
	}
	opened, bearer := s.openElementSession(v, appOrigin) // the ticket is still good
	if opened.want(t, http.StatusOK); bearer == "" || opened.header.Get("Set-Cookie") != "" || opened.header.Get("Access-Control-Allow-Origin") != appOrigin ||
		opened.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("bearer %q, %v", bearer, opened.header)
	}
}

// A ticket opens one browser, by cookie or by bearer. A bearer serves its own verification alone, and the return code is given to it after
// the approval and never before.
func TestElementBearerIsBoundLikeTheCookie(t *testing.T) {
	t.Parallel()
	s, v := newOriginSite(t)
	opened, bearer := s.openElementSession(v, appOrigin)
	opened.want(t, http.StatusOK, "Choose how")
	if again, _ := s.openElementSession(v, appOrigin); again.status != http.StatusConflict || strings.Contains(again.text, "return_code") {
		t.Errorf("the ticket was exchanged again: %d", again.status)
	}
	hosted := s.newPageClient()
	hosted.post(v.page+"/open", map[string]string{"ticket": v.Ticket.Reveal()}).want(t, http.StatusConflict)
	other := s.startVerification(func(r *watchword.VerificationRequest) { r.Methods = r.Methods[1:] })
	sms := v.methodID("otp", "sms")
	post := func(page, action, body, bearer string) pageResponse {
		return s.newPageClient().do(http.MethodPost, page+"/"+action, "application/json", body, elementHeaders(appOrigin, bearer)...)
	}
	post(v.page, "choose", `{"method":"`+sms+`"}`, bearer).want(t, http.StatusOK, "Check your phone")
	code := s.sentMessage(v, sms).Code.Reveal()
	for _, wrong := range []string{"", "ck_x", v.Ticket.Reveal(), v.Handle.Reveal()} {
		post(v.page, "answer", `{"method":"`+sms+`","answer":"`+code+`"}`, wrong).want(t, http.StatusNotFound)
	}
	post(other.page, "cancel", `{}`, bearer).want(t, http.StatusNotFound)
	if r := post(v.page, "answer", `{"method":"`+sms+`","answer":"`+wrongCode(code)+`"}`, bearer).want(t, http.StatusUnprocessableEntity); strings.Contains(r.text, "rc_") || !strings.Contains(r.text, `"status":"pending"`) {
		t.Errorf("after a wrong answer: %s", r.text)
	}
	r := post(v.page, "answer", `{"method":"`+sms+`","answer":"`+code+`"}`, bearer).want(t, http.StatusOK)
	var part struct {
		Status     string
		ReturnCode string `json:"return_code"`
		Next       string
	}
	must(t, json.Unmarshal([]byte(r.text), &part))
	if part.Status != "approved" || part.ReturnCode == "" || !strings.HasSuffix(part.Next, "return_code="+part.ReturnCode) || strings.Contains(r.text, "receipt") {
		t.Errorf("%s", r.text)
	}
	s.app.verification = v.StartedVerification
	must(t, s.app.redeem(t.Context(), part.ReturnCode))
}

// On a page of a listed origin the cookie of a hosted page, which a browser may send there, is worth nothing.
func TestElementRequestsAreNotAuthenticatedByCookie(t *testing.T) {
	t.Parallel()
	s, v := newOriginSite(t)
	c := s.newPageClient()
	c.do(http.MethodPost, v.page+"/open", "application/json", `{"ticket":"`+v.Ticket.Reveal()+`"}`, elementHeaders(appOrigin, "")...).want(t, http.StatusBadRequest)
	opened := c.post(v.page+"/open", map[string]string{"ticket": v.Ticket.Reveal()}).want(t, http.StatusOK)
	cookie, _, _ := strings.Cut(opened.header.Get("Set-Cookie"), ";")
	c.do(http.MethodGet, v.page+"/state", "", "", "Cookie", cookie).want(t, http.StatusOK)
	for _, request := range [][]string{{http.MethodGet, "/state", ""}, {http.MethodPost, "/cancel", "{}"}, {http.MethodPost, "/open", `{"bearer":true}`}} {
		c.do(request[0], v.page+request[1], "application/json", request[2], append(elementHeaders(appOrigin, ""), "Cookie", cookie)...).want(t, http.StatusNotFound)
	}
	if view, err := s.engine.VerificationStatus(t.Context(), v.ID); err != nil || view.Status != watchword.Pending {
		t.Errorf("%s %v", view.Status, err)
	}
}

// Of two apps at one host each has its own origins: the page of one opens no verification of the other, and cannot find out whose an id is.
func TestElementOriginsBelongToOneApp(t *testing.T) {
	t.Parallel()
	s, v := newOriginSite(t)
	bank, signer := newSite(t, siteOptions{public: s.public, engine: func(c *watchword.Config) { c.App = "bank" }}), newSigner(t, "k")
	two, err := server.New(server.Config{Clock: s.clock.Now, Apps: []server.App{
		{Engine: s.engine, Signer: signer, PublicURL: s.public, Keys: []server.APIKey{newAPIKey(shopKey, server.ScopeChallenges)}, Origins: []string{appOrigin}},
		{Engine: bank.engine, Signer: signer, PublicURL: s.public, Keys: []server.APIKey{newAPIKey(bankKey, server.ScopeChallenges)}, Origins: []string{"https://other.example"}},
	}})
	must(t, err)
	web := httptest.NewServer(two)
	t.Cleanup(web.Close)
	s.web.URL = web.URL
	refused, bearer := s.openElementSession(v, "https://other.example")
	unknown := s.newPageClient().do(http.MethodPost, "/v/vf_unknown/open", "application/json", `{"ticket":"vt_x","bearer":true}`, elementHeaders("https://other.example", "")...)
	if refused.status != http.StatusNotFound || bearer != "" || refused.text != unknown.text {
		t.Errorf("%d %s\n%s", refused.status, refused.text, unknown.text)
	}
	if opened, bearer := s.openElementSession(v, appOrigin); opened.status != http.StatusOK || bearer == "" {
		t.Errorf("its own origin: %d", opened.status)
	}
}

func TestServerRejectsInvalidElementOrigins(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{})
	for _, origin := range []string{"", "*", "null", "https://app.example.com/", "http://app.example.com", "app.example.com", "https://app.example.com/path"} {
		_, err := server.New(server.Config{Apps: []server.App{{Engine: s.engine, Signer: newSigner(t, "k"), PublicURL: s.public,
			Keys: []server.APIKey{newAPIKey(shopKey, server.ScopeChallenges)}, Origins: []string{origin}}}})
		if err == nil || !strings.Contains(err.Error(), "Origins[0]") {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// The challenge of a key is renewed before it expires, in the bound browser, and no other method's: new tries are not to be had.
func TestPageRenewsChallengeOfKeyOnly(t *testing.T) {
	t.Parallel()
	s := newElementSite(t)
	v := s.startVerification(signInByKey)
	c, key := s.openVerification(v), v.methodID("webauthn", "")
	first := s.methodView(v, key).Challenge
	renew := func(c *pageClient, v startedVerification, method string) pageResponse {
		return c.post(v.page+"/renew", map[string]string{"method": method})
	}
	if got := c.get(v.page + "/state"); !strings.Contains(got.html, `data-renew="240"`) {
		t.Errorf("the part has no time: %s", got.html)
	}
	if renew(c, v, key).want(t, http.StatusOK); s.methodView(v, key).Challenge != first {
		t.Error("a new challenge was replaced")
	}
	s.clock.advance(4 * time.Minute)
	renew(s.newPageClient(), v, key).want(t, http.StatusNotFound)
	got := renew(c, v, key).want(t, http.StatusOK)
	if second := s.methodView(v, key).Challenge; second == first || !strings.Contains(got.text, `"renew":240`) || !strings.Contains(got.text, "challenge") || got.html != "" {
		t.Errorf("after four minutes: %s", got.text)
	}
	s.clock.advance(4 * time.Minute) // of concurrent renewals one makes a challenge
	ids := make(chan string, 20)
	for range cap(ids) {
		go func() {
			view, err := s.engine.RenewMethod(t.Context(), v.ID, key)
			if err != nil || view.Challenge == nil {
				ids <- fmt.Sprint(err)
				return
			}
			ids <- view.Challenge.ID
		}()
	}
	third := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != third || !strings.HasPrefix(id, "ch_") {
			t.Errorf("challenges %s and %s", id, third)
		}
	}
	s.clock.advance(4 * time.Minute) // the next one lives as long as the verification
	if got := renew(c, v, key).want(t, http.StatusOK); !strings.Contains(got.text, `"renew":0`) || strings.Contains(c.get(v.page+"/state").html, "data-renew") {
		t.Errorf("the last challenge: %s", got.text)
	}
	last := s.methodView(v, key).Challenge
	s.clock.advance(2 * time.Minute)
	if renew(c, v, key).want(t, http.StatusOK); last == third || s.methodView(v, key).Challenge != last {
		t.Error("the last challenge was replaced, or not made")
	}
	s.clock.advance(2 * time.Minute)
	if got := renew(c, v, key); !got.final {
		t.Errorf("after the end: %d %s", got.status, got.text)
	}
	v = s.startVerification()
	c, app := s.openVerification(v), v.methodID("totp", "")
	c.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusOK)
	code := s.methodView(v, app).Challenge
	s.clock.advance(4 * time.Minute)
	if got := renew(c, v, app); got.status != http.StatusNotFound || s.methodView(v, app).Challenge != code {
		t.Errorf("the challenge of a code was renewed: %d", got.status)
	}
	if got := renew(c, v, "m9"); got.status != http.StatusNotFound {
		t.Errorf("an unknown method: %d", got.status)
	}
}
