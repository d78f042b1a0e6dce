package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/browsertest"
)

// A browser is a headless Chromium. Its devices have separate cookies.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	return startBrowser(t, browsertest.Program(t))
}

func startBrowser(t *testing.T, program string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	flags := []chromedp.ExecAllocatorOption{chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.UserDataDir(t.TempDir()), chromedp.IgnoreCertErrors}
	for _, f := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		flags = append(flags, chromedp.Flag(f, true))
	}
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(flags...))
	t.Cleanup(cancel)
	must(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return &browser{t, ctx}
}

// stepTimeout bounds what a test waits for. It is long, because many tests share the processors.
const stepTimeout = 60 * time.Second

// A tab is a browser tab of a device.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// newDevice returns the tab of a new browser profile.
func (b *browser) newDevice(t *testing.T) *tab {
	return b.newTab(t, b.ctx, chromedp.WithNewBrowserContext())
}

func (b *browser) newTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	must(t, chromedp.Do(ctx, chromedp.Navigate("about:blank"))) // creates the tab, which exists as long as ctx
	return &tab{t, ctx}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		where, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`location.href.split("#")[0] + "\n" + document.body.innerText`))
		p.t.Fatalf("%v; the page is %s", err, where)
	}
}

func (p *tab) open(url string)        { p.t.Helper(); p.do(chromedp.Navigate(url)) }
func (p *tab) waitVisible(css string) { p.t.Helper(); p.do(chromedp.WaitVisible(chromedp.CSS(css))) }
func (p *tab) click(css string)       { p.t.Helper(); p.do(chromedp.Click(chromedp.CSS(css))) }
func (p *tab) typeText(css, keys string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(css), keys))
}
func (p *tab) innerText(css string) string {
	p.t.Helper()
	return evaluate[string](p, `document.querySelector("`+css+`").innerText`)
}
func (p *tab) contains(css string) bool {
	p.t.Helper()
	return evaluate[bool](p, `document.querySelector("`+css+`") !== null`)
}
func (p *tab) waitHeading(text string) {
	p.t.Helper()
	p.waitUntil(`document.querySelector("h1")?.innerText === "` + text + `"`)
}

// waitUntil waits until an expression is true, also across navigations.
func (p *tab) waitUntil(expression string) {
	p.t.Helper()
	for end := time.Now().Add(stepTimeout); ; time.Sleep(20 * time.Millisecond) {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			p.t.Fatalf("%s did not become true (%v); the page is %s", expression, err, text)
		}
	}
}

// enableScripts allows or forbids the scripts of pages.
func (p *tab) enableScripts(on bool) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	must(p.t, err)
}

func evaluate[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	must(p.t, err)
	return v
}
