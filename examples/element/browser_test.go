package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/browsertest"
)

// TestSignInWithElementInBrowser signs in on the plain page and on the one of React: by a code in a mail and by a passkey.
func TestSignInWithElementInBrowser(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	t.Run("plain HTML", func(t *testing.T) {
		t.Parallel()
		page, err := fs.Sub(files, "plain")
		if err != nil {
			t.Fatal(err)
		}
		testJourney(t, browser, page)
	})
	t.Run("React", func(t *testing.T) {
		t.Parallel()
		testJourney(t, browser, build(t, "React", "react/package.json", "react/package-lock.json", "react/app.jsx", "react/index.html"))
	})
}

// The page is built with the compilers of Vue and Svelte, which `make frameworks` fetches.
func TestSignInWithVueAndSvelteInBrowser(t *testing.T) {
	if os.Getenv("WATCHWORD_FRAMEWORKS") == "" {
		t.Skip("Vue and Svelte are fetched and tried by `make frameworks`")
	}
	t.Parallel()
	browser := newBrowser(t)
	pages := build(t, "Vue and Svelte", "testdata/package.json", "testdata/package-lock.json", "testdata/build.mjs", "testdata/post.js", "testdata/App.vue",
		"testdata/App.svelte", "react/index.html")
	for _, name := range []string{"vue", "svelte"} {
		page, err := fs.Sub(pages, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { testJourney(t, browser, page) })
	}
}

// build copies sources into a temporary folder, installs the packages of the lock file there, and returns the folder dist that the script
// build makes. Without npm or the network the test is skipped.
func build(t *testing.T, name string, sources ...string) fs.FS {
	t.Helper()
	folder := t.TempDir()
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, filepath.Base(source)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, "npm", args...)
		command.Dir = folder
		return command.CombinedOutput()
	}
	if out, err := run("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"); err != nil {
		t.Skipf("%s was NOT tested: its packages cannot be installed: install npm, or check the network: %v %s", name, err, out)
	}
	if out, err := run("run", "build"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return os.DirFS(filepath.Join(folder, "dist"))
}

const ann = "ann@example.com"

// testJourney signs in by a code, adds a passkey on the hosted page, and signs in by it. Somebody else's event signs nobody in.
func testJourney(t *testing.T, browser context.Context, page fs.FS) {
	b := &tab{t: t, site: newSite(t, page)}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b.ctx = ctx
	b.open(b.site)
	b.addAuthenticator()
	b.waitUntil(`inside("[data-key] button")`)
	b.inspect("sign-in")
	b.do(chromedp.SendKeys(chromedp.CSS("input[type=email]"), ann+"\r"))
	b.waitUntil(`inside("#answer")`)
	b.inspect("code")
	for _, forged := range []string{`{}`, `{"verification": "vf_x", "return_code": "rc_x"}`} {
		if status := evaluate[int](b, `fetch("/finish", {method: "POST", body: '`+forged+`'}).then((r) => r.status)`); status != http.StatusForbidden {
			t.Errorf("%s: %d", forged, status)
		}
	}
	evaluate[bool](b, `(inside("#answer").focus(), true)`)
	b.do(chromedp.KeyEvent(waitForCode(t, b.site)))
	b.waitText("You are signed in as " + ann)
	b.inspect("welcome")

	b.do(chromedp.Click(chromedp.Search(`//button[contains(., "Add a passkey")]`)))
	b.waitUntil(`document.querySelector("[data-key=create] button")`)
	b.do(chromedp.Click(chromedp.CSS("[data-key=create] button")))
	b.waitText("You are signed in as " + ann)
	if b.text(); strings.Contains(b.text(), "Add a passkey") {
		t.Error("the passkey is not added")
	}
	b.presence(false)
	b.do(chromedp.Click(chromedp.Search(`//button[contains(., "Sign out")]`)))
	b.waitUntil(`inside("[data-key] button")`)
	b.presence(true)
	evaluate[bool](b, `(inside("[data-key] button")?.click(), true)`) // unless the suggestion of the e-mail field was taken already
	b.waitText("You are signed in as " + ann)

	evaluate[bool](b, `window.finishes = 0, window.fetch = new Proxy(fetch, { apply: (send, page, request) => (finishes += request[0] === "/finish", send.apply(page, request)) }), true`)
	b.do(chromedp.Click(chromedp.Search(`//button[contains(., "Sign out")]`)))
	b.waitUntil(`finishes === 1`)
	b.waitText("You are signed in as " + ann) // the authenticator takes the suggestion of the e-mail field at once
	if evaluate[int](b, `violations.length`) != 0 {
		t.Errorf("the page's policy was violated: %s", evaluate[string](b, `violations.join()`))
	}
}

// newSite starts the app and watchword's server at free ports, and returns the app's address.
func newSite(t *testing.T, page fs.FS) string {
	t.Helper()
	var handlers [2]http.Handler
	var urls [2]string
	for n := range urls {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handlers[n].ServeHTTP(w, r) }))
		t.Cleanup(srv.Close)
		urls[n] = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	}
	var err error
	if handlers[0], handlers[1], err = newApp(t.Context(), urls[0], urls[1], page); err != nil {
		t.Fatal(err)
	}
	return urls[0]
}

// waitForCode waits for the mail to ann and returns its code.
func waitForCode(t *testing.T, site string) string {
	t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(site + "/inbox/messages?to=" + ann)
		if err != nil {
			t.Fatal(err)
		}
		var found []struct{ Code string }
		err = json.NewDecoder(res.Body).Decode(&found)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return found[0].Code
		}
	}
	t.Fatal("there is no mail")
	return ""
}

// newBrowser returns the context of a headless Chromium.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	chromium := browsertest.Program(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // of the parallel tests too
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// A tab is a tab of a browser profile of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site string
	id   virtual.AuthenticatorID
}

func (b *tab) do(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 90*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		b.t.Fatalf("%v on the page\n%s", err, b.text())
	}
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

// open opens an address, in documents with the functions that the tests use.
func (b *tab) open(url string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil { // by a context that lasts: the tab lives as long
		b.t.Fatal(err)
	}
	call(b, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `window.violations = []; addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective));
		window.inside = (css) => document.querySelector("watchword-verification")?.shadowRoot?.querySelector(css)`})
	b.do(chromedp.Navigate(url))
}

// addAuthenticator adds an authenticator that confirms and verifies by itself.
func (b *tab) addAuthenticator() {
	b.t.Helper()
	call(b, virtual.Enable, virtual.EnableParams{})
	b.id = call(b, virtual.AddVirtualAuthenticator, virtual.AddVirtualAuthenticatorParams{Options: &virtual.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}}).AuthenticatorID
}

// presence makes the authenticator confirm by itself or not.
func (b *tab) presence(on bool) {
	b.t.Helper()
	call(b, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: b.id, Enabled: on})
}

func (b *tab) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body?.innerText ?? ""`))
	return text
}

func (b *tab) waitText(want string) {
	b.t.Helper()
	b.waitUntil(`document.body?.innerText.includes("` + want + `")`)
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
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// inspect requires that the page is accessible and fits a phone.
func (b *tab) inspect(name string) {
	b.t.Helper()
	browsertest.Inspect(b.ctx, b.t, "element-"+strings.ReplaceAll(filepath.Base(b.t.Name()), " ", "-")+"-"+name)
}
