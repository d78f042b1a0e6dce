package server_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// What people do around the code: other ways to get it, back to the app, and keeping what they are given.
func TestWaysOfPagesInBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	t.Run("call instead", func(t *testing.T) { testCallInstead(t, b) })
	t.Run("wrong address", func(t *testing.T) { testWrongAddress(t, b) })
	t.Run("failed message", func(t *testing.T) { testFailedMessage(t, b) })
	t.Run("sheet of codes", func(t *testing.T) { testSheetOfCodes(t, b) })
	t.Run("key of the app", func(t *testing.T) { testFoldedKey(t, b) })
	t.Run("icon", func(t *testing.T) { testIcon(t, b) })
}

func testCallInstead(t *testing.T, b *browser) {
	s := newSendingSite(t)
	c := s.startLink(byChannel("sms", annsPhone))
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	call := `[value="voice"] + button`
	p.waitVisible(call)
	if got := evaluate[string](p, `document.querySelector('`+call+`').disabled + document.querySelector('`+call+`').innerText`); got != "trueCall me instead" {
		t.Errorf("while the pause lasts the button is disabled: %s", got)
	}
	s.clock.advance(20 * time.Second)
	p.open(s.public + c.page)
	p.waitUntil(`!document.querySelector('` + call + `').disabled`)
	p.click(call)
	p.waitHeading("Answer the call")
	p.typeText("#answer", c.code)
	p.waitVisible(welcome)
}

func testWrongAddress(t *testing.T, b *browser) {
	s := newSendingSite(t)
	c := s.startLink(byChannel("email", "ada@example.com"))
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	p.waitVisible(".help [data-do=cancel] button")
	p.click(".help [data-do=cancel] button")
	p.waitVisible(welcome)
	if got := evaluate[string](p, "location.search"); !strings.HasSuffix(got, "&error=canceled") || s.status(c.ID).Status != watchword.Canceled {
		t.Errorf("the app got %s, and the challenge is %s", got, s.status(c.ID).Status)
	}
}

// A page that waits says that the message failed, and can send again at once.
func testFailedMessage(t *testing.T, b *browser) {
	s := newSendingSite(t)
	c := s.startLink(byChannel("sms", annsPhone))
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	p.waitUntil(`document.querySelector("[data-waiting]").disabled`)
	must(t, s.engine.RecordDelivery(t.Context(), s.outbox.messages[0], watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "sms"}))
	p.waitUntil(`document.querySelector("#note").innerText.includes("deliver")`)
	if evaluate[bool](p, `document.querySelector("[data-waiting]").disabled`) {
		t.Error("the person has to wait though nothing was sent")
	}
	if evaluate[bool](p, `document.querySelector(".sent").checkVisibility()`) {
		t.Error("the page still says that the message was sent")
	}
	p.click("[data-waiting]")
	p.waitUntil(`document.querySelector("#note").innerText === "" && document.querySelector(".help").innerText.includes("Sent again")`)
}

// A printed sheet and a file of codes say whose they are, where they work and when they were made.
func testSheetOfCodes(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("recovery", watchword.PurposeEnrol, func(q *watchword.StartRequest) { q.Metadata = map[string]string{"account": "ada@example.com"} })
	codes := c.Public["codes"].([]string)
	p := b.newDevice(t)
	p.open(s.pageURL(c))
	host := evaluate[string](p, "location.host")
	p.waitUntil(`document.querySelector(".sheet time")?.textContent.length > 8`)
	if evaluate[bool](p, `document.querySelector(".sheet").checkVisibility()`) {
		t.Error("the lines of the printed sheet are on the screen")
	}
	day := evaluate[string](p, `new Date(document.querySelector(".sheet time").dateTime).toLocaleDateString("en", {dateStyle: "long"})`)
	about := "Recovery codes for Example Shop\nAccount: ada@example.com\n" + host + ", " + day
	evaluate[bool](p, `(window.saved = "", URL.createObjectURL = (blob) => (blob.text().then((text) => saved = text), "data:,"), HTMLAnchorElement.prototype.click = () => {}, true)`)
	p.click("[data-download]")
	p.waitUntil(`saved !== ""`)
	if got := evaluate[string](p, "saved"); got != about+"\n\n"+strings.Join(codes, "\n")+"\n" {
		t.Errorf("the file has %q", got)
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	must(t, err)
	printed := evaluate[string](p, `document.querySelector("main").innerText`)
	for _, want := range append(codes, "Account: ada@example.com", host+", "+day) {
		if !strings.Contains(printed, want) {
			t.Errorf("the sheet lacks %q: %s", want, printed)
		}
	}
	if strings.Contains(printed, "I saved these codes") || strings.Contains(printed, "Download") {
		t.Errorf("the sheet has what belongs to the screen: %s", printed)
	}
}

// A phone shows the key of an authenticator app, and a computer the picture.
func testFoldedKey(t *testing.T, b *browser) {
	s := newEnrolmentSite(t, server.Pages{})
	for _, width := range []int64{390, 1280} {
		p := b.newDevice(t)
		p.do(chromedp.EmulateViewport(width, 800))
		p.open(s.pageURL(s.startForSubject("totp", watchword.PurposeEnrol)))
		isDesktop := width > 640
		p.waitUntil(`document.querySelector("#secret")`)
		if picture, key := evaluate[bool](p, `document.querySelector(".qr").checkVisibility()`), evaluate[bool](p, `document.querySelector("#secret").checkVisibility()`); picture != isDesktop || key == isDesktop {
			t.Errorf("%d pixels wide: picture %t, key %t", width, picture, key)
		}
		p.click(`[data-wide]:not([open]) summary`)
		p.waitUntil(`document.querySelector(".qr").checkVisibility() && document.querySelector("#secret").checkVisibility()`)
	}
}

// The logo is the icon of the tab unless it is too wide to be read there.
func testIcon(t *testing.T, b *browser) {
	for size, want := range map[string]bool{`width="32" height="32"`: true, `width="320" height="32"`: false} {
		logo := `<svg xmlns="http://www.w3.org/2000/svg" ` + size + `><path d="M0 0h32v32z"/></svg>`
		s := newSite(t, siteOptions{pages: server.Pages{Logo: []byte(logo)}})
		p := b.newDevice(t)
		p.open(s.pageURL(s.startLink()))
		p.waitVisible(".number")
		icon := "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(logo))
		is := evaluate[bool](p, `document.querySelector(".app img").decode().then(() => document.querySelector("[rel=icon]").href === "`+icon+`")`)
		if is != want {
			t.Errorf("%s: the logo is the icon: %t", size, is)
		}
	}
}
