package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/device"
)

func TestVerificationPageOffersEveryMethod(t *testing.T) {
	s, secret := newVerificationSite(t)
	v := s.startVerification()
	app, sms, mail := v.methodID("totp", ""), v.methodID("otp", "sms"), v.methodID("magiclink", "email")
	p := s.openVerification(v)
	choice := p.get(v.page+"/state").want(t, http.StatusOK, "Choose how to confirm it’s you", "Use your authenticator app", "Text a code to &#43;•••", "Email a link to a•••")
	if strings.Contains(choice.html, "Back") || strings.Contains(choice.html, annsPhone) || strings.Contains(choice.html, annsMailbox) {
		t.Errorf("the choice has an address, or a way back to nothing: %s", choice.html)
	}
	if s.outbox.count() != 0 {
		t.Error("a message was sent before anybody chose")
	}
	p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK, "Check your phone", "code we sent to <bdi dir=\"ltr\">+•••", "Use another method", `name="method" value="`+sms+`"`)
	p.get(v.page+"/state?choose").want(t, http.StatusOK, "Choose how", ">Back</button>")
	p.post(v.page+"/choose", map[string]string{"method": mail}).want(t, http.StatusOK, "Open the link", `class="number"`, "Use another method")
	p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK, "Check your phone")
	if n := s.outbox.count(); n != 2 {
		t.Errorf("%d messages, want one for each method", n)
	}
	p.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusOK, "Enter the code from your authenticator app")
	p.post(v.page+"/answer", map[string]string{"method": app, "answer": wrongCode(s.appCode(secret))}).want(t, http.StatusUnprocessableEntity, "That code doesn’t match.")
	done := p.post(v.page+"/answer", map[string]string{"method": app, "answer": s.appCode(secret)}).want(t, http.StatusOK, "You’re signed in")
	if !done.final || !strings.HasPrefix(done.next, s.app.web.URL+"/done?verification="+v.ID+"&return_code=rc_") {
		t.Errorf("the page leads to %q", done.next)
	}
	if err := s.app.redeem(t.Context(), ""); !errors.Is(err, watchword.ErrReturnCodeInvalid) {
		t.Errorf("without the return code: %v", err)
	}
	must(t, s.app.redeemAt(t.Context(), done.next))
	if err := s.app.redeemAt(t.Context(), done.next); !errors.Is(err, watchword.ErrReceiptUsed) {
		t.Errorf("a second time: %v", err)
	}
}

func TestVerificationPageComparesAnswerWithItsMethodOnly(t *testing.T) {
	s, secret := newVerificationSite(t)
	v := s.startVerification()
	app, sms := v.methodID("totp", ""), v.methodID("otp", "sms")
	p := s.openVerification(v)
	p.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusOK)
	p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK)
	p.post(v.page+"/answer", map[string]string{"method": sms, "answer": s.appCode(secret)}).want(t, http.StatusUnprocessableEntity)
	p.post(v.page+"/answer", map[string]string{"method": "", "answer": s.appCode(secret)}).want(t, http.StatusBadRequest)
	p.post(v.page+"/answer", map[string]string{"method": "m9", "answer": s.appCode(secret)}).want(t, http.StatusNotFound)
	p.do(http.MethodPost, v.page+"/answer", "application/json", `{"method":"`+sms+`","answer":`+wrongCredential()+`}`).want(t, http.StatusBadRequest)
	p.post(v.page+"/choose", map[string]string{"method": "m9"}).want(t, http.StatusNotFound, "This method isn’t working right now.")
	if view, err := s.engine.VerificationStatus(t.Context(), v.ID); err != nil || view.Status != watchword.Pending {
		t.Errorf("%s %v", view.Status, err)
	}
}

// A method with too many wrong answers cannot be chosen again; the others can, and the last one ends the verification.
func TestVerificationPageWithdrawsLockedMethod(t *testing.T) {
	s, _ := newVerificationSite(t)
	v := s.startVerification(func(r *watchword.VerificationRequest) { r.Methods = r.Methods[:2] })
	app, sms := v.methodID("totp", ""), v.methodID("otp", "sms")
	p := s.openVerification(v)
	for range 2 {
		p.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusOK)
		p.post(v.page+"/answer", map[string]string{"method": app, "answer": "000000"}).want(t, http.StatusUnprocessableEntity, "Use another method")
	}
	p.post(v.page+"/answer", map[string]string{"method": app, "answer": "000000"}).want(t, http.StatusUnprocessableEntity, "Too many attempts. Choose another method.",
		"Use your authenticator app: no longer available", "Text a code to")
	p.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusGone, "Choose another one.")
	got := p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK, "Check your phone")
	if strings.Contains(got.html, "Use another method") {
		t.Error("another way is offered, and there is none")
	}
	wrong := wrongCode(s.sentMessage(v, sms).Code.Reveal())
	for range 4 {
		p.post(v.page+"/answer", map[string]string{"method": sms, "answer": wrong}).want(t, http.StatusUnprocessableEntity)
	}
	end := p.post(v.page+"/answer", map[string]string{"method": sms, "answer": wrong}).want(t, http.StatusUnprocessableEntity, "Too many attempts", "error=locked", "Start again at Example Shop")
	if !end.final || end.next != "" {
		t.Errorf("%s", end.text)
	}
}

func TestVerificationPageOfExpiredMethodOpensItAnew(t *testing.T) {
	s, _ := newVerificationSite(t)
	v := s.startVerification()
	sms := v.methodID("otp", "sms")
	p := s.openVerification(v)
	p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK)
	s.clock.advance(11 * time.Minute)
	p.get(v.page+"/state").want(t, http.StatusOK, "This code or link has expired.", "Text a code to")
	if s.outbox.count() != 1 {
		t.Error("looking at the page has sent a message")
	}
	p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK, "Check your phone")
	done := p.post(v.page+"/answer", map[string]string{"method": sms, "answer": s.sentMessage(v, sms).Code.Reveal()}).want(t, http.StatusOK)
	must(t, s.app.redeemAt(t.Context(), done.next))
}

func TestVerificationPageLeadsBackHoweverItEnds(t *testing.T) {
	s, _ := newVerificationSite(t)
	for want, end := range map[string]func(*pageClient, startedVerification){
		"canceled": func(p *pageClient, v startedVerification) {
			p.post(v.page+"/cancel", nil).want(t, http.StatusOK, "Canceled")
		},
		"expired": func(*pageClient, startedVerification) { s.clock.advance(16 * time.Minute) },
	} {
		v := s.startVerification()
		p := s.openVerification(v)
		end(p, v)
		got := p.get(v.page+"/state").want(t, http.StatusOK, `class="button" href="`+s.app.web.URL+"/done?verification="+v.ID+"&amp;error="+want+`"`)
		if !got.final {
			t.Errorf("%s: %s", want, got.text)
		}
	}
	v := s.startVerification()
	s.openVerification(v)
	s.newPageClient().post(v.page+"/open", map[string]string{"ticket": v.Ticket.Reveal()}).want(t, http.StatusConflict, "open in another browser", `href="`+s.app.web.URL+`/done"`)
}

func TestVerificationIDAloneRevealsNothing(t *testing.T) {
	s, _ := newVerificationSite(t)
	v, other := s.startVerification(), s.startVerification()
	s.openVerification(other)
	var first pageResponse
	for _, id := range []string{v.ID, other.ID, "vf_x", "vf_" + strings.Repeat("A", 44)} {
		p := s.newPageClient()
		for _, got := range []pageResponse{p.get("/v/" + id + "/state"), p.get("/v/" + id + "/events"), p.post("/v/"+id+"/open", map[string]string{"ticket": "vt_forged"}),
			p.post("/v/"+id+"/choose", map[string]string{"method": "m1"}), p.post("/v/"+id+"/answer", map[string]string{"method": "m1", "answer": "000000"}),
			p.post("/v/"+id+"/resend", map[string]string{"method": "m1"}), p.post("/v/"+id+"/cancel", nil),
			p.do(http.MethodPost, "/v/"+id+"/remember", "application/json", `{"remember":true}`)} {
			if first.text == "" {
				first = got
			}
			if got.status != http.StatusNotFound || got.text != first.text {
				t.Errorf("%s: %d %s", id, got.status, got.text)
			}
		}
	}
	if s.outbox.count() != 0 {
		t.Error("a message was sent")
	}
}

// The person may trust the device only where the app lets a trusted device answer the purpose. The token goes to the app.
func TestVerificationPageTrustsDeviceWhereAppAllows(t *testing.T) {
	s, _ := newVerificationSite(t)
	v := s.startVerification()
	app := v.methodID("totp", "")
	p := s.openVerification(v)
	if got := p.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusOK); strings.Contains(got.html, "Trust this device") {
		t.Error("the box is there though the app trusts no devices")
	}
	p.do(http.MethodPost, v.page+"/remember", "application/json", `{"remember":true}`).want(t, http.StatusBadRequest)

	s, secret := newVerificationSite(t, trustDevices)
	v = s.startVerification()
	app = v.methodID("totp", "")
	p = s.openVerification(v)
	p.post(v.page+"/choose", map[string]string{"method": app}).want(t, http.StatusOK, "Trust this device for 30 days", `data-save="remember">`)
	p.do(http.MethodPost, v.page+"/remember", "application/json", `{"remember":true}`).want(t, http.StatusNoContent)
	p.get(v.page+"/state").want(t, http.StatusOK, `data-save="remember" checked>`)
	p.do(http.MethodPost, v.page+"/remember", "application/json", `{"remember":false}`).want(t, http.StatusNoContent)
	p.get(v.page+"/state").want(t, http.StatusOK, `data-save="remember">`)
	p.do(http.MethodPost, v.page+"/remember", "application/json", `{}`).want(t, http.StatusBadRequest)
	p.do(http.MethodPost, v.page+"/remember", "application/json", `{"remember":true}`).want(t, http.StatusNoContent)
	done := p.post(v.page+"/answer", map[string]string{"method": app, "answer": s.appCode(secret)}).want(t, http.StatusOK)
	if strings.Contains(done.text, "dv_") {
		t.Error("the page has the token")
	}
	_, code, _ := strings.Cut(done.next, "return_code=")
	result, err := s.engine.RedeemVerification(t.Context(), v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "mfa", Subject: "user_42", ReturnCode: code})
	must(t, err)
	if !strings.HasPrefix(result.DeviceToken.Reveal(), "dv_") {
		t.Error("the app has no token")
	}
	if again := s.startVerification(func(r *watchword.VerificationRequest) { r.DeviceToken = result.DeviceToken }); again.Approved == nil {
		t.Error("the device does not answer")
	}
}

// trustDevices lets trusted devices answer the purpose mfa.
func trustDevices(c *watchword.Config) {
	c.Strategies = append(c.Strategies, device.New())
	c.TrustedDevices = watchword.TrustedDevices{Purposes: []string{"mfa"}}
}

// A page that asks very often reads the store once at a time.
func TestPagesAreReadByOneRequestAtATime(t *testing.T) {
	store := &concurrencyStore{}
	observe := func(c *watchword.Config) { store.Store, c.Store = c.Store, store }
	s, _ := newVerificationSite(t, observe)
	v := s.startVerification()
	wantOneRead(t, store, s.openVerification(v), v.page)
	single := newSite(t, siteOptions{engine: observe})
	c := single.startLink()
	wantOneRead(t, store, single.openPage(c), c.page)
}

// wantOneRead requests the state of a page many times at once.
func wantOneRead(t *testing.T, store *concurrencyStore, p *pageClient, page string) {
	t.Helper()
	store.most.Store(0)
	var requests sync.WaitGroup
	for range 20 {
		requests.Go(func() {
			if got := p.get(page + "/state"); got.status != http.StatusOK {
				t.Errorf("got %d: %s", got.status, got.text)
			}
		})
	}
	requests.Wait()
	if n := store.most.Load(); n != 1 {
		t.Errorf("%s: %d reads at the same time", page, n)
	}
}

// A concurrencyStore notes how many entries are read at the same time.
type concurrencyStore struct {
	watchword.Store
	reading, most atomic.Int32
}

func (s *concurrencyStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	n := s.reading.Add(1)
	defer s.reading.Add(-1)
	time.Sleep(time.Millisecond) // so that others come meanwhile
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	return s.Store.Get(ctx, id)
}
