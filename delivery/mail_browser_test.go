package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/browsertest"
)

// measureMails returns the problems of the mails in the frames of a page: content that is wider than its frame or than 480 pixels,
// and texts whose contrast to the background behind them is below 4.5 (WCAG 2.2, 1.4.3).
const measureMails = `(() => {
	const channels = c => c.match(/[\d.]+/g).map(Number)
	const luminance = c => { const [r, g, b] = channels(c).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
	const background = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (channels(c)[3] !== 0) return c } return "rgb(255, 255, 255)" }
	const problems = []
	let texts = 0
	for (const frame of document.querySelectorAll("iframe")) {
		const page = frame.contentDocument, root = page.documentElement
		if (root.scrollWidth > frame.clientWidth) problems.push(frame.title + " is " + root.scrollWidth + " wide in " + frame.clientWidth)
		for (const e of page.querySelectorAll(".card, .card *, p")) if (e.getBoundingClientRect().width > 482) problems.push(frame.title + ": an element is wider than 480 pixels")
		for (const e of page.body.querySelectorAll("*")) {
			if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue
			texts++
			const [a, b] = [getComputedStyle(e).color, background(e)].map(luminance)
			const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
			if (contrast < 4.5) problems.push(frame.title + ": the contrast of " + e.innerText + " is " + contrast.toFixed(2))
		}
		for (const e of page.images) if (!e.alt || e.getBoundingClientRect().width < 40) problems.push(frame.title + ": a logo that is not loaded leaves no name")
	}
	return JSON.stringify({problems, texts})
})()`

// newMailTab returns a tab of a headless Chromium that connects to this machine alone.
func newMailTab(t *testing.T) context.Context {
	t.Helper()
	chromium := browsertest.Program(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")))
	t.Cleanup(cancel)
	return ctx
}

// Every mail fits 320 pixels, is not wider than 480, and is readable in both schemes, also where its logo is not loaded.
func TestMailsFitAndAreReadableInBrowser(t *testing.T) {
	var page strings.Builder
	page.WriteString(`<!doctype html><meta charset=utf-8><style>:root{color-scheme:light dark}iframe{border:0}</style>`)
	for look, config := range map[string]MailConfig{"default": {}, "light": {Color: "#ffe14d"}, "dark": {Color: "#111827", Logo: "https://cdn.northwind.example/logo.png"}} {
		locales := []string{"de"} // has the longest words
		if look == "default" {
			locales = append(builtInLocales, "ar")
		}
		everyMail(t, locales, config, func(name string, m watchword.Message) {
			for _, width := range []int{320, 1280} {
				if width == 320 || m.Language == "de" && look == "default" {
					fmt.Fprintf(&page, `<iframe title="%s (%s)" width=%d height=700 srcdoc="%s"></iframe>`, name, look, width, html.EscapeString(m.HTML))
				}
			}
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page.String()) }))
	defer server.Close()
	ctx := newMailTab(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, params); err != nil {
			t.Fatal(err)
		}
		requireReadable(t, ctx, scheme, scheme == "dark")
	}
}

// requireReadable measures the mails of the page, and that they are shown in the scheme.
func requireReadable(t *testing.T, ctx context.Context, where string, dark bool) {
	t.Helper()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](measureMails))
	if err != nil {
		t.Fatal(err)
	}
	var measured struct {
		Problems []string
		Texts    int
	}
	if err := json.Unmarshal([]byte(text), &measured); err != nil {
		t.Fatal(err)
	}
	for _, problem := range measured.Problems {
		t.Errorf("%s: %s", where, problem)
	}
	if measured.Texts < 1000 {
		t.Errorf("%s: only %d texts were measured", where, measured.Texts)
	}
	card, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector("iframe").contentDocument.querySelector(".card")).backgroundColor`))
	if want := map[bool]string{false: "rgb(255, 255, 255)", true: "rgb(25, 28, 34)"}[dark]; err != nil || card != want {
		t.Errorf("%s: the background is %s, %v", where, card, err)
	}
}
