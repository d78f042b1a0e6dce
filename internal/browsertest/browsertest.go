// Package browsertest gives tests of web pages a real browser: a tab that is used as a person uses it, and an inspection of what the
// person sees.
package browsertest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/axetest"
)

const patience = time.Minute

// A Tab is a tab of a headless Chromium.
type Tab struct {
	t   *testing.T
	ctx context.Context
}

// New starts a Chromium, as Start does, and returns its tab.
func New(t *testing.T) *Tab {
	t.Helper()
	return &Tab{t, Start(t)}
}

// Start starts a headless Chromium, of Program, with an empty profile and returns the context of its first tab. It ends with the test.
func Start(t *testing.T) context.Context {
	t.Helper()
	return start(t, Program(t))
}

// StartFull is Start with the full browser of FullProgram.
func StartFull(t *testing.T) context.Context {
	t.Helper()
	return start(t, FullProgram(t))
}

func start(t *testing.T, program string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // by a context that lasts: the browser lives as long
		t.Fatal(err)
	}
	return ctx
}

// Open opens an address.
func (p *Tab) Open(url string) { p.t.Helper(); p.do(chromedp.Navigate(url)) }

// Click clicks the first element of a selector that is visible.
func (p *Tab) Click(css string) { p.t.Helper(); p.do(chromedp.Click(chromedp.CSS(css))) }

// Type types into an element. "\r" is the Enter key.
func (p *Tab) Type(css, keys string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(css), keys))
}

func (p *Tab) do(step chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		p.t.Fatalf("%v on the page\n%s", err, p.text())
	}
}

// WaitText waits until the page says a text, also across navigations.
func (p *Tab) WaitText(want string) {
	p.t.Helper()
	quoted, _ := json.Marshal(want)
	p.WaitUntil("document.body?.innerText.includes(" + string(quoted) + ")")
}

// WaitUntil waits until an expression of JavaScript is true.
func (p *Tab) WaitUntil(expression string) {
	p.t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); err == nil && ok {
			return
		}
	}
	p.t.Fatalf("%s did not become true; the page is\n%s", expression, p.text())
}

func (p *Tab) text() string {
	text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body?.innerText ?? ""`))
	return text
}

// Inspect is Inspect for the page that the tab shows.
func (p *Tab) Inspect(name string) { p.t.Helper(); Inspect(p.ctx, p.t, name) }

// Inspect requires, in light and dark, that axe-core finds no violation of WCAG 2.2 A and AA on the page that a tab shows, and that the
// page is not wider than a phone. If WATCHWORD_SHOTS is the path of a folder, it writes pictures of the page there, whose names begin
// with name.
func Inspect(tab context.Context, t *testing.T, name string) {
	t.Helper()
	axe := axetest.Source(t)
	for _, scheme := range []string{"light", "dark"} {
		params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, params); err != nil {
			t.Fatal(err)
		}
		for device, width := range map[string]int64{"phone": 390, "desktop": 1280} {
			if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 800)); err != nil {
				t.Fatal(err)
			}
			if wide, err := chromedp.Run(tab, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > innerWidth")); err != nil || wide {
				t.Errorf("%s, %s: the page is wider than the screen (%v)", name, device, err)
			}
			shoot(tab, t, name+"-"+device+"-"+scheme)
		}
		if axe == "" {
			continue
		}
		list, err := chromedp.Run(tab, chromedp.Evaluate[string]("window.axe || (() => { "+axe+" })(); "+axetest.Check, chromedp.EvalAwaitPromise))
		var violations []string
		if err == nil {
			err = json.Unmarshal([]byte(list), &violations)
		}
		if err != nil {
			t.Fatalf("%s, %s: %v", name, scheme, err)
		}
		for _, v := range violations {
			t.Errorf("%s, %s: %s", name, scheme, v)
		}
	}
}

func shoot(tab context.Context, t *testing.T, name string) {
	folder := os.Getenv("WATCHWORD_SHOTS")
	if folder == "" {
		return
	}
	t.Helper()
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
