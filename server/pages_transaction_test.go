package server_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// requireRows requires that a page shows every row with its name, in the order of messages.
func requireRows(t *testing.T, what string, page pageResponse) {
	t.Helper()
	text := html.UnescapeString(page.html)
	at := -1
	for _, row := range []string{`<dt>Amount</dt><dd class="large"><bdi>40.00 EUR</bdi></dd>`, "<dt>Action</dt><dd><bdi>change <b>IBAN</b></bdi></dd>", "<dt>New iban</dt><dd><bdi>DE89 3704</bdi></dd>"} {
		next := strings.Index(text, row)
		if next <= at {
			t.Errorf("%s: %q is missing or too early: %s", what, row, page.text)
		}
		at = next
	}
}

func TestPagesShowEveryTransactionRow(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	pays := func(q *watchword.StartRequest) {
		q.Transaction = map[string]string{"new_iban": "DE89 3704", "currency": "EUR", "action": "change <b>IBAN</b>", "amount": "40.00"}
	}
	code := func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" }
	for what, c := range map[string]startedChallenge{
		"a code":          s.startLink(code, pays),
		"a link's start":  s.startLink(pays),
		"a code to scan":  s.startForSubject("totp", watchword.PurposeEnrol, pays),
		"codes to keep":   s.startForSubject("recovery", watchword.PurposeEnrol, pays),
		"a key to be had": s.startForSubject("webauthn", "pay", pays),
		"a new key":       s.startForSubject("webauthn", watchword.PurposeEnrol, pays),
	} {
		requireRows(t, what, s.openPage(c).get(c.page+"/state").want(t, http.StatusOK))
	}
	link := s.startLink(pays)
	requireRows(t, "a link", s.newPageClient().post("/l/"+link.ID+"/open", map[string]string{"token": link.token}).want(t, http.StatusOK))
}
