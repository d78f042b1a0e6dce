package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/server"
)

func TestCodePageChecksResendsAndApproves(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" })
	v := s.openPage(c)
	v.get(c.page+"/state").want(t, http.StatusOK, `autocomplete="one-time-code"`, `inputmode="numeric"`, `data-length="6"`, "<bdi>a•••", `data-wait="20"`)
	v.post(c.page+"/answer", map[string]string{"answer": wrongCode(c.code)}).want(t, http.StatusUnprocessableEntity, "That code doesn’t match. Try again. 4 tries left.", `aria-invalid="true"`)
	v.post(c.page+"/resend", nil).want(t, http.StatusTooManyRequests, `data-wait="20"`)
	s.clock.advance(20 * time.Second)
	v.post(c.page+"/resend", nil).want(t, http.StatusOK, `data-wait="60"`)
	got := v.post(c.page+"/answer", map[string]string{"answer": " " + c.code[:3] + "-" + c.code[3:]}).want(t, http.StatusOK, "You’re signed in")
	if !strings.HasPrefix(got.next, s.app.web.URL+"/done?challenge="+c.ID+"&return_code=rc_") || !got.final {
		t.Errorf("%s", got.text)
	}
	v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusConflict, "You’re signed in")
	must(t, s.app.redeemAt(t.Context(), got.next))
}

func TestLinkStartPageShowsNumberAndAcceptsCode(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.openPage(c)
	v.get(c.page+"/state").want(t, http.StatusOK, `<p class="number">`+c.number+`</p>`, "This page continues by itself", "Enter the code instead")
	v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusOK, "You’re signed in")
	s.newPageClient().post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusNotFound)
}

func TestLinkOnAnotherDeviceNeedsNumber(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	phone := s.newPageClient()
	token := map[string]string{"token": c.token}
	phone.post("/l/"+c.ID+"/open", token).want(t, http.StatusOK, "Is this you signing in?", "Example Shop", "Sign in", "Firefox on Windows", "203.0.113.7", `id="number"`)
	for _, number := range []string{"", "7", "007", "ab", "4²", "４２２"} {
		phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": number}).want(t, http.StatusBadRequest, "Enter the two digits")
	}
	phone.post("/l/"+c.ID+"/answer", token).want(t, http.StatusBadRequest)
	if got := s.status(c.ID); got.TriesLeft != 5 || got.Status != watchword.Pending {
		t.Fatalf("without the digits: %+v", got)
	}
	got := phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusOK, "Continue on your other screen")
	if got.next != "" {
		t.Errorf("the other device is sent to %s", got.next)
	}
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusNotFound, "expired or was already used")
	must(t, s.app.redeem(t.Context(), ""))
	if err := s.app.redeem(t.Context(), ""); err == nil {
		t.Error("redeemed twice")
	}
}

func TestWrongNumberLocksChallenge(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	starter, phone := s.openPage(c), s.newPageClient()
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": wrongCode(c.number)}).want(t, http.StatusUnprocessableEntity, "That number doesn’t match")
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusNotFound)
	starter.get(c.page+"/state").want(t, http.StatusOK, "The number didn’t match")
	if got := s.status(c.ID); got.Status != watchword.Locked {
		t.Errorf("%s", got.Status)
	}
}

func TestLinkInSameBrowserNeedsNoNumber(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.openPage(c)
	got := v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK, "You started this in this browser.")
	if strings.Contains(got.html, `id="number"`) {
		t.Error("the page asks for the number")
	}
	if got := v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusOK, "You’re signed in"); !strings.HasPrefix(got.next, s.app.web.URL+"/done?challenge="+c.ID+"&return_code=rc_") {
		t.Errorf("the browser is sent to %q", got.next)
	}
}

// The cookie replaces the number only on the network of the client that started. An attacker can send a person to the page
// of the attacker's challenge, but cannot start it from the person's network.
func TestCookieSkipsNumberOnStartersNetworkOnly(t *testing.T) {
	s := newSite(t, siteOptions{})
	for address, starter := range map[string]bool{"203.0.113.7": true, "203.0.113.99": true, "198.51.100.1": false, "2001:db8::1": false, "10.0.0.1": true, "": true} {
		c := s.startLink()
		got := s.openPage(c).post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}, "X-Forwarded-For", address)
		if (got.status == http.StatusOK) != starter {
			t.Errorf("from %q: %d %s", address, got.status, got.text)
		}
	}
	c := s.startLink(func(q *watchword.StartRequest) { q.Client = watchword.Client{IP: "2001:db8:1:2::3"} })
	v := s.openPage(c)
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}, "X-Forwarded-For", "2001:db8:2::3").want(t, http.StatusBadRequest)
	if got := v.form("/l/"+c.ID, "code="+c.code, "X-Forwarded-For", "2001:db8:2::3"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("without script: %d", got.status)
	}
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}, "X-Forwarded-For", "2001:db8:1:9::4").want(t, http.StatusOK)
}

func TestButtonConfirmsWhereConfigured(t *testing.T) {
	s := newSite(t, siteOptions{links: magiclink.Config{Confirm: magiclink.ConfirmButton}, pages: server.Pages{ButtonConfirms: true}})
	c := s.startLink()
	if got := s.openPage(c).get(c.page+"/state").want(t, http.StatusOK); strings.Contains(got.html, `class="number"`) {
		t.Error("the starting screen shows a number")
	}
	phone := s.newPageClient()
	if got := phone.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK); strings.Contains(got.html, `id="number"`) {
		t.Error("the page asks for the number")
	}
	phone.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusOK, "Confirmed")

	// If the settings of pages and strategy differ, links are rejected.
	s = newSite(t, siteOptions{pages: server.Pages{ButtonConfirms: true}})
	c = s.startLink()
	s.newPageClient().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusBadRequest)
	if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 5 {
		t.Errorf("%s, %d tries left", got.Status, got.TriesLeft)
	}
	s = newSite(t, siteOptions{links: magiclink.Config{Confirm: magiclink.ConfirmButton}})
	c = s.startLink()
	s.newPageClient().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusBadRequest)
	if got := s.status(c.ID); got.TriesLeft != 5 {
		t.Error("a rejected link charged a try")
	}
}

func TestReportCancelsChallenge(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	starter := s.openPage(c)
	s.newPageClient().post("/l/"+c.ID+"/report", map[string]string{"token": c.token}).want(t, http.StatusOK, "Example Shop has been notified")
	starter.get(c.page+"/state").want(t, http.StatusOK, "Canceled")
	if s.traffic.eventCount(watchword.EventReported) != 1 {
		t.Error("the event was not sent")
	}
}

// Without script the page of a link accepts the code together with the number. It does not use up the last tries.
func TestFormWithoutScriptNeedsCodeAndNumber(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.newPageClient()
	if got := v.get("/l/" + c.ID); !strings.Contains(got.text, `name="code"`) || strings.Contains(got.text, c.ID) {
		t.Errorf("%s", got.text)
	}
	v.form("/l/"+c.ID, "code="+c.code).want(t, http.StatusUnprocessableEntity)
	if s.status(c.ID).TriesLeft != 5 {
		t.Error("the code without the number charged a try")
	}
	for range 9 {
		v.form("/l/"+c.ID, "code="+wrongCode(c.code)+"&number="+c.number).want(t, http.StatusUnprocessableEntity)
	}
	if got := s.status(c.ID); got.TriesLeft != 2 || got.Status != watchword.Pending {
		t.Errorf("requests with the id alone left %d tries", got.TriesLeft)
	}
	s.openPage(c).post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusOK)

	c = s.startLink()
	if got := v.form("/l/"+c.ID, "code="+c.code[:3]+"+"+c.code[3:]+"&number="+c.number); got.status != http.StatusOK || !strings.Contains(got.text, "<title>Confirmed · Example Shop</title>") {
		t.Errorf("%d %s", got.status, got.text)
	}
	c = s.startLink(func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" })
	v.form("/l/"+c.ID, "code="+c.code+"&number=42").want(t, http.StatusUnprocessableEntity)
	if s.status(c.ID).TriesLeft != 5 {
		t.Error("the page of a link checked a code of another strategy")
	}
	c = s.startLink()
	if got := s.openPage(c).form("/l/"+c.ID, "code="+c.code); got.status != http.StatusOK || !strings.Contains(got.text, s.app.web.URL+"/done") {
		t.Errorf("in the starter's browser: %d %s", got.status, got.text)
	}
}
