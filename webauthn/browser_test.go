package webauthn

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	virtual "github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/browsertest"
)

//go:embed testdata/app.html testdata/app.js
var appPages embed.FS

// An appAnswer is the result of a ceremony on the app's page.
type appAnswer struct {
	Error  string            `json:"error"`
	Claims *watchword.Claims `json:"claims"`
	Factor string            `json:"factor"`
}

// A browserKit is an app with its own page, in a real browser with virtual authenticators.
type browserKit struct {
	*kit
	ctx context.Context
	url string
	mux *http.ServeMux
}

func newBrowserKit(t *testing.T) *browserKit {
	t.Helper()
	chromium := browsertest.Program(t)
	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	b := &browserKit{url: "http://localhost:" + port, mux: mux}
	b.kit = newKit(t, func(c *Config, w *watchword.Config) {
		c.RPID, c.Origins, c.NativeOrigins = "localhost", []string{b.url}, nil
		w.Clock = time.Now
	})
	mux.HandleFunc("GET /{$}", b.page("testdata/app.html"))
	mux.HandleFunc("GET /app.js", b.page("testdata/app.js"))
	mux.Handle("GET /webauthn.js", Script())
	mux.HandleFunc("POST /begin", b.begin)
	mux.HandleFunc("POST /check", b.check)
	server.Start()
	t.Cleanup(server.Close)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(cancel)
	if err := chromedp.Do(b.ctx, b.enable, chromedp.Navigate(b.url)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browserKit) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		http.ServeFileFS(w, r, appPages, name)
	}
}

type appRequest struct {
	ID, Purpose, Subject string
	Answer               json.RawMessage
}

func (b *browserKit) begin(w http.ResponseWriter, r *http.Request) {
	var req appRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s, err := b.Start(r.Context(), watchword.StartRequest{Strategy: "webauthn", Purpose: req.Purpose, Subject: req.Subject, Authority: watchword.Authority{Admin: true}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": s.ID, "public": s.Public})
}

func (b *browserKit) check(w http.ResponseWriter, r *http.Request) {
	var req appRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	result, err := b.Check(r.Context(), req.ID, watchword.CheckRequest{Purpose: req.Purpose, Subject: req.Subject, Answer: watchword.Answer{Text: string(req.Answer), Object: true}})
	var out appAnswer
	switch {
	case err != nil:
		out.Error = err.Error()
	default:
		out.Claims = result.Claims
		if result.Factor != nil {
			out.Factor = result.Factor.ID
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

// call calls a function of the app's page.
func (b *browserKit) call(t *testing.T, call string, args ...any) appAnswer {
	t.Helper()
	list, err := json.Marshal(append([]any{}, args...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[appAnswer](fmt.Sprintf("app.%s(...%s)", call, list), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	return out
}

func (b *browserKit) enable(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, t, virtual.Enable, virtual.EnableParams{})
	return chromedp.Void{}, err
}

// authenticator adds a virtual authenticator to the browser.
func (b *browserKit) authenticator(t *testing.T, transport virtual.AuthenticatorTransport) virtual.AuthenticatorID {
	t.Helper()
	r := command(t, b, virtual.AddVirtualAuthenticator, virtual.AddVirtualAuthenticatorParams{Options: &virtual.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: transport, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
	return r.AuthenticatorID
}

func command[P, R any](t *testing.T, b *browserKit, c cdp.Command[P, R], params P) R {
	t.Helper()
	r, err := chromedp.Run(b.ctx, func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) })
	if err != nil {
		t.Fatalf("%s: %v", c.Method, err)
	}
	return r
}

func (b *browserKit) setUserVerified(t *testing.T, id virtual.AuthenticatorID, verified bool) {
	t.Helper()
	command(t, b, virtual.SetUserVerified, virtual.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: verified})
}

func (b *browserKit) setUserPresent(t *testing.T, id virtual.AuthenticatorID, present bool) {
	t.Helper()
	command(t, b, virtual.SetAutomaticPresenceSimulation, virtual.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: present})
}

// wantReceipt expects a receipt.
func (b *browserKit) wantReceipt(t *testing.T, what string, a appAnswer, amr ...string) *watchword.Claims {
	t.Helper()
	if a.Claims == nil {
		t.Fatalf("%s: %s (%s)", what, a.Error, b.refusals.lastReason())
	}
	if len(amr) > 0 && !slices.Equal(a.Claims.AMR, amr) {
		t.Errorf("%s: amr %v, want %v", what, a.Claims.AMR, amr)
	}
	return a.Claims
}

// Enrolment, sign-in, autofill and removal in a real browser, on an app's own page with the served module.
func TestScriptInBrowser(t *testing.T) {
	b := newBrowserKit(t)
	first := b.authenticator(t, "internal")
	f := b.call(t, "enrol", "user_42")
	b.wantReceipt(t, "enrol", f)
	b.wantReceipt(t, "sign in", b.call(t, "use", "sign_in", "user_42"), "hwk", "user", "mfa")
	if a := b.call(t, "enrol", "user_42"); a.Error != "InvalidStateError" {
		t.Errorf("a second key of one authenticator: %+v", a)
	}
	if claims := b.wantReceipt(t, "discoverable", b.call(t, "use", "sign_in", "")); claims.Subject != "user_42" || claims.Factor != f.Factor {
		t.Errorf("discoverable: %+v", claims)
	}
	if claims := b.wantReceipt(t, "autofill", b.call(t, "autofill")); claims.Subject != "user_42" {
		t.Errorf("autofill: %+v", claims)
	}
	b.setUserVerified(t, first, false)
	b.wantReceipt(t, "second factor", b.call(t, "use", "mfa", "user_42"), "hwk", "user")
	if a := b.call(t, "use", "sign_in", "user_42"); a.Error != "NotAllowedError" {
		t.Errorf("sign in, not verified: %+v", a)
	}
	b.setUserVerified(t, first, true)

	b.setUserPresent(t, first, false)
	second := b.authenticator(t, "usb")
	g := b.call(t, "enrol", "user_42")
	b.wantReceipt(t, "a second key", g)
	if claims := b.wantReceipt(t, "by the second", b.call(t, "use", "sign_in", "user_42")); claims.Factor != g.Factor {
		t.Errorf("by the second: %s, want %s", claims.Factor, g.Factor)
	}
	b.setUserPresent(t, first, true)
	b.setUserPresent(t, second, false)
	if claims := b.wantReceipt(t, "by the first", b.call(t, "use", "sign_in", "user_42")); claims.Factor != f.Factor {
		t.Errorf("by the first: %s, want %s", claims.Factor, f.Factor)
	}
	b.checkRemoval(t, first, second, f.Factor)
}

// checkRemoval: a removed key is refused, and the authenticator deletes it after a signal. The other key still works.
func (b *browserKit) checkRemoval(t *testing.T, first, second virtual.AuthenticatorID, factor string) {
	t.Helper()
	if err := b.RemoveFactor(t.Context(), factor, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	if a := b.call(t, "use", "sign_in", ""); !strings.Contains(a.Error, "incorrect answer") || b.refusals.lastReason() != string(refusedUnknownKey) {
		t.Errorf("a removed key: %+v (%s)", a, b.refusals.lastReason())
	}
	b.setUserPresent(t, second, true)
	b.wantReceipt(t, "the other key", b.call(t, "use", "sign_in", "user_42"))
	factors, err := b.ListFactors(t.Context(), "user_42")
	if err != nil {
		t.Fatal(err)
	}
	b.call(t, "signal", b.strategy.AcceptedKeys("shop", "user_42", factors))
	kept := command(t, b, virtual.GetCredentials, virtual.GetCredentialsParams{AuthenticatorID: first})
	if len(kept.Credentials) != 0 {
		t.Errorf("the authenticator keeps %d removed keys", len(kept.Credentials))
	}
}

// The browser has no JSON methods.
func TestScriptWorksInBrowserBeforeLevel3(t *testing.T) {
	b := newBrowserKit(t)
	b.authenticator(t, "internal")
	if a := b.call(t, "forget"); a.Error != "undefined" {
		t.Fatalf("the browser still has toJSON: %+v", a)
	}
	b.wantReceipt(t, "enrol", b.call(t, "enrol", "user_42"))
	b.wantReceipt(t, "sign in", b.call(t, "use", "sign_in", "user_42"))
	b.wantReceipt(t, "discoverable", b.call(t, "use", "sign_in", ""))
	b.wantReceipt(t, "autofill", b.call(t, "autofill"))
}

//go:embed testdata/extension.js
var extension string

// The password manager's credentials inherit from the browser's, and their methods throw.
func TestScriptReadsCredentialsOfAnExtension(t *testing.T) {
	for _, form := range []string{"views", "text"} {
		b := newBrowserKit(t)
		b.authenticator(t, "internal")
		b.installExtension(t, form, false)
		b.wantReceipt(t, form+", enrol", b.call(t, "enrol", "user_42"))
		b.wantReceipt(t, form+", sign in", b.call(t, "use", "sign_in", "user_42"))
		if _, err := chromedp.Run(b.ctx, chromedp.Reload()); err != nil {
			t.Fatal(err)
		}
		b.installExtension(t, form, true)
		b.wantReceipt(t, form+", discoverable", b.call(t, "use", "sign_in", ""))
		b.wantReceipt(t, form+", autofill", b.call(t, "autofill"))
	}
}

// installExtension replaces the page's credentials by those of a password manager.
func (b *browserKit) installExtension(t *testing.T, form string, keepsUserHandle bool) {
	t.Helper()
	script := fmt.Sprintf("%s; wrapCredentials(%q, %t); typeof app", extension, form, keepsUserHandle)
	for ready := ""; ready != "object"; { // the page's module is loaded after the page
		var err error
		if ready, err = chromedp.Run(b.ctx, chromedp.Evaluate[string]("typeof app")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script)); err != nil {
		t.Fatal(err)
	}
}

// A pending autofill is aborted when the person clicks a button.
func TestAuthenticateEndsAutofill(t *testing.T) {
	b := newBrowserKit(t)
	id := b.authenticator(t, "internal")
	b.wantReceipt(t, "enrol", b.call(t, "enrol", "user_42"))
	b.setUserPresent(t, id, false)
	if a := b.call(t, "interrupted"); a.Error != "AbortError" {
		t.Errorf("the wait ended with %+v", a)
	}
}
