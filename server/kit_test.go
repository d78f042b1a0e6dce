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

// The API keys of the two apps that most tests use.
const (
	shopKey    = "shop-key-1"
	shopKey2   = "shop-key-2"
	factorsKey = "shop-key-factors"
	adminKey   = "shop-key-admin"
	bankKey    = "bank-key"
)

// A testServer is a server with two apps that share a store, with a clock that tests advance and an outbox that keeps messages.
type testServer struct {
	t        testing.TB
	server   *server.Server
	engines  map[string]*watchword.Engine
	outbox   *outbox
	clock    *clock
	log      *syncBuffer
	contract *apiContract
}

// serverOptions are the settings of a testServer.
type serverOptions struct {
	store       watchword.Store
	strategies  []watchword.Strategy
	starts      watchword.Limiter
	configure   func(*server.Config)
	development bool
	engine      func(*watchword.Config)
}

func newTestServer(t testing.TB, o serverOptions) *testServer {
	t.Helper()
	ts := &testServer{t: t, engines: map[string]*watchword.Engine{}, outbox: &outbox{}, log: &syncBuffer{},
		clock: &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}}
	if o.store == nil {
		o.store = memory.New(memory.Config{Clock: ts.clock.Now})
	}
	signingKey, err := receipt.GenerateKey("2026-11", receipt.EdDSA)
	must(t, err)
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{signingKey}, Clock: ts.clock.Now})
	must(t, err)
	var apps []server.App
	for _, name := range []string{"shop", "bank"} {
		ts.engines[name] = ts.newEngine(name, o)
		apps = append(apps, server.App{Engine: ts.engines[name], Signer: signer, PublicURL: "https://" + name + ".example.com"})
	}
	all := []string{server.ScopeChallenges, server.ScopeFactors}
	apps[0].Keys = []server.APIKey{newAPIKey(shopKey, all...), newAPIKey(shopKey2, server.ScopeChallenges), newAPIKey(factorsKey, server.ScopeFactors),
		newAPIKey(adminKey, server.ScopeChallenges, server.ScopeFactorsAdmin)}
	apps[1].Keys = []server.APIKey{newAPIKey(bankKey, all...)}
	cfg := server.Config{Apps: apps, Development: o.development, Clock: ts.clock.Now,
		Logger: slog.New(slog.NewJSONHandler(ts.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if o.configure != nil {
		o.configure(&cfg)
	}
	ts.server, err = server.New(cfg)
	must(t, err)
	if !o.development {
		ts.contract = contractOf(t, ts)
	}
	return ts
}

func (ts *testServer) newEngine(name string, o serverOptions) *watchword.Engine {
	ring, err := watchword.NewKey("2026", bytes.Repeat([]byte{1}, 32))
	must(ts.t, err)
	identity, err := watchword.NewKey("identity", bytes.Repeat([]byte{2}, 32))
	must(ts.t, err)
	digits, err := otp.New(otp.Config{Clock: ts.clock.Now})
	must(ts.t, err)
	cfg := watchword.Config{App: name, Issuer: "https://" + name + ".example.com", Keys: []watchword.Key{ring},
		Identity: identity, Store: o.store, Outbox: ts.outbox, Factors: &memory.Factors{}, Strategies: append([]watchword.Strategy{digits}, o.strategies...),
		Addresses: acceptAnyAddress, Channels: []string{"sms", "email", "voice"}, ReturnOrigins: []string{"https://app.example.com"}, Starts: o.starts, Clock: ts.clock.Now,
		Development: o.development, Logger: slog.New(slog.NewJSONHandler(ts.log, nil))}
	if o.engine != nil {
		o.engine(&cfg)
	}
	e, err := watchword.New(cfg)
	must(ts.t, err)
	return e
}

// acceptAnyAddress is an address policy that accepts every address unchanged, except those of one country.
func acceptAnyAddress(_, address string) (watchword.Address, error) {
	a := watchword.Address{Value: address, Masked: address[:1] + "•••", Kind: "phone"}
	if strings.HasPrefix(address, "+999") {
		return a, &watchword.Error{Code: watchword.ErrDestinationRefused.Code, Reason: "country"}
	}
	return a, nil
}

func newAPIKey(text string, scopes ...string) server.APIKey {
	return server.APIKey{SHA256: sha256.Sum256([]byte(text)), Scopes: scopes}
}

// newSigner returns a Signer with a new key of that id.
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

// A clock changes only when a test advances it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An outbox keeps messages, so that tests can read them.
type outbox struct {
	mu       sync.Mutex
	messages []watchword.Outgoing
}

func (o *outbox) Put(_ context.Context, out ...watchword.Outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages = append(o.messages, out...)
	return nil
}

func (o *outbox) Claim(context.Context, int) ([]watchword.Outgoing, error) {
	panic("tests send no messages")
}

func (o *outbox) Done(context.Context, watchword.Outgoing) error { return nil }

func (o *outbox) Retry(context.Context, watchword.Outgoing, time.Time) error { return nil }

func (o *outbox) Bury(context.Context, watchword.Outgoing) error { return nil }

func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.messages)
}

// sentCode returns the code in the latest message of a challenge.
func (ts *testServer) sentCode(app, id string) string {
	ts.t.Helper()
	ts.outbox.mu.Lock()
	defer ts.outbox.mu.Unlock()
	for n := len(ts.outbox.messages) - 1; n >= 0; n-- {
		if ts.outbox.messages[n].ChallengeID == id {
			m, err := ts.engines[app].ComposeMessage(ts.t.Context(), ts.outbox.messages[n])
			must(ts.t, err)
			return m.Code.Reveal()
		}
	}
	ts.t.Fatalf("no message for %s", id)
	return ""
}

// wrongCode returns a wrong code of the same form.
func wrongCode(code string) string {
	digit := (code[0]-'0'+1)%10 + '0'
	return string(digit) + code[1:]
}

// send sends a request, and validates request and response against the OpenAPI document.
func (ts *testServer) send(r *http.Request) *apiResponse {
	ts.t.Helper()
	body, err := io.ReadAll(r.Body)
	must(ts.t, err)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	ts.server.ServeHTTP(w, r)
	out := &apiResponse{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.Contains(out.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
			ts.t.Errorf("%s %s: the response is not a JSON object: %v: %s", r.Method, r.URL.Path, err, out.text)
		}
	}
	checkCommonProperties(ts.t, r, out)
	if ts.contract != nil {
		ts.contract.validate(ts.t, r, body, w.Result(), out)
	}
	return out
}

func (ts *testServer) post(target, body string, headers ...string) *apiResponse {
	ts.t.Helper()
	return ts.send(newRequest(http.MethodPost, target, body, headers...))
}

func (ts *testServer) get(target string, headers ...string) *apiResponse {
	ts.t.Helper()
	return ts.send(newRequest(http.MethodGet, target, "", headers...))
}

// startChallenge starts the challenge of signInRequest and returns its id.
func (ts *testServer) startChallenge() string {
	ts.t.Helper()
	return ts.post("/v1/challenges", signInRequest).want(ts.t, http.StatusCreated, "").stringAt("id")
}

func (ts *testServer) checkAnswer(id, answer string) *apiResponse {
	ts.t.Helper()
	return ts.post("/v1/challenges/"+id+"/check", `{"purpose":"sign_in","subject":"user_42","answer":"`+answer+`"}`)
}

// A syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// RoundTrip makes a testServer an http.RoundTripper.
func (ts *testServer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	ts.server.ServeHTTP(w, r)
	return w.Result(), nil
}
