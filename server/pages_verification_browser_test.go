package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
)

func (s *site) verificationURL(v startedVerification) string {
	return s.public + v.page + "#" + v.Ticket.Reveal()
}

const (
	otherWay = `[data-load="?choose"] button`
	goBack   = `[data-load=""] button`
)

// clickText clicks the button with a text.
func (p *tab) clickText(text string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.Search(`//button[contains(., "` + text + `")]`)))
}

func TestVerificationPageInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	t.Run("another way, and back", func(t *testing.T) { testOtherWays(t, b) })
	t.Run("by keyboard", func(t *testing.T) { testChoiceByKeyboard(t, b) })
	t.Run("the fallback", func(t *testing.T) { testFallbackOnPage(t, b) })
	t.Run("a wrong number", func(t *testing.T) { testWrongNumberEndsMethod(t, b) })
	t.Run("a trusted device", func(t *testing.T) { testTrustBox(t, b) })
	t.Run("a link in the same browser", func(t *testing.T) { testLinkOfVerificationInSameBrowser(t, b) })
}

// A person looks at every method, goes back from each choice, and confirms with the link that a phone opens. The app gets one
// receipt, and the challenges of the other methods are canceled.
func testOtherWays(t *testing.T, b *browser) {
	s, _ := newVerificationSite(t)
	laptop, phone := b.newDevice(t), b.newDevice(t)
	laptop.addAuthenticator()
	laptop.clickKeyButton(s, watchword.PurposeEnrol)
	laptop.waitVisible(welcome)
	v := s.startVerification(func(r *watchword.VerificationRequest) {
		r.Open, r.Methods = watchword.OpenAuto, slices.Insert(r.Methods, 0, watchword.MethodRequest{Strategy: "webauthn"})
	})
	laptop.open(s.verificationURL(v))
	for _, step := range []struct{ shown, choose, next string }{
		{keyButton, "Use your authenticator app", "#answer"},
		{"#answer", "Text a code to", "#answer[data-sms]"},
		{"#answer[data-sms]", "Email a link to", ".number"},
	} {
		laptop.waitVisible(step.shown)
		laptop.click(otherWay)
		laptop.waitHeading("Choose how to confirm it’s you")
		if n := evaluate[int](laptop, `document.querySelectorAll(".ways button").length`); n != 4 {
			t.Errorf("%d methods", n)
		}
		laptop.click(goBack)
		laptop.waitVisible(step.shown)
		laptop.click(otherWay)
		laptop.waitVisible(".ways")
		laptop.clickText(step.choose)
		laptop.waitVisible(step.next)
	}
	number := laptop.innerText(".number")
	laptop.do(chromedp.Reload())
	laptop.waitVisible(".number")
	link := s.sentMessage(v, v.methodID("magiclink", ""))
	phone.open(link.Link.Reveal())
	phone.waitVisible("#number")
	phone.typeText("#number", number+"\r")
	phone.waitHeading("Confirmed")
	laptop.waitVisible(welcome)
	if got := s.app.redeemErrors(); len(got) != 2 || got[1] != nil { // the first one is the enrolment
		t.Fatalf("redeemed: %v", got)
	}
	if err := s.app.redeem(t.Context(), ""); err == nil {
		t.Error("redeemed twice")
	}
	for _, m := range v.Methods {
		s.waitMethodStatus(v, m.ID, map[bool]watchword.Status{true: watchword.Approved, false: watchword.Canceled}[m.Strategy == "magiclink"])
	}
	if recorded := s.traffic.requests() + s.log.String(); strings.Contains(recorded, v.Ticket.Reveal()) || strings.Contains(recorded, v.Handle.Reveal()) || strings.Contains(recorded, "referer=http") {
		t.Error("a secret is in an address or the log, or a Referer was sent")
	}
}

// waitMethodStatus waits for the status of a method's challenge. The engine cancels the others after the answer.
func (s *site) waitMethodStatus(v startedVerification, method string, want watchword.Status) {
	s.t.Helper()
	id := s.methodView(v, method).Challenge
	for end := time.Now().Add(stepTimeout); ; time.Sleep(20 * time.Millisecond) {
		got, err := s.engine.Status(s.t.Context(), id)
		must(s.t, err)
		if got.Status == want {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("method %s: %s, want %s", method, got.Status, want)
		}
	}
}

// The heading of each part has the focus, the methods are a list, and keys alone reach everything.
func testChoiceByKeyboard(t *testing.T, b *browser) {
	s, secret := newVerificationSite(t)
	v := s.startVerification()
	p := b.newDevice(t)
	p.open(s.verificationURL(v))
	p.waitVisible(".ways")
	if !evaluate[bool](p, `document.activeElement.tagName === "H1" && document.querySelectorAll("ul.ways > li > form > button").length === 3`) {
		t.Error("the heading has no focus, or the methods are no list")
	}
	press := func(keys string) { p.do(chromedp.KeyEvent(keys)) }
	press("\t\r")
	p.waitUntil(`document.activeElement.id === "answer"`)
	press("\t\t\r") // the button of the answer, then the other way
	p.waitVisible(".ways")
	p.waitUntil(`document.activeElement.tagName === "H1"`)
	press("\t\t\t\t\r") // behind the three methods
	p.waitUntil(`document.activeElement.id === "answer"`)
	press(s.appCode(secret) + "\r")
	p.waitVisible(welcome)
	if got := s.app.redeemErrors(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
}

// The page says what happened when a text message has failed and a mail was sent, and keeps what it does by itself in view.
func testFallbackOnPage(t *testing.T, b *browser) {
	s, _ := newVerificationSite(t)
	v := s.startVerification(func(r *watchword.VerificationRequest) {
		r.Open, r.Fallback = watchword.OpenFirst, 30*time.Second
		r.Methods = []watchword.MethodRequest{{Strategy: "otp", Channel: "sms", To: annsPhone}, {Strategy: "otp", Channel: "email", To: annsMailbox, Fallback: true}}
	})
	sms, mail := v.methodID("otp", "sms"), v.methodID("otp", "email")
	p := b.newDevice(t)
	p.open(s.verificationURL(v))
	p.waitVisible("#answer[data-sms]")
	out, _ := s.outbox.last(s.methodView(v, sms).Challenge)
	must(t, s.engine.RecordDelivery(t.Context(), out, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "sms"}))
	question := s.outbox.all()
	if _, err := s.engine.ComposeMessage(t.Context(), question[len(question)-1]); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("the question of the fallback: %v", err)
	}
	p.waitVisible(".notice")
	if got := p.innerText(".notice"); got != "The text message hasn’t arrived. We sent an email instead." {
		t.Errorf("the page says %q", got)
	}
	p.typeText("#answer", s.sentMessage(v, mail).Code.Reveal()+"\r")
	p.waitVisible(welcome)
	if got := s.app.redeemErrors(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
}

// all returns all messages and questions.
func (o *outbox) all() []watchword.Outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.messages)
}

// A wrong number on the phone ends the link, and the page of the laptop offers the other methods.
func testWrongNumberEndsMethod(t *testing.T, b *browser) {
	s, secret := newVerificationSite(t)
	v := s.startVerification()
	mail := v.methodID("magiclink", "")
	laptop, phone := b.newDevice(t), b.newDevice(t)
	laptop.open(s.verificationURL(v))
	laptop.waitVisible(".ways")
	laptop.clickText("Email a link to")
	laptop.waitVisible(".number")
	phone.open(s.sentMessage(v, mail).Link.Reveal())
	phone.waitVisible("#number")
	phone.typeText("#number", wrongCode(laptop.innerText(".number"))+"\r")
	phone.waitHeading("That number doesn’t match")
	laptop.waitVisible(".ways")
	if got := laptop.innerText("main"); !strings.Contains(got, "Too many attempts. Choose another method.") || !strings.Contains(got, "no longer available") {
		t.Errorf("the page says %s", got)
	}
	laptop.clickText("Use your authenticator app")
	laptop.waitVisible("#answer")
	laptop.typeText("#answer", s.appCode(secret)+"\r")
	laptop.waitVisible(welcome)
}

// Choices are saved one after the other without touching what is typed, also one from before its script is there. They stay when another
// method is chosen, and are saved before an answer is sent.
func testTrustBox(t *testing.T, b *browser) {
	s, secret := newVerificationSite(t, trustDevices)
	v := s.startVerification()
	p := b.newDevice(t)
	const box = "[data-save=remember]"
	saves := "POST " + v.page + "/remember "
	release := s.gate.hold("/pages/tools.")
	t.Cleanup(release)
	p.open(s.verificationURL(v))
	p.waitVisible(".ways")
	p.clickText("Text a code to")
	p.waitVisible("#answer")
	p.typeText("#answer", "12")
	p.click(box)
	release()
	s.waitRequests(saves, 1)

	release = s.gate.hold("/remember")
	t.Cleanup(release)
	p.click(box)
	s.waitRequests(saves, 2)
	p.click(box)
	p.click(box)
	evaluate[int](p, `fetch(location.pathname + "/state").then((r) => r.status)`) // it arrives after what was sent before
	s.waitRequests(saves, 2)
	release()
	s.waitRequests(saves, 4)
	p.waitUntil(`document.querySelector("#answer").value === "12" && !document.querySelector("` + box + `").checked`)

	p.click(otherWay)
	p.waitVisible(".ways")
	p.clickText("Use your authenticator app")
	p.waitUntil(`document.querySelector("` + box + `")?.checked === false`)
	release = s.gate.hold("/remember")
	t.Cleanup(release)
	p.click(box)
	s.waitRequests(saves, 5)
	p.typeText("#answer", s.appCode(secret)+"\r")
	evaluate[int](p, `fetch(location.pathname + "/state").then((r) => r.status)`)
	s.waitRequests("POST "+v.page+"/answer ", 0)
	release()
	p.waitVisible(welcome)
	factors, err := s.engine.ListFactors(t.Context(), "user_42")
	must(t, err)
	if !slices.ContainsFunc(factors, func(f watchword.Factor) bool { return f.Strategy == "device" }) {
		t.Error("the device is not trusted")
	}
}

// waitRequests waits until the site was sent a number of requests that begin so.
func (s *site) waitRequests(prefix string, count int) {
	s.t.Helper()
	for end := time.Now().Add(stepTimeout); strings.Count(s.traffic.requests(), prefix) != count; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not %d requests %s", count, prefix)
		}
	}
}

// In the browser that opened the page the link needs no number. Its tab goes on to the app, and the other one does not.
func testLinkOfVerificationInSameBrowser(t *testing.T, b *browser) {
	s, _ := newVerificationSite(t)
	v := s.startVerification()
	first := b.newDevice(t)
	first.open(s.verificationURL(v))
	first.waitVisible(".ways")
	first.clickText("Email a link to")
	first.waitVisible(".number")
	second := b.newTab(t, first.ctx)
	second.open(s.sentMessage(v, v.methodID("magiclink", "")).Link.Reveal())
	second.waitHeading("Is this you signing in?")
	if second.contains("#number") {
		t.Error("the page asks for the number in the browser that shows it")
	}
	second.click("button")
	second.waitVisible(welcome)
	first.waitHeading("You’re signed in")
	if got := s.app.redeemErrors(); len(got) != 1 || got[0] != nil {
		t.Errorf("redeemed: %v", got)
	}
}
