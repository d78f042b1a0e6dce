package playground_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// program is the path of the built program: the playground needs all of it.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "playground")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "watchword")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/watchword").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// startServer starts the program and returns the origin at which it listens. The program ends with the test.
func startServer(t *testing.T, args ...string) (origin string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"serve"}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "WATCHWORD_") })
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr := make(chan string, 1)
	var log strings.Builder
	go func() {
		defer close(addr)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			var line struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				addr <- line.Addr
			}
		}
	}()
	address, ok := <-addr
	if !ok {
		t.Fatalf("the server does not start: %s", log.String())
	}
	_, port, _ := net.SplitHostPort(address)
	return "http://localhost:" + port
}

func startDevelopment(t *testing.T) (origin string) {
	t.Helper()
	return startServer(t, "--dev", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir())
}

// startProduction starts a server with a configuration of production.
func startProduction(t *testing.T) (origin string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(program, "keys", "new", "--dir", dir, "--name", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key := sha256.Sum256([]byte(rand.Text()))
	config := filepath.Join(dir, "watchword.yaml")
	text := `listen: 127.0.0.1:0
redis: "memory:"
keyring: [{id: "1", secret_file: keyring-1.key}]
identity_key_file: identity.key
signing: [{kid: "1", key_file: signing-1.pem}]
public_url: https://verify.example.com
apps: [{id: shop, keys: [{sha256: ` + hex.EncodeToString(key[:]) + `, scopes: [challenges]}], send: {email: ["smtp://127.0.0.1:1?from=no-reply@example.com"]}}]
allowed_networks: [127.0.0.0/8]
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startServer(t, "--config", config)
}

// A tab is a tab of a browser profile of its own, with a virtual authenticator.
type tab struct {
	t     *testing.T
	ctx   context.Context
	shown *shownLines
	id    virtual.AuthenticatorID
}

func newTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // creates the tab, which exists as long as ctx
		t.Fatal(err)
	}
	return &tab{t: t, ctx: ctx}
}

func (p *tab) addAuthenticator() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, virtual.Enable, virtual.EnableParams{})
	if err == nil {
		var added virtual.AddVirtualAuthenticatorResult
		added, err = chromedp.Call(p.ctx, virtual.AddVirtualAuthenticator, virtual.AddVirtualAuthenticatorParams{Options: &virtual.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
		p.id = added.AuthenticatorID
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// clearAuthenticator removes all passkeys from the authenticator.
func (p *tab) clearAuthenticator() {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, virtual.ClearCredentials, virtual.ClearCredentialsParams{AuthenticatorID: p.id}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		p.t.Fatalf("%v; the page is %s", err, text)
	}
}

func (p *tab) evaluate(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
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
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
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

func (p *tab) requireEqual(expression, want string) {
	p.t.Helper()
	if got := p.evaluate(expression); got != want {
		p.t.Errorf("%s is %q, want %q", expression, got, want)
	}
}

func (p *tab) waitHeading(text string) {
	p.t.Helper()
	p.waitUntil(`document.querySelector("#step h2")?.innerText === "` + text + `"`)
}

// press waits for the button or link whose text begins so, and clicks it as a person does. What belongs to a step must be in view, so
// that nobody has to look for it.
func (p *tab) press(text string) {
	p.t.Helper()
	found := `[...document.querySelectorAll("button, a.button")].find(b => b.innerText.startsWith("` + text + `") && b.checkVisibility() && !b.disabled)`
	p.waitUntil(found)
	if p.evaluate(`(() => { const b = `+found+`, box = b.getBoundingClientRect(); return b.closest(".ways, .step") !== null && (box.top < 0 || box.bottom > innerHeight) })()`) == "true" {
		p.t.Errorf("%q is out of view", text)
	}
	p.evaluate(`(document.querySelector("[data-pressed]")?.removeAttribute("data-pressed"), ` + found + `.setAttribute("data-pressed", ""))`)
	p.do(chromedp.Click(chromedp.CSS("[data-pressed]")))
}

// claims waits for a verified receipt and returns its claims.
func (p *tab) claims() map[string]any {
	p.t.Helper()
	p.waitUntil(`document.querySelector("#receipt:not([hidden]) #claims")`)
	p.requireEqual(`[...document.querySelectorAll(".checks span")].map(s => s.innerText).join("")`, "✓✓✓✓✓")
	var claims map[string]any
	if err := json.Unmarshal([]byte(p.evaluate(`document.querySelector("#claims").innerText`)), &claims); err != nil {
		p.t.Fatal(err)
	}
	return claims
}

func (p *tab) requireClaims(want map[string]string) {
	p.t.Helper()
	got := p.claims()
	for name, value := range want {
		if text, _ := got[name].(string); text != value {
			p.t.Errorf("the claim %s is %v, want %s", name, got[name], value)
		}
	}
}

// requireRequests requires the requests that the page shows, as method, path and status, in any order. Ids become dots.
func (p *tab) requireRequests(want ...string) {
	p.t.Helper()
	got := p.evaluate(`[...document.querySelectorAll("#requests summary")].map(s => s.children[0].innerText + " " + parseInt(s.children[1].innerText)).join("\n").replaceAll(/(ch|vf)_[\w-]+/g, "...")`)
	if shown := strings.Split(got, "\n"); !slices.Equal(slices.Sorted(slices.Values(shown)), slices.Sorted(slices.Values(want))) {
		p.t.Errorf("the requests are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
