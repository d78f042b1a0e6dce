package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

const (
	appKey   = "the app's key"
	adminKey = "a key of all scopes"
)

// A testServer is a real server with codes and recovery codes, over HTTP.
type testServer struct {
	url      string
	messages chan watchword.Message
}

// newTestServer starts a server. It must be shut down with close.
func newTestServer() (*testServer, func(), error) {
	s := &testServer{messages: make(chan watchword.Message, 100)}
	handler := &lateHandler{}
	web := httptest.NewServer(handler)
	s.url = web.URL
	ctx, cancel := context.WithCancel(context.Background())
	closing := func() { cancel(); web.Close() }
	engine, worker, err := newEngine(s)
	if err != nil {
		return nil, closing, err
	}
	key, err := receipt.GenerateKey("1", receipt.EdDSA)
	if err != nil {
		return nil, closing, err
	}
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{key}})
	if err != nil {
		return nil, closing, err
	}
	scopes := []string{server.ScopeChallenges, server.ScopeFactors}
	handler.Handler, err = server.New(server.Config{Apps: []server.App{{Engine: engine, Signer: signer, PublicURL: s.url, Keys: []server.APIKey{
		{SHA256: sha256.Sum256([]byte(appKey)), Scopes: scopes},
		{SHA256: sha256.Sum256([]byte(adminKey)), Scopes: append(scopes, server.ScopeFactorsAdmin)}}}}})
	if err != nil {
		return nil, closing, err
	}
	go func() { _ = worker.Run(ctx) }()
	return s, closing, nil
}

// A lateHandler is set when the URL of its server is known.
type lateHandler struct{ http.Handler }

func newEngine(s *testServer) (*watchword.Engine, *delivery.Worker, error) {
	ring, err := watchword.NewKey("1", bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return nil, nil, err
	}
	identity, err := watchword.NewKey("identity", bytes.Repeat([]byte{2}, 32))
	if err != nil {
		return nil, nil, err
	}
	codes, err := otp.New(otp.Config{})
	if err != nil {
		return nil, nil, err
	}
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		return nil, nil, err
	}
	queue := delivery.NewQueue(1000, nil)
	engine, err := watchword.New(watchword.Config{App: "shop", Issuer: s.url, Keys: []watchword.Key{ring}, Identity: identity, Store: memory.New(memory.Config{}),
		Outbox: queue, Factors: &memory.Factors{}, Strategies: []watchword.Strategy{codes, recovery.New()}, Addresses: addresses, Channels: []string{"email"}})
	if err != nil {
		return nil, nil, err
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: s})
	return engine, worker, err
}

// Send makes the testServer the sender of its messages.
func (s *testServer) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	s.messages <- m
	return watchword.Sent{Provider: "test", Reference: m.ID}, nil
}

// code returns the code of the next message.
func (s *testServer) code() string { return (<-s.messages).Code.Reveal() }

// startTestServer returns a server that the test shuts down, and a client of it.
func startTestServer(t *testing.T, change ...func(*client.Config)) (*testServer, *client.Client) {
	t.Helper()
	s, closing, err := newTestServer()
	t.Cleanup(closing)
	must(t, err)
	cfg := client.Config{URL: s.url, APIKey: watchword.NewCode(appKey)}
	for _, c := range change {
		c(&cfg)
	}
	c, err := client.New(cfg)
	must(t, err)
	return s, c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A brokenTransport gives responses of its own, and counts requests. A nil response lets the request pass, or breaks the connection
// after the response of the server if lose says so.
type brokenTransport struct {
	mu       sync.Mutex
	respond  func(n int, r *http.Request) (*http.Response, error)
	requests []*http.Request
}

func (b *brokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.requests = append(b.requests, r)
	n := len(b.requests)
	b.mu.Unlock()
	return b.respond(n, r)
}

func (b *brokenTransport) keys() (out []string) {
	for _, r := range b.requests {
		out = append(out, r.Header.Get("Idempotency-Key"))
	}
	return out
}

// respondWith returns a response with a JSON body.
func respondWith(status int, body any, headers map[string]string) *http.Response {
	w := httptest.NewRecorder()
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	text, isText := body.(string)
	if !isText {
		raw, _ := json.Marshal(body)
		text = string(raw)
	}
	w.WriteHeader(status)
	_, _ = w.WriteString(text)
	return w.Result()
}
