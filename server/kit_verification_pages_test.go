package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// A startedVerification is a verification with the path of its page.
type startedVerification struct {
	*watchword.StartedVerification
	page string
}

const (
	annsPhone   = "+14155550123"
	annsMailbox = "ada@example.com"
)

// newVerificationSite returns a site on which user_42 has an authenticator app, and the app's secret.
func newVerificationSite(t *testing.T, change ...func(*watchword.Config)) (s *site, secret string) {
	t.Helper()
	return newVerificationSiteWith(t, server.Pages{Color: "#0a6b4f"}, change...)
}

func newVerificationSiteWith(t *testing.T, pages server.Pages, change ...func(*watchword.Config)) (s *site, secret string) {
	t.Helper()
	s = newEnrolmentSite(t, pages, change...)
	return s, s.enrolApp()
}

// enrolApp enrols an authenticator app of user_42 and returns its secret.
func (s *site) enrolApp() (secret string) {
	s.t.Helper()
	c := s.startForSubject("totp", watchword.PurposeEnrol)
	secret = c.Public["secret"].(string)
	_, err := s.engine.Check(s.t.Context(), c.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Answer: watchword.Answer{Text: s.appCode(secret)}})
	must(s.t, err)
	s.clock.advance(time.Minute) // that code is spent
	return secret
}

// startVerification starts a verification of user_42 with an authenticator app, a text message and a link by mail, of which none is
// open.
func (s *site) startVerification(change ...func(*watchword.VerificationRequest)) startedVerification {
	s.t.Helper()
	req := watchword.VerificationRequest{Purpose: "mfa", Subject: "user_42", Open: watchword.OpenNone, ReturnURL: s.app.web.URL + "/done", Locale: s.locale,
		Methods: []watchword.MethodRequest{{Strategy: "totp"}, {Strategy: "otp", Channel: "sms", To: annsPhone}, {Strategy: "magiclink", To: annsMailbox}}}
	for _, c := range change {
		c(&req)
	}
	started, err := s.engine.StartVerification(s.t.Context(), req)
	must(s.t, err)
	s.app.mu.Lock()
	s.app.verification = started
	s.app.mu.Unlock()
	return startedVerification{started, "/v/" + started.ID}
}

// openVerification returns a client that has opened the page of a verification.
func (s *site) openVerification(v startedVerification) *pageClient {
	s.t.Helper()
	client := s.newPageClient()
	client.post(v.page+"/open", map[string]string{"ticket": v.Ticket.Reveal()}).want(s.t, http.StatusOK)
	return client
}

// methodID returns the id of the method with a strategy and channel.
func (v startedVerification) methodID(strategy, channel string) string {
	for _, m := range v.Methods {
		if m.Strategy == strategy && (channel == "" || m.Channel == channel) {
			return m.ID
		}
	}
	return ""
}

// methodView returns the current state of a method.
func (s *site) methodView(v startedVerification, id string) watchword.MethodView {
	s.t.Helper()
	view, err := s.engine.VerificationStatus(s.t.Context(), v.ID)
	must(s.t, err)
	for _, m := range view.Methods {
		if m.ID == id {
			return m
		}
	}
	s.t.Fatalf("no method %s", id)
	return watchword.MethodView{}
}

// sentMessage returns the last message of an open method.
func (s *site) sentMessage(v startedVerification, method string) watchword.Message {
	s.t.Helper()
	challenge := s.methodView(v, method).Challenge
	out, ok := s.outbox.last(challenge)
	if !ok {
		s.t.Fatalf("nothing was sent for method %s", method)
	}
	m, err := s.engine.ComposeMessage(s.t.Context(), out)
	must(s.t, err)
	return m
}

// last returns the last message of a challenge.
func (o *outbox) last(challenge string) (watchword.Outgoing, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := len(o.messages) - 1; n >= 0; n-- {
		if o.messages[n].ChallengeID == challenge && o.messages[n].Kind == "" {
			return o.messages[n], true
		}
	}
	return watchword.Outgoing{}, false
}
