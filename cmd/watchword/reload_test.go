package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// A bodyReceiver accepts every request and keeps its body.
type bodyReceiver struct {
	*httptest.Server
	bodies syncBuffer
}

func startBodyReceiver(t *testing.T) *bodyReceiver {
	r := &bodyReceiver{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		text, _ := io.ReadAll(req.Body)
		_, _ = r.bodies.Write(append(text, '\n'))
	}))
	t.Cleanup(r.Close)
	return r
}

// waitForText waits until a body contains a text.
func (r *bodyReceiver) waitForText(t *testing.T, text string) {
	t.Helper()
	waitFor(t, "received", func() string {
		if strings.Contains(r.bodies.String(), text) {
			return "received"
		}
		return "no body with " + text
	})
}

// A reloader changes the configuration of a running server.
type reloader struct {
	*node
	path string // of the configuration
}

// startReloader starts a server with an app's configuration, and returns it with an app that signs people in.
func startReloader(t *testing.T, app func(sender string) string) (*reloader, quietApp) {
	t.Helper()
	codes := startCodeReceiver(t, httptest.NewTLSServer)
	path := writeProductionConfig(t, redistest.Start(t).URL(), app(codes.senderURL()))
	n := startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, codes.Server)}, "--log-level", "info", "--config", path)
	n.key = "quiet"
	return &reloader{node: n, path: path}, quietApp{node: n, codes: codes}
}

// change replaces a text of the configuration and reloads it. The log must say that it was reloaded, or that it was not.
func (r *reloader) change(t *testing.T, old, new, message string) {
	t.Helper()
	text := readDoc(t, r.path)
	if !strings.Contains(text, old) {
		t.Fatalf("the configuration has no %q", old)
	}
	if err := os.WriteFile(r.path, []byte(strings.ReplaceAll(text, old, new)), 0o600); err != nil {
		t.Fatal(err)
	}
	before, start := strings.Count(r.log.String(), message), len(r.log.String())
	if err := syscall.Kill(r.pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "logged", func() string {
		if strings.Count(r.log.String(), message) > before {
			return "logged"
		}
		return "no " + message + " in " + r.log.String()[start:]
	})
}

const reloaded = `"msg":"configuration reloaded"`

// signInUntil signs people in, at the pace of signInInterval, until ctx ends. It returns how many.
func (a quietApp) signInUntil(ctx context.Context, t *testing.T) (count int) {
	var people sync.WaitGroup
	next := time.NewTicker(signInInterval)
	defer next.Stop()
	for ; ctx.Err() == nil && !t.Failed(); <-next.C {
		count++
		person := count
		people.Go(func() {
			if err := a.signIn(person); err != nil {
				t.Error(err)
			}
		})
	}
	people.Wait()
	return count
}

// While people sign in, the configuration is reloaded again and again, with two senders in turns. Every request is answered as without.
func TestReloadUnderLoadFailsNoRequest(t *testing.T) {
	r, app := startReloader(t, func(sender string) string {
		return "apps:\n  - id: shop\n    keys: [{sha256: " + apiKeyDigest("quiet") + ", scopes: [challenges]}]\n    send: {email: [\"" + sender + "\"]}\n"
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	go func() { done <- app.signInUntil(ctx, t) }()
	for range rounds(10, 200) {
		r.change(t, "/?secret=", "/one?secret=", reloaded)
		r.change(t, "/one?secret=", "/?secret=", reloaded)
	}
	stop()
	if n := <-done; n < 10 {
		t.Errorf("only %d people signed in", n)
	}
	if log := r.log.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, "need a restart") {
		t.Errorf("the log:\n%s", log)
	}
}

// API keys, limits, templates, senders and event endpoints change without a restart. A message that waits goes to the new sender.
func TestReloadAppliesSettingsOfApps(t *testing.T) {
	t.Parallel()
	templates := t.TempDir()
	sms := filepath.Join(templates, "default", "sms.en.tmpl")
	if err := os.Mkdir(filepath.Dir(sms), 0o700); err != nil {
		t.Fatal(err)
	}
	events, messages := startBodyReceiver(t), startBodyReceiver(t)
	r, _ := startReloader(t, func(sender string) string {
		return "apps:\n  - id: shop\n    keys: [{sha256: " + apiKeyDigest("quiet") + ", scopes: [challenges]}]\n" +
			"    send: {sms: [\"webhook+https://127.0.0.1:9/?secret=" + eventsSecret + "\"]}\n" // nothing listens there
	})
	start := func(key string) reply {
		t.Helper()
		return r.mustSend(apiRequest{method: http.MethodPost, path: "/v1/challenges", key: key,
			body: object{"strategy": "otp", "purpose": "sign_in", "channel": "sms", "to": "+14155550123"}})
	}
	waiting := start("quiet")
	if waiting.status != http.StatusCreated {
		t.Fatal(waiting.text)
	}
	if err := os.WriteFile(sms, []byte(`{{define "text"}}Reloaded: {{.Code}}{{.Link}}{{range .Transaction}} {{.Name}} {{.Value}}{{end}}{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r.change(t, "https://127.0.0.1:9/", messages.URL+"/", reloaded)
	messages.waitForText(t, waiting.str("id"))
	r.change(t, "- id: shop", "- id: shop\n    templates: "+templates+"\n    events: [{url: \""+events.URL+"/?secret="+eventsSecret+"\"}]", reloaded)
	second := start("quiet")
	messages.waitForText(t, "Reloaded: ")
	events.waitForText(t, second.str("id"))
	r.change(t, apiKeyDigest("quiet"), apiKeyDigest("new"), reloaded)
	if got := start("quiet"); got.status != http.StatusUnauthorized {
		t.Errorf("a start with the old key: %d", got.status)
	}
	texts := filepath.Join(t.TempDir(), "en.json")
	sayOnPages := func(words, old, new string) {
		t.Helper()
		if err := os.WriteFile(texts, []byte(`{"wait": "`+words+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		r.change(t, old, new, reloaded)
		if page := r.mustSend(apiRequest{method: http.MethodGet, path: "/c/ch_x"}).text; !strings.Contains(page, words) {
			t.Errorf("the page does not say %q: %s", words, page)
		}
	}
	sayOnPages("One moment at the shop", "- id: shop", "- id: shop\n    pages: {texts: "+filepath.Dir(texts)+"}")
	sayOnPages("Another moment", "apps:", "apps:") // only the file of texts has changed
	r.change(t, "- id: shop", "- id: shop\n    limits: [{name: tight, limit: 1, window: 1h, by: address}]", reloaded)
	start("new")
	if got := start("new"); got.status != http.StatusTooManyRequests || got.str("limit") != "tight" {
		t.Errorf("a start beyond the new limit: %d %s", got.status, got.text)
	}
}

// What cannot be reloaded is named, and what is wrong changes nothing.
func TestReloadNamesWhatNeedsRestart(t *testing.T) {
	t.Parallel()
	r, app := startReloader(t, func(sender string) string {
		return "apps:\n  - id: shop\n    keys: [{sha256: " + apiKeyDigest("quiet") + ", scopes: [challenges]}]\n    send: {email: [\"" + sender + "\"]}\n"
	})
	r.change(t, "apps:", "app:", `"msg":"configuration not reloaded"`)
	if err := app.signIn(1); err != nil {
		t.Error(err)
	}
	r.change(t, "app:", "shutdown_delay: 1m\nmax_connections: 100\ntrusted_proxies: [10.0.0.0/8]\napps:\n  - id: other\n    keys: [{sha256: "+apiKeyDigest("other")+", scopes: [challenges]}]\n"+
		"    send: {email: [\""+app.codes.senderURL()+"\"]}", `"msg":"changed settings need a restart"`)
	if want := `"settings":["max_connections","shutdown_delay","trusted_proxies"]`; !strings.Contains(r.log.String(), want) {
		t.Errorf("no %s in the log:\n%s", want, r.log)
	}
	if err := app.signIn(2); err != nil {
		t.Error(err)
	}
}

// An app and an API key are added while people sign in. The new app's messages and events are sent by its own worker, and end with the
// process. A configuration that is refused adds nothing, and the mended one does.
func TestReloadAddsAppWhilePeopleSignIn(t *testing.T) {
	t.Parallel()
	r, app := startReloader(t, func(sender string) string {
		return "apps:\n  - id: shop\n    keys: [{sha256: " + apiKeyDigest("quiet") + ", scopes: [challenges]}]\n    send: {email: [\"" + sender + "\"]}\n"
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	go func() { done <- app.signInUntil(ctx, t) }()
	added := "\n  - id: diary\n    public_url: https://diary.example.com\n    keys: [{sha256: " + apiKeyDigest("diary") + ", scopes: [challenges]}]\n    send: {email: [\"" +
		app.codes.senderURL() + "\"]}"
	r.change(t, "apps:", "apps:"+strings.Replace(added, "sha256: ", "sha256: x", 1), `"msg":"configuration not reloaded"`)
	r.change(t, "sha256: x", "sha256: ", reloaded)
	diary := app
	diary.node = r.withKey("diary")
	for person := range 3 {
		if err := diary.signIn(10_000 + person); err != nil {
			t.Errorf("the new app: %v", err)
		}
	}
	r.change(t, "{sha256: "+apiKeyDigest("quiet"), "{sha256: "+apiKeyDigest("second")+", scopes: [challenges]}, {sha256: "+apiKeyDigest("quiet"), reloaded)
	second := app
	second.node = r.withKey("second")
	if err := second.signIn(20_000); err != nil {
		t.Errorf("the new key: %v", err)
	}
	stop()
	if n := <-done; n == 0 {
		t.Error("nobody signed in meanwhile")
	}
	if log := r.log.String(); strings.Contains(log, "need a restart") {
		t.Errorf("the log:\n%s", log)
	}
}

// withKey returns the node for another API key.
func (r *reloader) withKey(key string) *node {
	n := *r.node
	n.key = key
	return &n
}
