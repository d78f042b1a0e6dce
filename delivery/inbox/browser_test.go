package inbox_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/internal/browsertest"
)

// A tab is a browser tab with the page of an inbox.
type tab struct {
	t    *testing.T
	ctx  context.Context
	url  string
	send func(watchword.Message)
}

func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	testPage(t, browsertest.Start(t), map[string]func(*tab){
		"arriving messages disturb nothing":           testArrivingMessages,
		"arriving messages disturb nothing on phones": testArrivingMessagesOnPhone,
		"messages are found while one types":          testSearch,
		"the keyboard suffices":                       testKeyboard,
		"codes are copied":                            testCopy,
		"the address has what was searched":           testSearchedAddress,
		"accessible in light and dark":                testAccessibility,
	})
}

// In the full browser a mail has a process of its own.
func TestMailsInBrowser(t *testing.T) {
	t.Parallel()
	testPage(t, browsertest.StartFull(t), map[string]func(*tab){
		"a mail runs no script":                testMailRunsNoScript,
		"mails are shown in widths and colors": testMailFrame,
	})
}

// testPage tests the page in a profile and with an inbox for each test.
func testPage(t *testing.T, browser context.Context, tests map[string]func(*tab)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
			t.Cleanup(cancel)
			if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // creates the tab, which exists as long as ctx
				t.Fatal(err)
			}
			box := new(inbox.Inbox)
			server := httptest.NewServer(box.Handler())
			t.Cleanup(server.Close)
			sender := open(t, box)
			test(&tab{t, ctx, server.URL, func(m watchword.Message) { send(t, sender, m) }})
		})
	}
}

// patience bounds what a test waits for. It is long, because many tests share the processors.
const patience = time.Minute

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) evaluate(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => String("+expression+"))()", chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// waitUntil waits until an expression is true, also across navigations.
func (p *tab) waitUntil(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s did not become true (%v); the page is %s", expression, err, p.evaluate("document.body.innerText"))
		}
	}
}

func (p *tab) requireEqual(expression, want string) {
	p.t.Helper()
	if got := p.evaluate(expression); got != want {
		p.t.Errorf("%s is %q, want %q", expression, got, want)
	}
}

func (p *tab) setScheme(scheme string) {
	p.t.Helper()
	params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, params); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) sendMany(n int) {
	for i := range n {
		p.send(watchword.Message{ID: fmt.Sprint("msg_", i), Channel: "sms", To: fmt.Sprintf("+1415555%04d", i), Text: fmt.Sprint("dev: ", 100000+i, " is your sign-in code."),
			Code: watchword.NewCode(fmt.Sprint(100000 + i))})
	}
}

// A mail's script does not run, neither in its frame nor in a tab of its own.
func testMailRunsNoScript(p *tab) {
	const attack = `<script>new Image().src='/pwned'; top.location='/pwned'</script><img src="/pwned"><img src=x onerror="location='/pwned'">` +
		`<body onload="location='/pwned'"><form action=/pwned></form><script>document.forms[0].submit()</script><meta http-equiv=refresh content="0;url=/pwned"><p id=end>end</p>`
	var pwned atomic.Int32
	box := new(inbox.Inbox)
	pages := box.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pwned" {
			pwned.Add(1)
		}
		pages.ServeHTTP(w, r)
	}))
	defer server.Close()
	send(p.t, open(p.t, box), watchword.Message{Channel: "email", To: "ada@example.com", Title: attack, Text: attack, HTML: attack})
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(server.URL+"/inbox"), chromedp.WaitVisible(chromedp.CSS("iframe")))
	if end := p.evaluateInFrame(`document.querySelector("#end").innerText`); end != "end" {
		p.t.Errorf("the frame shows %q", end)
	}
	p.do(chromedp.Navigate(server.URL + "/inbox/mail/1"))
	if end := evaluateIn(p.t, p.ctx, 0, `document.querySelector("#end").innerText`); end != "end" {
		p.t.Errorf("the tab shows %q", end)
	}
	if n := pwned.Load(); n != 0 {
		p.t.Errorf("the mail made %d requests", n)
	}
}

// What was typed, focused, selected, opened and scrolled stays while messages arrive that match the search.
func testArrivingMessages(p *tab) {
	p.sendMany(60)
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS(".row")),
		chromedp.SendKeys(chromedp.CSS("#q"), "sign-in"))
	p.waitUntil(`location.search === "?q=sign-in"`)
	p.do(chromedp.Click(chromedp.CSS(`[data-number="50"] > a`)))
	p.waitUntil(`document.querySelector("article").dataset.number === "50"`)
	p.evaluate(`(() => { const list = document.querySelector(".list"); list.scrollTop = 700; q.focus(); q.setSelectionRange(2, 4); return document.querySelector(".row > a[aria-current]").scrollIntoView({ block: "center" }) })()`)
	const state = `JSON.stringify([q.value, document.activeElement.id, q.selectionStart, q.selectionEnd, document.querySelector("article").dataset.number,
		document.querySelector("[aria-current]").parentElement.dataset.number, Math.round(document.querySelector('[data-number="50"]').getBoundingClientRect().top)])`
	before := p.evaluate(state)
	p.send(watchword.Message{Channel: "email", To: "ada@example.com", Text: "does not match"})
	p.sendMany(2)
	p.waitUntil(`document.title.startsWith("(2) ")`)
	p.requireEqual(state, before)
	p.requireEqual(`rows.firstElementChild.dataset.number + " " + document.querySelectorAll(".unread").length`, "63 2")

	// A focused row keeps the focus.
	p.evaluate(`document.querySelector('[data-number="49"] > a').focus()`)
	p.sendMany(1)
	p.waitUntil(`document.title.startsWith("(3) ")`)
	p.requireEqual(`document.activeElement.parentElement.dataset.number`, "49")

	// A message that is opened is read. At the beginning of the list, the newest message is in view.
	p.evaluate(`document.querySelector(".list").scrollTop = 0`)
	p.do(chromedp.Click(chromedp.CSS(`[data-number="64"] > a`)))
	p.waitUntil(`document.title.startsWith("(2) ")`)
	p.sendMany(1)
	p.waitUntil(`document.title.startsWith("(3) ")`)
	p.requireEqual(`document.querySelector(".list").scrollTop`, "0")

	// What the inbox no longer keeps leaves the list.
	p.sendMany(200)
	p.waitUntil(`document.querySelector('[data-number="50"]') === null`)
	p.waitUntil(`document.querySelectorAll(".row").length === 200`)
}

func testArrivingMessagesOnPhone(p *tab) {
	p.sendMany(30)
	p.do(chromedp.EmulateViewport(390, 720), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS(".row")))
	p.evaluate(`scrollTo(0, 900)`)
	const top = `Math.round(document.querySelector('[data-number="20"]').getBoundingClientRect().top)`
	before := p.evaluate(top)
	p.sendMany(3)
	p.waitUntil(`document.title.startsWith("(3) ")`)
	p.requireEqual(top, before)
	p.do(chromedp.Click(chromedp.CSS(`[data-number="20"] > a`)), chromedp.WaitVisible(chromedp.CSS("article")))
	p.requireEqual(`[document.activeElement.id, document.querySelector(".list").checkVisibility(), location.search].join()`, "heading,false,?m=20")
	p.do(chromedp.Click(chromedp.CSS("[data-back]")), chromedp.WaitVisible(chromedp.CSS(".list")))
	p.requireEqual(`document.activeElement.parentElement.dataset.number`, "20")
	p.evaluate(`history.back()`)
	p.do(chromedp.WaitVisible(chromedp.CSS("article")))
}

func testSearch(p *tab) {
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS(".empty")))
	p.sendMany(5)
	p.send(watchword.Message{Channel: "email", To: "ada@example.com", Title: "Sign in to Northwind", Text: "x", HTML: "<p>x"})
	p.waitUntil(`document.querySelectorAll(".row").length === 6`)
	p.waitUntil(`document.querySelector("article") !== null`) // nothing was open
	// A row opens its message wherever it is clicked, except on the code, which is copied.
	p.requireEqual(`(() => {
		const row = document.querySelector(".row:has(.chip)"), at = (box, x) => document.elementFromPoint(box.left + box.width * x, box.top + box.height / 2);
		const line = row.querySelector(":scope > .line").getBoundingClientRect(), chip = row.querySelector(".chip");
		return [at(line, .9).closest(".row > a") === row.querySelector("a"), at(chip.getBoundingClientRect(), .5) === chip];
	})()`, "true,true")
	p.do(chromedp.SendKeys(chromedp.CSS("#q"), "northWIND ada"))
	p.waitUntil(`document.querySelectorAll(".row").length === 1`)
	p.evaluate(`(q.value = "", q.dispatchEvent(new InputEvent("input", { bubbles: true })))`)
	p.waitUntil(`document.querySelectorAll(".row").length === 6`)
	p.do(chromedp.Click(chromedp.CSS("[name=channel][value=sms]")))
	p.waitUntil(`document.querySelectorAll(".row").length === 5`)
	p.do(chromedp.Click(chromedp.CSS("[name=channel][value=voice]")))
	p.waitUntil(`document.querySelector(".empty")?.innerText.startsWith("No message matches")`)
	p.do(chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS(".empty")))
	p.requireEqual(`document.querySelector("[name=channel]:checked").value`, "voice")
	p.do(chromedp.Click(chromedp.CSS(".bar .second")))
	p.waitUntil(`document.querySelector(".empty")?.innerText.startsWith("No messages yet")`)
}

func testKeyboard(p *tab) {
	p.sendMany(5)
	p.send(watchword.Message{Channel: "email", To: "ada@example.com", Title: "Mail", Text: "the text", HTML: "<p>x"})
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS("iframe")))
	p.requireEqual(`document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true }))`, "false")
	p.requireEqual(`document.activeElement.id + q.value`, "q")
	for _, key := range []string{"\u0301", "\u0301", "\u0304"} { // down, down, up
		p.do(chromedp.KeyEvent(key))
	}
	p.requireEqual(`document.activeElement.parentElement.dataset.number`, "6")
	p.do(chromedp.KeyEvent("\u0301"), chromedp.KeyEvent("\r"))
	p.waitUntil(`document.querySelector("article").dataset.number === "5"`)
	p.do(chromedp.KeyEvent("\u0304"), chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("iframe")))
	p.evaluate(`document.querySelector("#tab-html").focus()`)
	p.do(chromedp.KeyEvent("\u0303"), chromedp.WaitVisible(chromedp.CSS("#view-text"))) // right
	p.requireEqual(`[document.activeElement.id, document.querySelector("#view-html").checkVisibility()].join()`, "tab-text,false")
}

func testCopy(p *tab) {
	const link = "https://verify.example.com/l/ch_1#lt_1"
	p.send(watchword.Message{Channel: "sms", To: "+14155550123", Text: "Open " + link, Code: watchword.NewCode("492039"), Link: watchword.NewCode(link)})
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS(".chip")))
	// A page without the focus may not use the clipboard, and of parallel tabs one has it; so the call itself is recorded.
	p.evaluate(`(window.toasts = [], new MutationObserver(() => toasts.push(toast.innerText)).observe(toast, { childList: true }))`)
	p.evaluate(`(window.copied = [], navigator.clipboard.writeText = async text => { copied.push(text) })`)
	p.do(chromedp.Click(chromedp.CSS(".row .chip")), chromedp.Click(chromedp.CSS(".actions .primary")), chromedp.Click(chromedp.CSS(".actions button:last-child")))
	p.requireEqual(`copied.join()`, "492039,492039,"+link)
	p.waitUntil(`toasts.includes("Copied the link")`)
	testSecondCopy(p)
	p.requireEqual(`document.querySelector(".actions a").href`, link)
}

// A second copy is confirmed for two seconds too, though the time of the first one ends meanwhile.
func testSecondCopy(p *tab) {
	p.evaluate(`(window.changes = [], new MutationObserver(() => changes.push({ text: toast.innerText, at: performance.now() })).observe(toast, { childList: true }))`)
	p.do(chromedp.Click(chromedp.CSS(".row .chip")))
	p.evaluate(`await new Promise((resolve) => setTimeout(resolve, 500))`)
	p.do(chromedp.Click(chromedp.CSS(".actions button:last-child")))
	p.waitUntil(`changes.findLast((c) => c.text)?.text === "Copied the link" && changes.at(-1).text === ""`)
	p.requireEqual(`changes.at(-1).at - changes.findLast((c) => c.text).at > 1900`, "true")
}

// The address has what was searched, and not what was typed after that.
func testSearchedAddress(p *tab) {
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS(".empty")))
	p.evaluate(`(() => {
		const send = fetch;
		window.asked = new Promise((resolve) => {
			window.fetch = (address) => {
				if (address !== "/inbox/rows?q=a") return send(address);
				resolve();
				return new Promise((go) => { window.go = go }).then(() => send(address));
			};
		});
		q.value = "a";
		q.dispatchEvent(new InputEvent("input", { bubbles: true }));
	})()`)
	p.evaluate(`(await asked, q.value = "ab", go())`)
	p.waitUntil(`location.search !== ""`)
	p.requireEqual(`location.search`, "?q=a")
}

func testMailFrame(p *tab) {
	p.send(watchword.Message{Channel: "email", To: "ada@example.com", Title: "Mail", Text: "x", HTML: schemeMail})
	p.setScheme("dark")
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(p.url+"/inbox"), chromedp.WaitVisible(chromedp.CSS("iframe")))
	requirePressed := func(want string) {
		p.t.Helper()
		p.requireEqual(`[...document.querySelectorAll("[aria-pressed=true]")].map(b => b.innerText).join()`, want)
	}
	requirePressed("600 px,Dark")
	p.requireEqual(`document.querySelector("iframe").clientWidth`, "598")
	p.requireFrame("dark")
	p.do(chromedp.Click(chromedp.CSS(`[data-width="390"]`)), chromedp.Click(chromedp.CSS(`[data-scheme="light"]`)))
	requirePressed("390 px,Light")
	p.requireEqual(`document.querySelector("iframe").clientWidth`, "388")
	p.requireFrame("light")

	// The mail does not have the scheme of the page.
	p.setScheme("light")
	p.do(chromedp.Click(chromedp.CSS(`[data-scheme="dark"]`)))
	p.requireFrame("dark")
	p.do(chromedp.Click(chromedp.CSS(`[data-scheme="light"]`)))

	// The choice holds for the next message.
	p.send(watchword.Message{Channel: "email", To: "ada@example.com", Title: "Second", Text: "x", HTML: schemeMail})
	p.waitUntil(`document.querySelector('[data-number="2"]') !== null`)
	p.do(chromedp.Click(chromedp.CSS(`[data-number="2"] > a`)))
	p.waitUntil(`document.querySelector("iframe").src.endsWith("/2")`)
	requirePressed("390 px,Light")
	p.requireFrame("light")
}
