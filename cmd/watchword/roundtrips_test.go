package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/ratelimit"
	redislimit "github.com/watchword-auth/watchword/ratelimit/redis"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// A commandCounter counts the commands that a client sends.
type commandCounter struct{ n atomic.Int64 }

func (c *commandCounter) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *commandCounter) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		c.n.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// A check over HTTP takes one Redis command. A start takes two: one for the limits, and one for the challenge and its message in the
// outbox.
func TestRoundTripsOverHTTP(t *testing.T) {
	ctx := context.Background()
	redis := redistest.Start(t)
	client, err := redisstore.Open(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	counted := &commandCounter{}
	client.AddHook(counted)
	outbox, err := redisstore.NewOutbox(redisstore.New(client, redisstore.Config{}), redisstore.OutboxConfig{App: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	engine, handler := newHandlerOnRedis(t, client, outbox)

	post := func(path string, body object, want int) (commands int64, answer object) {
		t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest("POST", path, bytes.NewReader(data))
		req.Header.Set("Authorization", "Bearer a-long-key-of-the-test")
		req.Header.Set("Content-Type", "application/json")
		before := counted.n.Load()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code != want {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return counted.n.Load() - before, answer
	}
	cycle := func() (start, wrong, right int64) {
		start, answer := post("/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "alice@example.com", "subject": "user_42",
			"client": object{"ip": "203.0.113.7"}}, http.StatusCreated)
		claimed, err := outbox.Claim(ctx, 1)
		if err != nil || len(claimed) != 1 || claimed[0].ChallengeID != answer["id"] {
			t.Fatalf("the outbox holds %v, %v", claimed, err)
		}
		m, err := engine.ComposeMessage(ctx, claimed[0])
		if err != nil {
			t.Fatal(err)
		}
		path, code := "/v1/challenges/"+answer["id"].(string)+"/check", m.Code.Reveal()
		wrong, _ = post(path, object{"purpose": "sign_in", "subject": "user_42", "answer": wrongCode(code)}, http.StatusUnprocessableEntity)
		right, _ = post(path, object{"purpose": "sign_in", "subject": "user_42", "answer": code}, http.StatusOK)
		return start, wrong, right
	}
	cycle() // Redis learns the scripts
	if start, wrong, right := cycle(); start != 2 || wrong != 1 || right != 1 {
		t.Fatalf("a start costs %d round trips, a wrong check %d, a right one %d", start, wrong, right)
	}
}

func newHandlerOnRedis(t *testing.T, client goredis.UniversalClient, store watchword.Store) (*watchword.Engine, http.Handler) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := func(id string) watchword.Key {
		k, err := watchword.NewKey(id, bytes.Repeat([]byte(id), 32))
		must(err)
		return k
	}
	windows, err := redislimit.New(client, redislimit.Config{Prefix: "watchword"})
	must(err)
	limits, err := ratelimit.New(windows, ratelimit.DefaultRules(), "shop")
	must(err)
	codes, err := otp.New(otp.Config{})
	must(err)
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	must(err)
	engine, err := watchword.New(watchword.Config{App: "shop", Issuer: "https://verify.example.com", Keys: []watchword.Key{key("k")}, Identity: key("i"),
		Store: store, Strategies: []watchword.Strategy{codes}, Addresses: addresses,
		Channels: []string{"email"}, Starts: limits})
	must(err)
	signing, err := receipt.GenerateKey("r", receipt.EdDSA)
	must(err)
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{signing}})
	must(err)
	handler, err := server.New(server.Config{Apps: []server.App{{Engine: engine, Signer: signer, PublicURL: "https://verify.example.com",
		Keys: []server.APIKey{{SHA256: sha256.Sum256([]byte("a-long-key-of-the-test")), Scopes: []string{server.ScopeChallenges}}}}}})
	must(err)
	return engine, handler
}
