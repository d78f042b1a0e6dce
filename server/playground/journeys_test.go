package playground_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/browsertest"
)

func TestPlaygroundInBrowser(t *testing.T) {
	t.Parallel()
	origin := startDevelopment(t)
	browser := browsertest.Start(t)
	shown := &shownLines{}
	for path, want := range map[string]int{"/": http.StatusOK, "/nowhere": http.StatusNotFound} {
		if status, contentType, body := fetch(t, origin+path, "text/html"); status != want || contentType != "text/html; charset=utf-8" || strings.Contains(body, "playground") != (path == "/") {
			t.Errorf("%s: %d %s %s", path, status, contentType, body)
		}
	}
	t.Run("journeys", func(t *testing.T) { testJourneys(t, origin, browser, shown) })
	t.Run("the lines of all languages send the same requests", func(t *testing.T) { shown.requireSameRequests(t, origin) })
}

func testJourneys(t *testing.T, origin string, browser context.Context, shown *shownLines) {
	for i, journey := range []struct {
		name string
		run  func(*tab)
	}{
		{"a code by mail", testMailCode},
		{"a code by SMS, typed wrong first", testSMSCode},
		{"a link", testLink},
		{"the code of a link's message", testCodeOfLink},
		{"an authenticator app", testAuthenticatorApp},
		{"a passkey", testPasskey},
		{"recovery codes", testRecoveryCodes},
		{"several methods", testMethods},
		{"the hosted page", testHostedPage},
		{"a payment", testPayment},
		{"what it shows of requests can be pasted", testPastedCommand},
		{"an address that is refused", testRefusedAddress},
		{"at another origin", testOtherOrigin},
		{"accessible in light and dark", testAccessibility},
	} {
		t.Run(journey.name, func(t *testing.T) {
			t.Parallel()
			p := newTab(t, browser, chromedp.WithNewBrowserContext())
			p.shown = shown
			p.addAuthenticator()
			p.do(chromedp.EmulateViewport(1280, 720), chromedp.Navigate(origin), chromedp.WaitVisible(chromedp.CSS("[data-try]")))
			// Each journey has addresses of its own, because limits are as in production.
			p.evaluate(fmt.Sprintf(`(email.value = "ada%d@example.com", phone.value = "+1415555%04d")`, i, i))
			journey.run(p)
			p.keepLines()
		})
	}
}

const (
	started  = "POST /v1/challenges 201"
	checked  = "POST /v1/challenges/.../check 200"
	messages = "GET /inbox/messages 200"
	keySet   = "GET /.well-known/jwks.json 200"
	factors  = "GET /v1/factors 200"
)

func testMailCode(p *tab) {
	p.press("Code by email")
	p.waitUntil(`document.activeElement.id === "code"`)
	p.press("Use code")
	p.waitHeading("The code was right")
	p.requireEqual(`[...document.querySelectorAll("#requests [open] .mono")].map(s => s.innerText.split("/").at(-1)).join()`, "check")
	p.requireClaims(map[string]string{"purpose": "sign_in", "channel": "email", "strategy": "otp", "aud": "dev", "iss": p.evaluate("location.origin")})
	p.requireRequests(started, messages, checked, keySet)

	// A receipt that was changed, or that another key has signed, is not verified.
	p.requireEqual(`await (async () => {
		const { verifyReceipt } = await import("/playground/codes.js");
		const receipt = document.querySelector("#receipt details pre").textContent, [head, payload, signature] = receipt.split(".");
		const keys = await (await fetch("/.well-known/jwks.json")).json();
		const changed = btoa(atob(payload.replaceAll("-", "+").replaceAll("_", "/")).replace("sign_in", "payment")).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
		const other = await crypto.subtle.exportKey("jwk", (await crypto.subtle.generateKey("Ed25519", true, ["sign"])).publicKey);
		const verified = async (text, set) => (await verifyReceipt(text, set)).verified;
		return [await verified(receipt, keys), await verified([head, changed, signature].join("."), keys),
			await verified(receipt, { keys: keys.keys.map(key => ({ ...key, x: other.x })) }), await verified(receipt, { keys: [] })];
	})()`, "true,false,false,false")

	// The receipt works once.
	p.press("Redeem it")
	p.waitUntil(`document.querySelector("#receipt .good[role=status]")`)
	p.keepLines()
	p.press("Redeem it")
	p.waitUntil(`document.querySelector("#receipt .error")?.innerText.includes("receipt_used")`)

	// The events of the server came too.
	for _, event := range []string{"challenge.started", "message.sent", "challenge.approved"} {
		p.waitUntil(`[...document.querySelectorAll("#events summary span:first-child")].some(s => s.innerText === "` + event + `")`)
	}
}

func testSMSCode(p *tab) {
	p.press("Code by SMS")
	p.waitUntil(`document.querySelector(".message pre")`)
	code := strings.TrimPrefix(p.evaluate(`[...document.querySelectorAll("button")].find(b => b.innerText.startsWith("Use code")).innerText`), "Use code ")
	wrong := map[bool]string{true: "000001", false: "000000"}[code == "000000"]
	p.do(chromedp.SendKeys(chromedp.CSS("#code"), wrong+"\r"))
	p.waitUntil(`document.querySelector(".error")?.innerText.includes("4 tries left")`)
	p.requireEqual(`document.querySelector("#code").value`, wrong)
	p.do(chromedp.SendKeys(chromedp.CSS("#code"), code+"\r")) // the wrong one was selected
	p.waitHeading("The code was right")
	p.requireClaims(map[string]string{"channel": "sms"})
	p.requireRequests(started, messages, "POST /v1/challenges/.../check 422", checked, keySet)
}

func testLink(p *tab) {
	p.press("Link by email")
	p.waitUntil(`document.querySelector(".message a.button")`)
	number, href := p.evaluate(`document.querySelector(".number").innerText`), p.evaluate(`document.querySelector(".message a.button").href`)
	other := newTab(p.t, p.ctx)
	other.do(chromedp.Navigate(href), chromedp.WaitVisible(chromedp.CSS("#number")), chromedp.SendKeys(chromedp.CSS("#number"), number+"\r"))
	p.waitHeading("The link was confirmed")
	p.requireClaims(map[string]string{"strategy": "magiclink", "purpose": "sign_in"})
	p.requireRequests(started, messages, "GET /v1/challenges/... 200", "POST /v1/challenges/.../redeem 200", keySet)
}

func testCodeOfLink(p *tab) {
	p.press("Link by email")
	p.press("Or use code")
	p.waitHeading("The code was right")
	p.requireClaims(map[string]string{"strategy": "magiclink"})
}

// enrolApp adds an authenticator app and returns when it has been used. The built-in app has a code at once, though each works once.
func (p *tab) enrolApp() {
	p.t.Helper()
	p.press("Authenticator app")
	p.waitHeading("Add an authenticator app")
	p.waitUntil(`document.querySelector(".qr").naturalWidth > 100`)
	p.press("Use code")
	p.waitHeading("Enter the app’s code")
	p.press("Use code")
	p.waitHeading("The app’s code was right")
}

func testAuthenticatorApp(p *tab) {
	p.enrolApp()
	p.requireClaims(map[string]string{"strategy": "totp", "purpose": "mfa", "sub": p.evaluate(`document.querySelector("#subject").textContent`)})
	p.requireRequests(factors, started, checked, started, checked, keySet)

	// Somebody who has a factor adds another with the key that needs no proof.
	p.press("Recovery codes")
	p.waitHeading("Save these codes")
	if text := p.evaluate(`step.innerText`); !strings.Contains(text, "the administrator’s key dev-admin") {
		p.t.Errorf("the step says %q", text)
	}
	p.press("I saved them")
	p.waitHeading("Enter a recovery code")
	p.keepLines()

	// The app is used again after a reload, and the language of requests stays as it was chosen.
	p.do(chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("[data-try]")))
	p.waitUntil(`document.querySelector("[name=language]:checked").value === "go" && !setup.hidden`)
	p.press("Authenticator app")
	p.waitHeading("Enter the app’s code")

	// Somebody else has no app.
	p.do(chromedp.Click(chromedp.CSS(".who summary")))
	p.press("Be somebody else")
	p.press("Authenticator app")
	p.waitHeading("Add an authenticator app")
}

func testPasskey(p *tab) {
	p.press("Passkey")
	p.waitHeading("Use your passkey")
	p.press("Use passkey")
	p.waitHeading("The passkey was accepted")
	p.requireClaims(map[string]string{"strategy": "webauthn", "acr": "phr", "purpose": "sign_in"})
	p.requireRequests(factors, started, checked, started, checked, keySet)

	// Whose device has the passkey no more begins as somebody else.
	p.clearAuthenticator()
	p.press("Passkey")
	p.press("Use passkey")
	p.press("Create one as somebody else")
	p.waitHeading("Use your passkey")
	p.press("Use passkey")
	p.waitHeading("The passkey was accepted")
}

func testRecoveryCodes(p *tab) {
	p.press("Recovery codes")
	p.waitHeading("Save these codes")
	p.requireEqual(`document.querySelectorAll(".codes code").length`, "10")
	p.press("I saved them")
	p.press("Use code")
	p.waitHeading("The recovery code was right")
	p.requireClaims(map[string]string{"strategy": "recovery"})
}

func testMethods(p *tab) {
	p.enrolApp()
	p.press("Several methods")
	p.waitHeading("Choose how to answer")
	p.requireEqual(`[...document.querySelectorAll("#step .row button")].map(b => b.innerText.split(" ")[0]).join()`, "Authenticator,Code,Code,Open")
	p.press("Code to +1")
	p.press("Use code")
	p.waitHeading("One answer was enough")
	p.requireClaims(map[string]string{"channel": "sms", "purpose": "mfa"})
	if id, _ := p.claims()["verification"].(string); !strings.HasPrefix(id, "vf_") {
		p.t.Errorf("the receipt names the verification %q", id)
	}
}

func testHostedPage(p *tab) {
	p.press("Several methods")
	p.press("Open the hosted page")
	p.waitUntil(`document.querySelector(".ways button bdi")`)
	p.press("Email") // to the address of the tab
	p.waitUntil(`document.querySelector("#answer")`)
	code := p.evaluate(`(await (await fetch("/inbox/messages?to=` + "ada8@example.com" + `")).json())[0].code`)
	p.do(chromedp.SendKeys(chromedp.CSS("#answer"), code))
	p.waitHeading("The hosted page came back")
	p.requireClaims(map[string]string{"purpose": "mfa", "channel": "email"})
	p.requireEqual("location.search", "")
	p.requireRequests("POST /v1/verifications/.../redeem 200", keySet)

	p.press("Several methods")
	p.press("Open the hosted page")
	p.waitUntil(`document.querySelector(".ways button bdi")`)
	p.press("Cancel")
	p.waitHeading("The hosted page came back")
	if text := p.evaluate("step.innerText"); !strings.Contains(text, "canceled") {
		p.t.Errorf("the step says %q", text)
	}
}

func testPayment(p *tab) {
	p.press("Payment")
	p.waitUntil(`document.querySelector(".message pre")?.innerText.includes("ACME GmbH")`)
	p.press("Use code")
	p.waitHeading("The payment is approved")
	transaction, _ := p.claims()["transaction"].(map[string]any)
	if transaction["amount"] != "40.00" || transaction["payee"] != "ACME GmbH" {
		p.t.Errorf("the receipt is about %v", transaction)
	}
}

// The command that the page shows does the same in a shell, quotes included.
func testPastedCommand(p *tab) {
	p.evaluate(`email.value = "o'neill@example.com"`)
	p.press("Code by email")
	p.waitUntil(`document.querySelector(".message pre")`)
	command := p.evaluate(`[...document.querySelectorAll("#requests .line pre")].at(-1).textContent`)
	out, err := exec.CommandContext(p.t.Context(), "sh", "-c", command).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"status":"pending"`) {
		p.t.Errorf("%s\n%v %s", command, err, out)
	}
}

func testRefusedAddress(p *tab) {
	p.evaluate(`email.value = "nobody"`)
	p.press("Code by email")
	p.waitHeading("That did not work")
	p.waitUntil(`document.querySelector("#step .error a").href.endsWith("/problems/invalid_request")`)
	p.evaluate(`email.value = "nobody@example.com"`)
	p.press("Start again")
	p.waitHeading("Enter the code")
}

// At 127.0.0.1 there are no passkeys; the page leads to the origin that has them.
func testOtherOrigin(p *tab) {
	p.requireEqual(`elsewhere.checkVisibility()`, "false")
	origin := p.evaluate("location.origin")
	p.do(chromedp.Navigate(strings.Replace(origin, "localhost", "127.0.0.1", 1)), chromedp.WaitVisible(chromedp.CSS("#elsewhere")))
	p.requireEqual(`elsewhere.querySelector("a").href`, origin+"/")
}
