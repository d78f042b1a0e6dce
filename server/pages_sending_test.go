package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// newSendingSite returns a site that can send mails and text messages and call. Mailboxes get mails only, and numbers get none.
func newSendingSite(t testing.TB) *site {
	return newSite(t, siteOptions{engine: func(c *watchword.Config) {
		c.Channels = []string{"sms", "email", "voice"}
		c.Addresses = func(channel, address string) (watchword.Address, error) {
			if strings.Contains(address, "@") != (channel == "email") {
				return watchword.Address{}, &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: "to", Reason: "is not of this channel"}}}
			}
			return acceptAnyAddress(channel, address)
		}
	}})
}

func byChannel(channel, to string) func(*watchword.StartRequest) {
	return func(q *watchword.StartRequest) { q.Strategy, q.Channel, q.To = "otp", channel, to }
}

func TestPageSendsByAnotherChannel(t *testing.T) {
	s := newSendingSite(t)
	c := s.startLink(byChannel("sms", annsPhone))
	v := s.openPage(c)
	got := v.get(c.page+"/state").want(t, http.StatusOK, "Check your phone", "Call me instead", `value="voice"`)
	if strings.Contains(got.html, "Text me instead") {
		t.Error("the channel of the challenge is offered as another one")
	}
	if got := v.post(c.page+"/resend", map[string]string{"channel": "email"}); got.status != http.StatusBadRequest {
		t.Errorf("a channel that is not offered: %d", got.status)
	}
	v.post(c.page+"/resend", map[string]string{"channel": "voice"}).want(t, http.StatusTooManyRequests, "Check your phone")
	s.clock.advance(30 * time.Second)
	v.post(c.page+"/resend", map[string]string{"channel": "voice"}).want(t, http.StatusOK, "Answer the call", "Text me instead", "Sent again")
	if last := s.outbox.messages[len(s.outbox.messages)-1]; last.Channel != "voice" {
		t.Errorf("sent by %s", last.Channel)
	}
	v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusOK)
	if s.status(c.ID).Status != watchword.Approved {
		t.Error("the code of the call is not the right one")
	}
	mail := s.startLink(byChannel("email", "ada@example.com"))
	if got := s.openPage(mail).get(mail.page + "/state"); strings.Contains(got.html, "instead") {
		t.Errorf("a mailbox cannot be called: %s", got.html)
	}
}

func TestPageLeadsBackToWhereTheAddressWasTyped(t *testing.T) {
	s := newSendingSite(t)
	for _, c := range []struct {
		channel, to, purpose string
		want                 string
	}{
		{"email", "ada@example.com", "sign_in", "Wrong email address? Go back"}, {"sms", annsPhone, "sign_in", "Wrong number? Go back"},
		{"voice", annsPhone, "change_number", "Wrong number? Go back"}, {"sms", annsPhone, watchword.PurposeMFA, ""}, {"email", "ada@example.com", watchword.PurposeManageFactors, ""},
	} {
		started := s.startLink(byChannel(c.channel, c.to), func(q *watchword.StartRequest) { q.Purpose, q.Subject = c.purpose, "user_42" })
		got := s.openPage(started).get(started.page+"/state").want(t, http.StatusOK, c.want)
		if c.want == "" && strings.Contains(got.html, "Wrong") {
			t.Errorf("%s: the address of an account is asked for: %s", c.purpose, got.html)
		}
	}
}

func TestPageSaysThatMessageIsLateOrFailed(t *testing.T) {
	s := newSendingSite(t)
	started, err := s.engine.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: annsPhone, ReturnURL: s.app.web.URL + "/done", Locale: "en"})
	must(t, err)
	c := startedChallenge{Started: started, page: "/c/" + started.ID}
	v, out := s.openPage(c), s.outbox.messages[0]
	state := func() pageResponse { return v.get(c.page + "/state") }
	if got := state(); strings.Contains(got.html, "longer than usual") {
		t.Errorf("a message that was queued just now is late: %s", got.html)
	}
	s.clock.advance(9 * time.Second)
	state().want(t, http.StatusOK, `<p class="notice" id="note" role="status">This is taking longer than usual.</p>`)
	if got := v.readEvents(c.page+"/events", "event: note"); !strings.Contains(got, `{"text":"This is taking longer than usual.","late":true}`) {
		t.Errorf("the events are %s", got)
	}
	must(t, s.engine.RecordDelivery(t.Context(), out, watchword.Delivery{Status: watchword.DeliverySent, Channel: "sms"}))
	state().want(t, http.StatusOK, `<p class="error" id="note" role="status"></p>`, `data-wait="21"`)
	must(t, s.engine.RecordDelivery(t.Context(), out, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "sms"}))
	state().want(t, http.StatusOK, "We couldn’t deliver the message to &#43;•••. Check", `data-wait="0"`)
	v.post(c.page+"/resend", nil).want(t, http.StatusOK, `data-wait="60"`)
}

// An answer that is not accepted before the challenge expires ends the page: there is nothing to wait for.
func TestPageEndsWhenAttemptsAreBlockedForLonger(t *testing.T) {
	s := newSendingSite(t)
	first := s.startLink(byChannel("sms", annsPhone))
	for range 5 {
		_ = s.openPage(first).post(first.page+"/answer", map[string]string{"answer": wrongCode(first.code)})
	}
	c := s.startLink(byChannel("sms", annsPhone))
	v := s.openPage(c)
	v.post(c.page+"/answer", map[string]string{"answer": wrongCode(c.code)}).want(t, http.StatusUnprocessableEntity, "doesn’t match")
	got := v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusTooManyRequests, "Too many attempts", "Try again after <time", "Back to Example Shop")
	if !got.final || strings.Contains(got.html, "<form") || strings.Contains(got.html, "tries left") {
		t.Errorf("final %t: %s", got.final, got.html)
	}
}

// A verification leads to its other methods instead, if it has any.
func TestVerificationPageLeadsOnWhenAttemptsAreBlockedForLonger(t *testing.T) {
	s, _ := newVerificationSite(t)
	var pages []startedVerification
	for _, methods := range []int{1, 2} {
		pages = append(pages, s.startVerification(func(r *watchword.VerificationRequest) { r.Methods = r.Methods[1 : 1+methods] }))
	}
	blocked := func(v startedVerification) pageResponse {
		p, sms := s.openVerification(v), v.methodID("otp", "sms")
		p.post(v.page+"/choose", map[string]string{"method": sms}).want(t, http.StatusOK)
		_ = p.post(v.page+"/answer", map[string]string{"method": sms, "answer": wrongCode(s.sentMessage(v, sms).Code.Reveal())}) // the first try is always evaluated
		return p.post(v.page+"/answer", map[string]string{"method": sms, "answer": s.sentMessage(v, sms).Code.Reveal()})
	}
	other := s.startLink(byChannel("sms", annsPhone))
	for range 5 {
		_ = s.openPage(other).post(other.page+"/answer", map[string]string{"answer": wrongCode(other.code)})
	}
	if got := blocked(pages[0]).want(t, http.StatusTooManyRequests, "Too many attempts", "Try again after <time", "Back to Example Shop"); !got.final {
		t.Errorf("the page goes on: %s", got.html)
	}
	if got := blocked(pages[1]).want(t, http.StatusTooManyRequests, "Too many attempts. Choose another method.", "Email a link to"); got.final {
		t.Errorf("the page has ended: %s", got.html)
	}
}

func TestTransactionShowsAmountWithCurrencyFirst(t *testing.T) {
	s := newSendingSite(t)
	for want, transaction := range map[string]map[string]string{
		`<dl><div><dt>Amount</dt><dd class="large"><bdi>40.00 EUR</bdi></dd></div><div><dt>Payee</dt><dd><bdi>ACME</bdi></dd></div><div><dt>IBAN</dt><dd><bdi>DE1</bdi></dd></div></dl>`: {"amount": "40.00",
			"currency": "EUR", "payee": "ACME", "iban": "DE1"},
		`<dl><div><dt>Amount</dt><dd class="large"><bdi>40</bdi></dd></div></dl>`: {"amount": "40"},
		`<dl><div><dt>Currency</dt><dd><bdi>EUR</bdi></dd></div></dl>`:            {"currency": "EUR"},
	} {
		c := s.startLink(byChannel("sms", annsPhone), func(q *watchword.StartRequest) { q.Transaction = transaction })
		s.openPage(c).get(c.page+"/state").want(t, http.StatusOK, want)
	}
}

// What a person keeps says whose it is.
func TestEnrolmentNamesTheAccount(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	account := func(q *watchword.StartRequest) { q.Metadata = map[string]string{"account": "ada@example.com"} }
	open := func(c startedChallenge, want ...string) pageResponse {
		return s.openPage(c).get(c.page+"/state").want(t, http.StatusOK, want...)
	}
	host := strings.TrimPrefix(s.public, "http://")
	open(s.startForSubject("totp", watchword.PurposeEnrol, account), "Account: <bdi>ada@example.com</bdi>")
	open(s.startForSubject("totp", watchword.PurposeEnrol), "Account: <bdi>user_42</bdi>") // authenticator apps show it too
	open(s.startForSubject("recovery", watchword.PurposeEnrol, account), `<div class="sheet"><p>Recovery codes for Example Shop</p><p>Account: <bdi>ada@example.com</bdi></p><p>`+host+`, <time data-day datetime="`)
	if got := open(s.startForSubject("recovery", watchword.PurposeEnrol)); strings.Contains(got.html, "user_42") {
		t.Error("the sheet names an id that the person does not know")
	}
}
