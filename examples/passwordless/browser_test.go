package main

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/browsertest"
)

// Every page of the app in a real browser. The link is opened in the browser that asked for it.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := browsertest.New(t)
	p.Open(s.url)
	p.Inspect("passwordless-sign-in")
	p.Type("[name=email]", ann+"\r")
	p.WaitUntil(`document.querySelector(".number")`)
	page, token := s.device().waitForMail()
	p.Open(page + "#" + token)
	p.WaitText("Is this you signing in?")
	p.Inspect("passwordless-link")
	p.Click("button")
	p.WaitText("You are signed in as " + ann)
	p.Inspect("passwordless-welcome")
	p.Click(`[action="/sign-out"] button`)

	p.WaitText("Sign in with a link")
	p.Type("[name=email]", "nobody@example.com\r")
	p.WaitUntil(`document.querySelector("[data-do=cancel] button")?.checkVisibility()`)
	p.Click("[data-do=cancel] button")
	p.WaitText("This was not confirmed in this browser")
	p.WaitUntil(`document.querySelector("[name=email]").value === "nobody@example.com"`)
	p.Inspect("passwordless-canceled")
}
