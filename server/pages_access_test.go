package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// Without a ticket or a token, and for unknown ids, all responses are equal: status, headers and body.
func TestChallengeIDAloneRevealsNothing(t *testing.T) {
	s := newSite(t, siteOptions{})
	c, other := s.startLink(), s.startLink()
	expired := s.startLink()
	usedUp := s.startLink()
	s.newPageClient().post("/l/"+usedUp.ID+"/answer", map[string]string{"token": usedUp.token, "number": usedUp.number}).want(t, http.StatusOK)
	ids := []string{c.ID, "ch_x", "ch_" + strings.Repeat("A", 40), usedUp.ID}
	first := map[string]pageResponse{}
	same := func(what string, got pageResponse) {
		t.Helper()
		got.header.Del("Date")
		got.header.Del("X-Request-Id")
		if got.status != http.StatusOK && got.took < server.MinRefusalTime {
			t.Errorf("%s: after %s, less than the minimum time", what, got.took)
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
		v := s.newPageClient()
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
		same("a form", v.form("/l/"+id, "code="+wrongCode(c.code)+"&number=42"))
	}
	same("a link", s.newPageClient().post("/l/"+usedUp.ID+"/open", map[string]string{"token": usedUp.token}))
	s.clock.advance(10 * time.Minute)
	same("a link", s.newPageClient().post("/l/"+expired.ID+"/open", map[string]string{"token": expired.token}))
	if got := s.engine; got == nil || s.status(other.ID).TriesLeft != 5 {
		t.Error("a try was charged")
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

func TestPagesRejectCrossSiteRequests(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.openPage(c)
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

// Requests for the page of a link, also with the token, change nothing. Afterwards the person can confirm, once.
func TestFetchingLinkChangesNothing(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.newPageClient()
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
	if n := s.traffic.eventCount(watchword.EventScannerSuspected); n != 1 {
		t.Errorf("a scanner was reported %d times", n)
	}
	if s.traffic.eventCount(watchword.EventLinkOpened) != 1 {
		t.Error("the event of an opened link was not sent once")
	}
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusOK, "Confirmed")
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusNotFound)
}

func TestScannerIsReportedForAutomatedRequestsOnly(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.newPageClient()
	v.get("/l/" + c.ID)
	v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token})
	if s.traffic.eventCount(watchword.EventScannerSuspected) != 0 {
		t.Error("a person was reported as a scanner")
	}
	s.clock.advance(-10 * time.Second)
	v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token})
	if s.traffic.eventCount(watchword.EventScannerSuspected) != 1 {
		t.Error("a request immediately after the start was not reported")
	}
}
