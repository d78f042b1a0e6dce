package inbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/axetest"
)

// schemeMail is a mail that shows which color scheme its frame has.
const schemeMail = `<html><head><meta name="color-scheme" content="light dark"><style>:root{color-scheme:light dark}p{color:#111}@media(prefers-color-scheme:dark){p{color:#eee}}</style></head><body><p>mail</p></body></html>`

// evaluateInFrame evaluates an expression in the document of the mail.
func (p *tab) evaluateInFrame(expression string) string {
	p.t.Helper()
	return evaluateIn(p.t, p.frame(), 0, expression)
}

// evaluateIn evaluates an expression in an execution context; 0 is that of the document.
func evaluateIn(t *testing.T, ctx context.Context, where runtime.ExecutionContextID, expression string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, ContextID: where, AwaitPromise: new(true), ReturnByValue: new(true)})
	if err != nil || got.ExceptionDetails != nil {
		t.Fatalf("%v %v", err, got.ExceptionDetails)
	}
	var text string
	if err := json.Unmarshal(got.Result.Value, &text); err != nil {
		t.Fatal(err)
	}
	return text
}

// frame returns the context of the mail's document, which Chromium renders in a process of its own because it is sandboxed.
func (p *tab) frame() context.Context {
	p.t.Helper()
	source := p.evaluate(`document.querySelector("iframe").src`)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		targets, err := chromedp.Targets(p.ctx)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, found := range targets {
			if found.Type == "iframe" && found.URL == source {
				ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(found.TargetID))
				p.t.Cleanup(cancel)
				_, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("true")) // attaches for as long as ctx
				if err != nil {
					p.t.Fatal(err)
				}
				return ctx
			}
		}
		if time.Now().After(end) {
			p.t.Fatalf("no frame has %s", source)
		}
	}
}

// requireFrame requires that the mail has a color scheme, and that what it is drawn on has too: the mail has no background.
func (p *tab) requireFrame(scheme string) {
	p.t.Helper()
	want := map[string]string{"light": "rgb(17, 17, 17) on #ffffff", "dark": "rgb(238, 238, 238) on #121212"}[scheme]
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := p.evaluateInFrame(`getComputedStyle(document.querySelector("p") ?? document.documentElement).color`) + " on " + p.frameBackground()
		if got == want {
			return
		}
		if time.Now().After(end) {
			p.t.Errorf("the mail is %s, want %s", got, want)
			return
		}
	}
}

// frameBackground returns the color of a point of the frame beside its text, from a picture of the page.
func (p *tab) frameBackground() string {
	p.t.Helper()
	var x, y int
	if _, err := fmt.Sscan(p.evaluate(`(() => { const box = document.querySelector("iframe").getBoundingClientRect(); return Math.round(box.left + 200) + " " + Math.round(box.top + 100) })()`), &x, &y); err != nil {
		p.t.Fatal(err)
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		p.t.Fatal(err)
	}
	r, g, b, _ := decoded.At(x, y).RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// sendSamples sends messages as development mode writes them.
func (p *tab) sendSamples() {
	templates, err := delivery.LoadTemplates(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	renderer, err := delivery.NewRenderer(delivery.RendererConfig{Templates: templates, Next: senderFunc(func(m watchword.Message) { p.send(m) }), Now: func() time.Time { return time.Now() }})
	if err != nil {
		p.t.Fatal(err)
	}
	client := watchword.Client{IP: "203.0.113.7", UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15"}
	code, link := watchword.NewCode("492039"), watchword.NewCode("http://localhost:8080/l/ch_9QmJ2v7Xc5Tz1LrKp0Wb#lt_"+strings.Repeat("Zb3k", 8))
	for i, m := range []watchword.Message{
		{Channel: "sms", To: "+14155550123", Purpose: "sign_in", Code: code},
		{Channel: "whatsapp", To: "+14155550123", Purpose: "mfa", Code: code},
		{Channel: "voice", To: "+14155550123", Purpose: "sign_in", Code: code},
		{Channel: "email", To: "ada@example.com", Purpose: "approve_payment", Code: code, Transaction: map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH", "reference": "RF18 5390"}},
		{Channel: "email", To: "ada.lovelace@a-long-name-of-a-company.example.com", Purpose: "sign_in", Code: code, Link: link, Client: client},
	} {
		m.ID, m.ChallengeID, m.App, m.Locale, m.ExpiresAt = fmt.Sprint("msg_", i+1), "ch_9QmJ2v7Xc5Tz1LrKp0Wb", "Northwind", "en", time.Now().Add(10*time.Minute)
		if _, err := renderer.Send(p.t.Context(), m); err != nil {
			p.t.Fatal(err)
		}
	}
}

type senderFunc func(watchword.Message)

func (f senderFunc) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	f(m)
	return watchword.Sent{}, nil
}

// withoutSandbox lets axe-core run in the mail: it is asynchronous, and nothing asynchronous runs in a document whose sandbox allows
// no scripts. The mail is the same otherwise.
func withoutSandbox(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "localhost"
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		policy, _, _ := strings.Cut(answer.Header().Get("Content-Security-Policy"), "; sandbox")
		answer.Header().Set("Content-Security-Policy", policy)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = answer.Body.WriteTo(w)
	})
}

// checkMail checks the mail in its frame with axe-core.
func (p *tab) checkMail(axe, where string) {
	p.t.Helper()
	p.evaluate(`await new Promise(loaded => { const f = document.querySelector("iframe"); f.removeAttribute("sandbox"); f.onload = loaded; f.src = f.src + "?" })`)
	tree, err := chromedp.Call(p.ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil || len(tree.FrameTree.ChildFrames) != 1 {
		p.t.Fatalf("the page has no frame: %v", err)
	}
	world, err := chromedp.Call(p.ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.ChildFrames[0].Frame.ID, WorldName: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	requireNoViolations(p.t, where+", mail", evaluateIn(p.t, p.ctx, world.ExecutionContextID, axe+`; `+axetest.Check))
}

func requireNoViolations(t *testing.T, where, result string) {
	t.Helper()
	var violations []string
	if err := json.Unmarshal([]byte(result), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("%s: %s", where, v)
	}
}
