package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/browsertest"
)

// A browser is a real browser with a virtual authenticator that approves every request.
type browser struct {
	t    *testing.T
	ctx  context.Context
	site string
	id   virtual.AuthenticatorID
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	chromium := browsertest.Program(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, site: newSite(t)}
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(cancel)
	if err := chromedp.Do(b.ctx, chromedp.Navigate(b.site)); err != nil { // by a context that lasts: the browser lives as long
		t.Fatal(err)
	}
	call(b, virtual.Enable, virtual.EnableParams{})
	b.id = call(b, virtual.AddVirtualAuthenticator, virtual.AddVirtualAuthenticatorParams{Options: &virtual.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		AutomaticPresenceSimulation: true}}).AuthenticatorID
	return b
}

// call sends the browser a command of its debugging protocol.
func call[P, R any](b *browser, c cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Run(b.ctx, func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) })
	if err != nil {
		b.t.Fatalf("%s: %v", c.Method, err)
	}
	return r
}

func (b *browser) open(url string)  { b.t.Helper(); b.do(chromedp.Navigate(url)) }
func (b *browser) click(css string) { b.t.Helper(); b.do(chromedp.Click(chromedp.CSS(css))) }
func (b *browser) typeText(css, keys string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(css), keys))
}

func (b *browser) do(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 90*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		b.t.Fatalf("%v on the page\n%s", err, b.text())
	}
}

// clickAndLeave clicks something that loads another page, and marks this page, so that text ignores it.
func (b *browser) clickAndLeave(css string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("window.left = true")); err != nil {
		b.t.Fatal(err)
	}
	b.click(css)
}

// text returns the text of the page after its script has run.
func (b *browser) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.readyState === "complete" && !window.left ? document.body.innerText : ""`))
	return text
}

// waitForText waits until the page contains a text.
func (b *browser) waitForText(want string) {
	b.t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(b.text(), want) {
			return
		}
	}
	b.t.Fatalf("the page does not say %q:\n%s", want, b.text())
}

// inspect requires that the page is accessible and fits a phone.
func (b *browser) inspect(name string) {
	b.t.Helper()
	browsertest.Inspect(b.ctx, b.t, "passkeys-"+name)
}

// openElsewhere opens an address in a profile of its own, which has no cookies.
func (b *browser) openElsewhere(url, want string) {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	defer cancel()
	other := &browser{t: b.t, ctx: ctx, site: b.site}
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatal(err)
	}
	other.waitForText(want)
	other.inspect("elsewhere")
}

// post returns the reply to a request of the page's script.
func (b *browser) post(path string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(`fetch(%q, {method: "POST"}).then((r) => r.text())`, path), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// keys returns the number of keys in the authenticator.
func (b *browser) keys() int {
	b.t.Helper()
	return len(call(b, virtual.GetCredentials, virtual.GetCredentialsParams{AuthenticatorID: b.id}).Credentials)
}

const signOut = `form[action="/sign-out"] button`

// Sign in by link, add a passkey, sign in by suggestion and by button, remove the passkey, and sign in by link again.
func TestSignInWithPasskeyInBrowser(t *testing.T) {
	b := newBrowser(t)
	b.inspect("sign-in")
	b.typeText("input[type=email]", ann)
	b.clickAndLeave("form button")
	b.waitForText("We sent a link to a•••@example.com")
	b.inspect("sent")
	link, _ := waitForMail(t, b.site, 1)
	b.openElsewhere(link, "Please open the link in the browser in which you asked for it")
	b.open(link)
	b.waitForText("Sign in")
	b.inspect("link")
	b.clickAndLeave("form button")
	b.waitForText("You are signed in as " + ann)
	b.waitForText("None yet")
	b.inspect("welcome")

	b.clickAndLeave("#add")
	b.waitForText("Remove")
	if n := b.keys(); n != 1 {
		t.Errorf("the authenticator has %d keys", n)
	}
	b.click("#add")
	b.waitForText("This device has a passkey already") // proven, but the authenticator is asked not to make a second one
	b.inspect("passkey")
	b.clickAndLeave(signOut)
	b.waitForText("You are signed in as " + ann) // chosen from the suggestions, at once

	// In browsers without suggestions there is a button.
	call(b, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: "PublicKeyCredential.isConditionalMediationAvailable = undefined"})
	b.clickAndLeave(signOut)
	b.waitForText("Sign in with a passkey")
	b.inspect("sign-in-with-passkey")
	b.clickAndLeave("#passkey")
	b.waitForText("You are signed in as " + ann)

	// A session without a proof by a key changes nothing: the app asks for the key first.
	id, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector("[data-remove]").dataset.remove`))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/passkeys/remove?factor=" + id, "/passkeys/add"} {
		if asked := b.post(path); !strings.Contains(asked, `"authenticate":{`) {
			t.Errorf("%s without a proof: %s", path, asked)
		}
	}

	b.clickAndLeave("[data-remove]")
	b.waitForText("None yet")
	if n := b.keys(); n != 0 {
		t.Errorf("the authenticator still has %d keys", n)
	}
	b.clickAndLeave(signOut)
	b.waitForText("Sign in with a link")
	b.typeText("input[type=email]", ann)
	b.clickAndLeave("form button")
	b.waitForText("We sent a link")
	_, code := waitForMail(t, b.site, 2)
	b.typeText("input[name=answer]", code)
	b.clickAndLeave("form button")
	b.waitForText("You are signed in as " + ann)
}
