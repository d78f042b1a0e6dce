package node_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/axetest"
	"github.com/watchword-auth/watchword/internal/browsertest"
)

// A tab is a tab of a real browser with a virtual authenticator that confirms and verifies by itself.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site *site
	axe  string // source of axe-core; empty if it cannot be fetched
}

func newTab(t *testing.T, s *site) *tab {
	t.Helper()
	chromium := browsertest.Program(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, site: s, axe: axetest.Source(t)}
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(cancel)
	must(t, chromedp.Do(b.ctx, chromedp.Navigate("about:blank"))) // by a context that lasts: the browser lives as long
	call(b, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.violations = []; addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
		window.inside = (css) => document.querySelector("watchword-verification")?.shadowRoot?.querySelector(css)`})
	call(b, virtual.Enable, virtual.EnableParams{})
	call(b, virtual.AddVirtualAuthenticator, virtual.AddVirtualAuthenticatorParams{Options: &virtual.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
	b.open(s.url)
	return b
}

// call sends the browser a command of its debugging protocol.
func call[P, R any](b *tab, c cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Run(b.ctx, func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) })
	if err != nil {
		b.t.Fatalf("%s: %v", c.Method, err)
	}
	return r
}

func (b *tab) do(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 90*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		b.t.Fatalf("%v on the page\n%s", err, b.text())
	}
}

func (b *tab) open(url string)       { b.t.Helper(); b.do(chromedp.Navigate(url)) }
func (b *tab) press(keys string)     { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }
func (b *tab) typeIn(css, in string) { b.t.Helper(); b.do(chromedp.SendKeys(chromedp.CSS(css), in)) }

// click waits for a button or link with a text, and clicks it.
func (b *tab) click(text string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.Search(`(//button|//a)[contains(., "` + text + `")]`)))
}

func (b *tab) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(document.body?.innerText ?? "") + (document.querySelector("watchword-verification")?.shadowRoot?.textContent ?? "")`))
	return text
}

func (b *tab) waitText(want string) {
	b.t.Helper()
	b.waitUntil(`document.readyState === "complete" && document.body.innerText.includes(` + strconv.Quote(want) + `)`)
}

// waitUntil waits until an expression is true, also across navigations.
func (b *tab) waitUntil(expression string) {
	b.t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); err == nil && ok {
			return
		}
	}
	b.t.Fatalf("%s did not become true; the page is\n%s", expression, b.text())
}

func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	must(b.t, err)
	return v
}

// inspect requires that axe finds no violation and that nothing is wider than a phone, in light and dark, and that the page's policy was
// not violated. It saves pictures if EXAMPLE_SHOTS names a folder.
func (b *tab) inspect(name string) {
	b.t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		for _, device := range []struct {
			name  string
			width int64
		}{{"phone", 390}, {"desktop", 1280}} {
			b.do(chromedp.EmulateViewport(device.width, 800))
			if evaluate[bool](b, "document.documentElement.scrollWidth > innerWidth") {
				b.t.Errorf("%s, %s: the page is wider than the screen", name, device.name)
			}
			b.saveShot(name + "-" + device.name + "-" + scheme)
		}
		if b.axe == "" {
			continue
		}
		var violations []string
		must(b.t, json.Unmarshal([]byte(evaluate[string](b, b.axe+"; "+axetest.Check)), &violations))
		for _, v := range violations {
			b.t.Errorf("%s, %s: %s", name, scheme, v)
		}
	}
	if found := evaluate[[]string](b, "violations"); len(found) > 0 {
		b.t.Errorf("%s: the page's policy was violated: %v", name, found)
	}
}

func (b *tab) saveShot(name string) {
	b.t.Helper()
	folder := os.Getenv("EXAMPLE_SHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	must(b.t, err)
	must(b.t, os.WriteFile(filepath.Join(folder, strings.ReplaceAll(b.t.Name(), "/", "-")+"-"+name+".png"), picture, 0o600))
}
