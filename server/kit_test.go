package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// The keys of the two apps that most tests have.
const (
	shopKey    = "shop-key-1"
	shopKey2   = "shop-key-2"
	factorsKey = "shop-key-factors"
	adminKey   = "shop-key-admin"
	bankKey    = "bank-key"
)

// A bench is a server with two apps over one store, a clock that tests move, and an outbox that keeps what is to be sent.
type bench struct {
	t       testing.TB
	server  *server.Server
	engines map[string]*watchword.Engine
	outbox  *outbox
	clock   *clock
	log     *lockedBuffer
	openapi *contract
}

// options change how a bench is made.
type options struct {
	store       watchword.Store
	strategies  []watchword.Strategy
	starts      watchword.Limiter
	configure   func(*server.Config)
	development bool
	engine      func(*watchword.Config)
}

func newBench(t testing.TB, o options) *bench {
	t.Helper()
	b := &bench{t: t, engines: map[string]*watchword.Engine{}, outbox: &outbox{}, log: &lockedBuffer{},
		clock: &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}}
	if o.store == nil {
		o.store = memory.New(memory.Config{Clock: b.clock.Now})
	}
	signingKey, err := receipt.GenerateKey("2026-11", receipt.EdDSA)
	must(t, err)
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{signingKey}, Clock: b.clock.Now})
	must(t, err)
	var apps []server.App
	for _, name := range []string{"shop", "bank"} {
		b.engines[name] = b.newEngine(name, o)
		apps = append(apps, server.App{Engine: b.engines[name], Signer: signer, PublicURL: "https://" + name + ".example.com"})
	}
	all := []string{server.ScopeChallenges, server.ScopeFactors}
	apps[0].Keys = []server.APIKey{key(shopKey, all...), key(shopKey2, server.ScopeChallenges), key(factorsKey, server.ScopeFactors),
		key(adminKey, server.ScopeChallenges, server.ScopeFactorsAdmin)}
	apps[1].Keys = []server.APIKey{key(bankKey, all...)}
	cfg := server.Config{Apps: apps, Development: o.development, Clock: b.clock.Now,
		Logger: slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if o.configure != nil {
		o.configure(&cfg)
	}
	b.server, err = server.New(cfg)
	must(t, err)
	if !o.development {
		b.openapi = newContract(t, b)
	}
	return b
}

func (b *bench) newEngine(name string, o options) *watchword.Engine {
	ring, err := watchword.NewKey("2026", bytes.Repeat([]byte{1}, 32))
	must(b.t, err)
	identity, err := watchword.NewKey("identity", bytes.Repeat([]byte{2}, 32))
	must(b.t, err)
	digits, err := otp.New(otp.Config{Clock: b.clock.Now})
	must(b.t, err)
	cfg := watchword.Config{App: name, Issuer: "https://" + name + ".example.com", Keys: []watchword.Key{ring},
		Identity: identity, Store: o.store, Outbox: b.outbox, Factors: &memory.Factors{}, Strategies: append([]watchword.Strategy{digits}, o.strategies...),
		Addresses: anyAddress, Channels: []string{"sms", "email", "voice"}, ReturnOrigins: []string{"https://app.example.com"}, Starts: o.starts, Clock: b.clock.Now,
		Development: o.development, Logger: slog.New(slog.NewJSONHandler(b.log, nil))}
	if o.engine != nil {
		o.engine(&cfg)
	}
	e, err := watchword.New(cfg)
	must(b.t, err)
	return e
}

// anyAddress stands for delivery's policy: everything is canonical as it is, but for one country.
func anyAddress(_, address string) (watchword.Address, error) {
	a := watchword.Address{Value: address, Masked: address[:1] + "•••", Kind: "phone"}
	if strings.HasPrefix(address, "+999") {
		return a, &watchword.Error{Code: watchword.ErrDestinationRefused.Code, Reason: "country"}
	}
	return a, nil
}

func key(text string, scopes ...string) server.APIKey {
	return server.APIKey{SHA256: sha256.Sum256([]byte(text)), Scopes: scopes}
}

// newSigner has a new key of that name.
func newSigner(t testing.TB, kid string) watchword.Signer {
	t.Helper()
	k, err := receipt.GenerateKey(kid, receipt.EdDSA)
	must(t, err)
	s, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{k}})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An outbox keeps what is to be sent, for tests to look at.
type outbox struct {
	mu   sync.Mutex
	kept []watchword.Outgoing
}

func (o *outbox) Put(_ context.Context, out ...watchword.Outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, out...)
	return nil
}

func (o *outbox) Claim(context.Context) (watchword.Outgoing, error) { panic("nobody works here") }

func (o *outbox) Done(context.Context, watchword.Outgoing) error { return nil }

func (o *outbox) Retry(context.Context, watchword.Outgoing, time.Time) error { return nil }

func (o *outbox) Bury(context.Context, watchword.Outgoing) error { return nil }

func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.kept)
}

// code is what the person would read in the latest message of a challenge.
func (b *bench) code(app, id string) string {
	b.t.Helper()
	b.outbox.mu.Lock()
	defer b.outbox.mu.Unlock()
	for n := len(b.outbox.kept) - 1; n >= 0; n-- {
		if b.outbox.kept[n].ChallengeID == id {
			m, err := b.engines[app].ComposeMessage(b.t.Context(), b.outbox.kept[n])
			must(b.t, err)
			return m.Code.Reveal()
		}
	}
	b.t.Fatalf("no message for %s", id)
	return ""
}

// wrong is a code of the same form that is not the right one.
func wrong(code string) string {
	digit := (code[0]-'0'+1)%10 + '0'
	return string(digit) + code[1:]
}

// A reply is an answer as a test looks at it.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (r *reply) str(path ...string) string {
	s, _ := r.at(path...).(string)
	return s
}

func (r *reply) at(path ...string) any {
	var v any = r.body
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// fields are the names in errors.
func (r *reply) fields() (out []string) {
	list, _ := r.body["errors"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		name, _ := m["field"].(string)
		out = append(out, name)
	}
	return out
}

// request makes one with the key of the shop and, if there is a body, the type of JSON. More headers come as pairs;
// an empty value takes one away.
func request(method, target, body string, headers ...string) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "https://shop.example.com"+target, reader)
	r.Header.Set("Authorization", "Bearer "+shopKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for n := 0; n+1 < len(headers); n += 2 {
		if headers[n+1] == "" {
			r.Header.Del(headers[n])
		} else {
			r.Header.Set(headers[n], headers[n+1])
		}
	}
	return r
}

// do sends a request, and holds it and its answer against the OpenAPI document and against what holds for every answer.
func (b *bench) do(r *http.Request) *reply {
	b.t.Helper()
	body, err := io.ReadAll(r.Body)
	must(b.t, err)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	out := &reply{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.Contains(out.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
			b.t.Errorf("%s %s: the answer is no JSON object: %v: %s", r.Method, r.URL.Path, err, out.text)
		}
	}
	everyAnswer(b.t, r, out)
	if b.openapi != nil {
		b.openapi.hold(b.t, r, body, w.Result(), out)
	}
	return out
}

// everyAnswer checks what holds for all of them.
func everyAnswer(t testing.TB, r *http.Request, out *reply) {
	t.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got := out.header.Get(name); got != want {
			t.Errorf("%s %s: %s is %q, not %q", r.Method, r.URL.Path, name, got, want)
		}
	}
	if out.header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: no X-Request-Id", r.Method, r.URL.Path)
	}
	if out.status < 400 {
		return
	}
	if got := out.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s %s: a problem of type %q", r.Method, r.URL.Path, got)
	}
	code := out.str("code")
	if out.at("status") != float64(out.status) || !strings.HasSuffix(out.str("type"), ".example.com/problems/"+code) || out.str("title") == "" {
		t.Errorf("%s %s: not the shape of a problem: %s", r.Method, r.URL.Path, out.text)
	}
}

func (b *bench) post(target, body string, headers ...string) *reply {
	b.t.Helper()
	return b.do(request(http.MethodPost, target, body, headers...))
}

func (b *bench) get(target string, headers ...string) *reply {
	b.t.Helper()
	return b.do(request(http.MethodGet, target, "", headers...))
}

// want checks status and, for problems, the code.
func (r *reply) want(t testing.TB, status int, code string) *reply {
	t.Helper()
	if r.status != status || r.str("code") != code {
		t.Fatalf("got %d %q, want %d %q: %s", r.status, r.str("code"), status, code, r.text)
	}
	return r
}

const signIn = `{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+14155550123","subject":"user_42"}`

// start begins the usual challenge and returns its id.
func (b *bench) start() string {
	b.t.Helper()
	return b.post("/v1/challenges", signIn).want(b.t, http.StatusCreated, "").str("id")
}

func (b *bench) check(id, answer string) *reply {
	b.t.Helper()
	return b.post("/v1/challenges/"+id+"/check", `{"purpose":"sign_in","subject":"user_42","answer":"`+answer+`"}`)
}

// A lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// RoundTrip lets a bench stand in for the network.
func (b *bench) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	return w.Result(), nil
}
