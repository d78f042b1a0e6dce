package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/server"
)

const (
	// bareArgument makes this program serve a bare handler. The addresses of Redis and the URL for webhooks follow.
	bareArgument = "serve-bare-handler"

	bareWorkers = 32     // as many as a delivery.Worker has
	bareQueue   = 10_000 // webhooks; as many as an app of watchword may have waiting
)

// bareScript stores a small record, which is about the least that a verification needs of Redis.
const bareScript = `return redis.call('SET', KEYS[1], ARGV[1], 'PX', 600000)`

// bareRecord has the size of an encrypted challenge.
var bareRecord = string(bytes.Repeat([]byte("x"), 500))

// A bareHandler answers like the API without verifying anything. HTTP server, JSON library, HTTP client and the options of the
// Redis client are those of watchword, and webhooks are sent in the background as watchword sends them.
type bareHandler struct {
	redis    redis.UniversalClient
	sha      string // of bareScript
	webhooks chan string
}

// serveBare serves a bare handler until ctx ends.
func serveBare(ctx context.Context, redisAddrs []string, sink string, stdout io.Writer) error {
	h := &bareHandler{redis: newBareClient(redisAddrs), webhooks: make(chan string, bareQueue)}
	defer func() { _ = h.redis.Close() }()
	var err error
	if h.sha, err = h.redis.ScriptLoad(ctx, bareScript).Result(); err != nil {
		return err
	}
	client := delivery.Environment{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}.HTTPClient()
	for range bareWorkers {
		go h.sendWebhooks(client, sink)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/challenges", h.start)
	mux.HandleFunc("POST /v1/challenges/{id}/check", h.check)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := server.NewHTTPServer(l.Addr().String(), mux, 4096)
	go func() { <-ctx.Done(); _ = srv.Close() }()
	if _, err := fmt.Fprintf(stdout, `{"msg":"listening","addr":%q}`+"\n", l.Addr()); err != nil {
		return err
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newBareClient returns a client with the options that watchword uses. Several addresses are those of a Cluster.
func newBareClient(addrs []string) redis.UniversalClient {
	const buffer = 8 << 10
	notifications := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	pool := max(64, 16*runtime.GOMAXPROCS(0))
	if len(addrs) > 1 {
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, Protocol: 2, PoolSize: pool, MaxRetries: -1, ContextTimeoutEnabled: true,
			DisableIdentity: true, DisableRoutingPolicies: true, MaintNotificationsConfig: notifications, ReadBufferSize: buffer, WriteBufferSize: buffer})
	}
	return redis.NewClient(&redis.Options{Addr: addrs[0], Protocol: 2, PoolSize: pool, MaxRetries: -1, ContextTimeoutEnabled: true,
		DisableIdentity: true, MaintNotificationsConfig: notifications, ReadBufferSize: buffer, WriteBufferSize: buffer})
}

// A bareAnswer is the answer to every request.
type bareAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

func (h *bareHandler) start(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	if !h.store(w, r, id) {
		return
	}
	h.webhooks <- id
	writeBareAnswer(w, http.StatusCreated, bareAnswer{id, "pending"})
}

func (h *bareHandler) check(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if h.store(w, r, id) {
		writeBareAnswer(w, http.StatusOK, bareAnswer{id, "approved"})
	}
}

// store reads the request and runs the script. If it returns false, it has answered the request.
func (h *bareHandler) store(w http.ResponseWriter, r *http.Request, key string) bool {
	var body struct {
		startRequest
		Answer string `json:"answer"`
	}
	if err := json.UnmarshalRead(r.Body, &body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	if err := h.redis.EvalSha(r.Context(), h.sha, []string{key}, bareRecord).Err(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return false
	}
	return true
}

func writeBareAnswer(w http.ResponseWriter, status int, answer bareAnswer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, answer)
}

// sendWebhooks posts a webhook for each id.
func (h *bareHandler) sendWebhooks(client *http.Client, sink string) {
	for id := range h.webhooks {
		var hook webhook
		hook.Type, hook.Data.ChallengeID, hook.Data.Code = "message.send", id, "123456"
		body, err := json.Marshal(hook)
		if err != nil {
			panic(err)
		}
		resp, err := client.Post(sink, "application/json", bytes.NewReader(body))
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
}
