package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// A commandCounter counts the commands that a client sends, the scripts among them, and the pipelines of several scripts.
type commandCounter struct{ n, scripts, shared atomic.Int64 }

func (c *commandCounter) count(cmds ...goredis.Cmder) {
	scripts := int64(0)
	for _, cmd := range cmds {
		if cmd.Name() == "evalsha" {
			scripts++
		}
	}
	c.n.Add(int64(len(cmds)))
	c.scripts.Add(scripts)
	if scripts > 1 {
		c.shared.Add(1)
	}
}

func (c *commandCounter) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *commandCounter) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		c.count(cmd)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		c.count(cmds...)
		return next(ctx, cmds)
	}
}

// A countedServer is a server on Redis whose commands are counted.
type countedServer struct {
	t       *testing.T
	counted *commandCounter
	outbox  *redisstore.Outbox
	engine  *watchword.Engine
	handler http.Handler
}

func newCountedServer(t *testing.T) *countedServer {
	t.Helper()
	client, err := redisstore.Open(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	c := &countedServer{t: t, counted: &commandCounter{}, outbox: newOutboxStore(t, client)}
	client.AddHook(c.counted)
	c.engine, c.handler = newHandlerOnRedis(t, client, c.outbox)
	return c
}

// post returns the number of commands that a request takes, and its answer.
func (c *countedServer) post(path string, body object, want int) (commands int64, answer object) {
	c.t.Helper()
	before := c.counted.n.Load()
	answer = postTo(c.t, c.handler, path, body, want)
	return c.counted.n.Load() - before, answer
}

// takeCode takes the only message from the outbox, which must be that of the challenge, and returns its code.
func (c *countedServer) takeCode(challenge any) string {
	c.t.Helper()
	claimed, err := c.outbox.Claim(c.t.Context(), 1)
	if err != nil || len(claimed) != 1 || claimed[0].ChallengeID != challenge {
		c.t.Fatalf("the outbox holds %v, %v", claimed, err)
	}
	m, err := c.engine.ComposeMessage(c.t.Context(), claimed[0])
	if err != nil {
		c.t.Fatal(err)
	}
	return m.Code.Reveal()
}

// A check over HTTP takes one Redis command. A start takes two: one for the limits, and one for the challenge and its message in the
// outbox. Events of both are queued in the same commands.
func TestRoundTripsOverHTTP(t *testing.T) {
	c := newCountedServer(t)
	cycle := func() (start, wrong, right int64) {
		start, answer := c.post("/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "alice@example.com", "subject": "user_42",
			"client": object{"ip": "203.0.113.7"}}, http.StatusCreated)
		path, code := "/v1/challenges/"+answer["id"].(string)+"/check", c.takeCode(answer["id"])
		wrong, _ = c.post(path, object{"purpose": "sign_in", "subject": "user_42", "answer": wrongCode(code)}, http.StatusUnprocessableEntity)
		right, _ = c.post(path, object{"purpose": "sign_in", "subject": "user_42", "answer": code}, http.StatusOK)
		return start, wrong, right
	}
	cycle() // Redis learns the scripts
	if start, wrong, right := cycle(); start != 2 || wrong != 1 || right != 1 {
		t.Fatalf("a start costs %d round trips, a wrong check %d, a right one %d", start, wrong, right)
	}
	happened, err := c.outbox.Events().Claim(t.Context(), 10)
	if err != nil || len(happened) != 4 { // two starts and two approvals
		t.Errorf("queued %v, %v", happened, err)
	}
}

// A verification that opens its only method at the start takes at most four Redis commands, its check three, and the collection of
// the receipt two.
func TestRoundTripsOfVerificationOverHTTP(t *testing.T) {
	c := newCountedServer(t)
	start := func() (commands int64, id, handle, code string) {
		t.Helper()
		commands, answer := c.post("/v1/verifications", object{"purpose": "mfa", "subject": "user_42", "client": object{"ip": "203.0.113.7"},
			"methods": []object{{"strategy": "otp", "channel": "email", "to": "alice@example.com"}}}, http.StatusCreated)
		return commands, answer["id"].(string), answer["handle"].(string), c.takeCode(answer["challenge"].(map[string]any)["id"])
	}
	cycle := func() (started, wrong, right, redeemed int64) {
		started, id, _, code := start()
		path := "/v1/verifications/" + id + "/check"
		wrong, _ = c.post(path, object{"purpose": "mfa", "subject": "user_42", "answer": wrongCode(code)}, http.StatusUnprocessableEntity)
		right, _ = c.post(path, object{"purpose": "mfa", "subject": "user_42", "answer": code}, http.StatusOK)
		_, id, handle, code := start()
		if err := c.engine.AnswerVerification(t.Context(), id, "", watchword.Answer{Text: code, Starter: true}, watchword.Client{}); err != nil {
			t.Fatal(err)
		}
		redeemed, _ = c.post("/v1/verifications/"+id+"/redeem", object{"handle": handle, "purpose": "mfa", "subject": "user_42"}, http.StatusOK)
		return started, wrong, right, redeemed
	}
	cycle() // Redis learns the scripts
	if start, wrong, right, redeem := cycle(); start > 4 || wrong > 3 || right > 3 || redeem > 2 {
		t.Errorf("a start takes %d commands, a wrong check %d, a right one %d, a collection %d", start, wrong, right, redeem)
	}
}

// Concurrent requests take as many commands as others, and share round trips.
func TestConcurrentRequestsShareRoundTrips(t *testing.T) {
	const requests = 64
	redis := redistest.Start(t)
	client, err := redisstore.Open(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_, handler := newHandlerOnRedis(t, client, newOutboxStore(t, client))
	ids := make([]string, requests)
	start := func(i int) {
		answer := postTo(t, handler, "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email",
			"to": fmt.Sprintf("alice%d@example.com", i), "subject": fmt.Sprint("user", i), "client": object{"ip": fmt.Sprintf("203.0.113.%d", i)}}, http.StatusCreated)
		ids[i], _ = answer["id"].(string)
	}
	check := func(i int) {
		postTo(t, handler, "/v1/challenges/"+ids[i]+"/check", object{"purpose": "sign_in", "subject": fmt.Sprint("user", i), "answer": "000000"},
			http.StatusUnprocessableEntity, http.StatusOK) // one in a million is right
	}
	start(0) // Redis learns the scripts
	check(0)
	counted := &commandCounter{}
	client.AddHook(counted)
	for _, kind := range []struct {
		name     string
		request  func(i int)
		commands int64
	}{{"starts", start, 2}, {"checks", check, 1}} {
		before := counted.scripts.Load()
		var all sync.WaitGroup
		for i := range requests {
			all.Go(func() { kind.request(i) })
		}
		all.Wait()
		if n := counted.scripts.Load() - before; n != requests*kind.commands {
			t.Errorf("%d %s take %d commands", requests, kind.name, n)
		}
	}
	if counted.shared.Load() == 0 {
		t.Error("no round trip was shared")
	}
}

// postTo posts to a handler and returns the decoded answer, which must have one of the statuses.
func postTo(t *testing.T, handler http.Handler, path string, body object, want ...int) (answer object) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Error(err)
	}
	req := httptest.NewRequest("POST", path, bytes.NewReader(data))
	req.Header.Set("Authorization", "Bearer a-long-key-of-the-test")
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || !slices.Contains(want, w.Code) {
		t.Errorf("%s: %d %s (%v)", path, w.Code, w.Body, err)
	}
	return answer
}

func TestMetricsCountCommandsOfRoundTrips(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), redistest.Start(t).URL(), "--metrics-listen", "127.0.0.1:0")
	n.start()
	metrics := fetchMetrics(t, n.loggedAddr("metrics served"))
	for _, store := range []string{"challenges", "limits"} {
		if prefix := `watchword_store_commands_per_round_trip_bucket{store="` + store + `",le="64"} `; !strings.Contains(metrics, prefix) || strings.Contains(metrics, prefix+"0\n") {
			t.Errorf("no round trip to the store of %s is counted:\n%s", store, metrics)
		}
	}
}

func newOutboxStore(t *testing.T, client goredis.UniversalClient) *redisstore.Outbox {
	t.Helper()
	outbox, err := redisstore.NewOutbox(redisstore.New(client, redisstore.Config{}), redisstore.OutboxConfig{App: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	return outbox
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
		Store: store, Subscribed: func(string) bool { return true }, Strategies: []watchword.Strategy{codes}, Addresses: addresses,
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
