package server_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// requireRows: the page shows each row, its name with it, amount before what is less important.
func requireRows(t *testing.T, what string, page shown) {
	t.Helper()
	text := html.UnescapeString(page.html)
	at := -1
	for _, row := range []string{"<dt>Amount</dt><dd>40.00</dd>", "<dt>Currency</dt><dd>EUR</dd>", "<dt>action</dt><dd>change <b>IBAN</b></dd>", "<dt>new iban</dt><dd>DE89 3704</dd>"} {
		next := strings.Index(text, row)
		if next <= at {
			t.Errorf("%s: %q is missing or too early: %s", what, row, page.text)
		}
		at = next
	}
}

func TestEveryPageShowsEveryRow(t *testing.T) {
	s := enrolling(t, server.Pages{})
	pays := func(q *watchword.StartRequest) {
		q.Transaction = map[string]string{"new_iban": "DE89 3704", "currency": "EUR", "action": "change <b>IBAN</b>", "amount": "40.00"}
	}
	code := func(q *watchword.StartRequest) { q.Strategy, q.Channel = "otp", "email" }
	for what, c := range map[string]begun{
		"a code":          s.begin(code, pays),
		"a link's start":  s.begin(pays),
		"a code to scan":  s.start("totp", watchword.PurposeEnrol, pays),
		"codes to keep":   s.start("recovery", watchword.PurposeEnrol, pays),
		"a key to be had": s.start("webauthn", "pay", pays),
		"a new key":       s.start("webauthn", watchword.PurposeEnrol, pays),
	} {
		requireRows(t, what, s.opened(c).get(c.page+"/state").want(t, http.StatusOK))
	}
	link := s.begin(pays)
	requireRows(t, "a link", s.visitor().post("/l/"+link.ID+"/open", map[string]string{"token": link.token}).want(t, http.StatusOK))
}
