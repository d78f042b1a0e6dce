package main

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/browsertest"
)

// Every page of the app in a real browser: sign in by password and code, set up an authenticator app, reset the password.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	site := newBrowser(t)
	p := browsertest.New(t)
	p.Open(site.url)
	p.Inspect("webapp-sign-in")
	p.Type("[name=email]", ann)
	p.Type("[name=password]", "wrong\r")
	p.WaitText("Wrong e-mail address or password")
	p.WaitUntil(`document.querySelector("[name=email]").value === "` + ann + `"`)
	p.Inspect("webapp-wrong-password")
	p.Type("[name=password]", "correct horse\r")
	p.WaitUntil(`document.querySelector("#answer")`)
	p.Type("#answer", site.code(ann, 1))
	p.WaitText("You are signed in as " + ann)
	p.Inspect("webapp-welcome")

	p.Click(`[action="/app"] button`)
	p.WaitUntil(`document.querySelector("#answer")`)
	p.Click(`[data-do=cancel] button`)
	p.WaitText("You have not confirmed that it is you")
	p.Inspect("webapp-canceled")
	p.Click(`[action="/sign-out"] button`)

	p.WaitText("I forgot my password")
	p.Click(`[href="/forgot"]`)
	p.WaitText("Back to sign-in")
	p.Inspect("webapp-forgot")
	p.Type("[name=email]", ann+"\r")
	p.WaitText("a code is on its way")
	p.Inspect("webapp-reset")
	code := site.code(ann, 2)
	p.Type("[name=code]", wrong(code))
	p.Type("[name=password]", "battery staple\r")
	p.WaitText("That was not the code")
	p.Inspect("webapp-wrong-code")
	p.Type("[name=code]", code)
	p.Type("[name=password]", "battery staple\r")
	p.WaitText("Your password was changed")
	p.Inspect("webapp-changed")
}
