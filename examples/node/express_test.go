package node_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The account that the example has from the start.
const (
	ann          = "ann@example.com"
	annsPassword = "correct horse"
)

const bea = "bea@example.com"

// TestExpress starts the example once for all of its tests.
func TestExpress(t *testing.T) {
	requireExamples(t)
	t.Parallel()
	s := newSite(t, "express")
	t.Run("in a browser", func(t *testing.T) { testExpressInBrowser(t, s) })
	for name, attack := range map[string]func(*testing.T, *site){
		"page that is passed on": testPageThatIsPassedOn, "verification of another": testVerificationOfAnother, "session before the sign-in": testSessionBeforeSignIn,
		"receipt of another":               testReceiptOfAnother,
		"verification for another purpose": testVerificationForAnotherPurpose, "form of another origin": testFormOfAnotherOrigin, "open redirect": testOpenRedirect, "unreadable form": testUnreadableForm,
		"unknown address": testUnknownAddress, "sessions after a reset": testSessionsAfterReset, "factor without proof": testFactorWithoutProof, "events": testEvents,
	} {
		t.Run(name, func(t *testing.T) { attack(t, s) })
	}
}

// Every way to sign in, everything that can be set up, and a password reset.
func testExpressInBrowser(t *testing.T, s *site) {
	b := newTab(t, s)
	b.inspect("sign-in")

	b.typeIn("input[type=email]", bea)
	b.click("Send me a code")
	b.typeIn("#answer", s.message(bea, 1).Code)
	b.waitText("You are signed in as " + bea)
	b.click("Sign out")

	b.waitText("Send me a link")
	b.typeIn("input[type=email]", bea)
	b.click("Send me a link")
	b.waitUntil(`document.querySelector(".number")`)
	b.open(s.message(bea, 2).Link)
	b.click("Yes, sign me in")
	b.waitText("You are signed in as " + bea)
	b.inspect("account")

	b.click("Add a passkey")
	b.clickKey("create")
	b.waitText("It is set up.")
	b.click("Sign out")
	b.click("Sign in with a passkey")
	b.clickKey("get")
	b.waitText("You are signed in as " + bea)
	secret, recovery := b.enrolAppAndCodes()
	b.inspect("account-with-factors")
	b.click("Sign out")
	b.signInWithAppAfterCode(secret)
	b.removePasskey()
	b.click("Sign out")
	b.resetPassword(recovery)
	b.signInWithPasswordAndMail()
}

// clickKey waits for the button of a passkey on watchword's page, and clicks it.
func (b *tab) clickKey(kind string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS("[data-key=" + kind + "] button")))
}

// enrolAppAndCodes sets up an authenticator app and recovery codes, each proven by the passkey, and returns the app's secret and a code.
func (b *tab) enrolAppAndCodes() (secret, recovery string) {
	b.t.Helper()
	b.click("Set up an authenticator app")
	b.clickKey("get")
	b.waitUntil(`document.querySelector("#secret")`)
	secret = evaluate[string](b, `document.querySelector("#secret").textContent.replace(/\s/g, "")`)
	b.typeIn("#answer", appCode(b.t, secret, 0))
	b.waitText("Authenticator app\nsince")
	b.click("Make recovery codes")
	b.clickKey("get")
	b.waitUntil(`document.querySelector("#codes")`)
	recovery = evaluate[string](b, `document.querySelector("#codes li:last-child").textContent`)
	b.do(chromedp.Click(chromedp.CSS("input[type=checkbox]")))
	b.click("Continue")
	b.waitText("Recovery codes\nsince")
	return secret, recovery
}

// signInWithAppAfterCode signs in by a code of a mail and then by the app, since the mailbox alone is not enough any more.
func (b *tab) signInWithAppAfterCode(secret string) {
	b.t.Helper()
	b.waitText("Send me a code")
	b.typeIn("input[type=email]", bea)
	b.click("Send me a code")
	b.typeIn("#answer", b.site.message(bea, 3).Code)
	b.waitUntil(`document.querySelector("[data-key=get]")`)
	b.click("Use another method")
	b.click("authenticator app")
	b.typeIn("#answer", appCode(b.t, secret, 1)) // the code of this half minute was used when the app was set up
	b.waitText("You are signed in as " + bea)
}

func (b *tab) removePasskey() {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS("li:first-child button")))
	b.clickKey("get")
	b.waitText("It was removed.")
	if n := evaluate[int](b, `document.querySelectorAll("li").length`); n != 2 {
		b.t.Errorf("%d factors are left", n)
	}
}

// resetPassword chooses a password by a link, and signs in with it and a recovery code.
func (b *tab) resetPassword(recovery string) {
	b.t.Helper()
	b.click("Sign in with a password")
	b.waitText("I forgot my password")
	b.inspect("password")
	b.click("I forgot my password")
	b.waitText("Choose a new password")
	b.inspect("forgot")
	b.typeIn("input[type=email]", bea)
	b.typeIn("input[type=password]", "battery staple\r")
	b.waitUntil(`document.querySelector(".number")`)
	b.open(b.site.message(bea, 4).Link)
	b.click("Yes, ")
	b.waitText("Your password was changed")
	b.inspect("changed")
	b.typeIn("input[type=email]", bea)
	b.typeIn("input[type=password]", "guessed\r")
	b.waitText("The e-mail address or the password is wrong.")
	b.inspect("wrong")
	b.typeIn("input[type=password]", "battery staple\r")
	b.click("Use another method")
	b.click("recovery code")
	b.waitText("recovery code")
	b.typeIn("#answer", recovery+"\r")
	b.waitText("You are signed in as " + bea)
	b.click("Sign out")
}

// signInWithPasswordAndMail trusts the device at the second step, so that the next sign-in has none. Removing it asks for a proof.
func (b *tab) signInWithPasswordAndMail() {
	b.t.Helper()
	for _, trusted := range []bool{false, true} {
		b.click("Sign in with a password")
		b.typeIn("input[type=email]", ann)
		b.typeIn("input[type=password]", annsPassword+"\r")
		if !trusted {
			b.do(chromedp.Click(chromedp.CSS("[data-save=remember]")))
			b.typeIn("#answer", b.site.message(ann, 1).Code)
		}
		b.waitText("You are signed in as " + ann)
		b.waitText("Trusted device: Chrome on Linux")
		if !trusted {
			b.click("Sign out")
		}
	}
	b.inspect("trusted-device")
	b.click("Remove")
	b.typeIn("#answer", b.site.message(ann, 2).Code)
	b.waitText("It was removed.")
	b.waitText("Nothing is set up yet.")
}

// appCode returns the code of an authenticator app (RFC 6238), some steps of half a minute ahead.
func appCode(t *testing.T, secret string, ahead int64) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	must(t, err)
	mac := hmac.New(sha1.New, key)
	must(t, binary.Write(mac, binary.BigEndian, time.Now().Unix()/30+ahead))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&(1<<31-1)%1_000_000)
}
