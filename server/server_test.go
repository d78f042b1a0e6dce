package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

func TestUnknownPathReturnsNotFound(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	for _, target := range []string{"/", "/v1", "/v1/", "/v2/challenges", "/v1/challenges/", "/v1/challenges/x/", "/v1/challenges/x/verify", "//v1/challenges",
		"/v1//challenges", "/v1/../v1/challenges", "/v1/./challenges", "/problems/", "/problems/nothing", "/metrics", "/inbox", "/.env"} {
		ts.get(target).want(t, http.StatusNotFound, "not_found")
		if target != "/problems/nothing" {
			ts.post(target, signInRequest).want(t, http.StatusNotFound, "not_found")
		}
	}
}

func TestWrongMethodReturnsAllowHeader(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	for target, allow := range map[string]string{
		"/v1/challenges":             "POST",
		"/v1/challenges/ch_x":        "GET, HEAD",
		"/v1/challenges/ch_x/check":  "POST",
		"/v1/challenges/ch_x/redeem": "POST",
		"/v1/challenges/ch_x/resend": "POST",
		"/v1/challenges/ch_x/cancel": "POST",
		"/v1/receipts/redeem":        "POST",
		"/v1/factors":                "GET, HEAD",
		"/v1/factors/fa_1":           "GET, HEAD, PATCH, DELETE",
		"/v1/subjects/user_42":       "DELETE",
		"/.well-known/jwks.json":     "GET, HEAD, OPTIONS",
		"/openapi.json":              "GET, HEAD, OPTIONS",
		"/healthz":                   "GET, HEAD",
		"/readyz":                    "GET, HEAD",
		"/problems":                  "GET, HEAD",
		"/problems/incorrect_answer": "GET, HEAD",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "TRACE", "BREW"} {
			if slices.Contains(strings.Split(allow, ", "), method) {
				continue
			}
			r := ts.send(newRequest(method, target, "")).want(t, http.StatusMethodNotAllowed, "method_not_allowed")
			if got := r.header.Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow is %q, want %q", method, target, got, allow)
			}
		}
	}
}

// TestHeadReturnsHeadersOfGet needs a listening server, because net/http omits the body.
func TestHeadReturnsHeadersOfGet(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	srv := httptest.NewServer(ts.server)
	defer srv.Close()
	for _, target := range []string{"/healthz", "/problems/incorrect_answer", "/openapi.json"} {
		r, err := http.Head(srv.URL + target)
		must(t, err)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d", target, r.StatusCode)
		}
	}
}

func TestDevelopmentRejectsHostsThatAreNotLoopback(t *testing.T) {
	ts := newTestServer(t, serverOptions{development: true, configure: func(c *server.Config) {
		c.Mount = map[string]http.Handler{"GET /inbox": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	}})
	for host, allowed := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LocalHost:1": true, "127.0.0.1": true, "127.0.0.1:8080": true, "127.8.9.1": true,
		"[::1]": true, "[::1]:8080": true,
		"": false, "example.com": false, "localhost.example.com": false, "localhost.": false, "127.0.0.1.nip.io": false, "128.0.0.1": false,
		"0.0.0.0": false, "[::]:8080": false, "[::ffff:127.0.0.1]": false, "[::1%25lo]": false, "2130706433": false, "0x7f.1": false,
		"localhost:8080:9": false, "10.0.0.1": false, "[::1": false, "localhost@example.com": false,
	} {
		for _, target := range []string{"/healthz", "/v1/challenges", "/inbox", "/nowhere"} {
			r := newRequest(http.MethodGet, target, "")
			r.Host = host
			if got := ts.send(r); (got.status != http.StatusForbidden) != allowed {
				t.Errorf("Host %q, %s: %d", host, target, got.status)
			} else if !allowed && got.stringAt("code") != "forbidden" {
				t.Errorf("Host %q: %s", host, got.text)
			}
		}
	}
}

func TestProductionIgnoresHostHeader(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	r := newRequest(http.MethodPost, "/v1/challenges", signInRequest, "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "X-Forwarded-Proto", "http")
	r.Host = "evil.example"
	if got := ts.send(r).want(t, http.StatusCreated, ""); !strings.HasPrefix(got.stringAt("page_url"), "https://shop.example.com/c/") {
		t.Errorf("page_url %s", got.stringAt("page_url"))
	}
	r = newRequest(http.MethodPost, "/v1/challenges", signInRequest, "Authorization", "Bearer "+bankKey)
	if got := ts.send(r).want(t, http.StatusCreated, ""); !strings.HasPrefix(got.stringAt("page_url"), "https://bank.example.com/c/") {
		t.Errorf("page_url %s", got.stringAt("page_url"))
	}
	if got := ts.post("/v1/challenges", `{}`, "Authorization", "Bearer "+bankKey); got.stringAt("type") != "https://bank.example.com/problems/invalid_request" {
		t.Errorf("type %s", got.stringAt("type"))
	}
}

// A panic before the response becomes a problem, and a later one closes the connection. Both are logged, and neither the
// response nor the log contains the panic's value.
func TestPanicReturnsInternalErrorOrCutsConnection(t *testing.T) {
	const secret = "code 492039"
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) {
		c.Mount = map[string]http.Handler{
			"/before": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(secret) }),
			"/within": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte("half"))
				panic(secret)
			}),
			"/index": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = []int{}[len(secret)] }),
		}
	}})
	for _, target := range []string{"/before", "/index"} {
		if r := ts.get(target).want(t, http.StatusInternalServerError, "internal_error"); strings.Contains(r.text, "492039") {
			t.Error(r.text)
		}
	}
	srv := httptest.NewServer(ts.server)
	defer srv.Close()
	r, err := http.Get(srv.URL + "/within")
	if err == nil {
		_, err = bytes.NewBuffer(nil).ReadFrom(r.Body)
		_ = r.Body.Close()
	}
	if err == nil {
		t.Error("an incomplete response looks complete")
	}
	log := ts.log.String()
	if strings.Contains(log, "492039") || strings.Count(log, "handler panicked") != 3 || !strings.Contains(log, "index out of range") {
		t.Errorf("the log: %s", log)
	}
}

func TestMountServesHandlersAndRejectsTakenPatterns(t *testing.T) {
	flushed := false
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		flushed = http.NewResponseController(w).Flush() == nil
	})
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) { c.Mount = map[string]http.Handler{"GET /inbox": hello} }})
	ts.get("/inbox").want(t, http.StatusOK, "")
	if !flushed || !strings.Contains(ts.log.String(), `"route":"/inbox","status":200`) {
		t.Errorf("the log: %s", ts.log.String())
	}
	for _, pattern := range []string{"POST /v1/challenges", "GET /healthz", "no pattern", "/"} {
		cfg := server.Config{Apps: validApps(t, ts), Mount: map[string]http.Handler{pattern: hello}}
		if _, err := server.New(cfg); err == nil || !strings.Contains(err.Error(), "Mount") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func validApps(t *testing.T, ts *testServer) []server.App {
	return []server.App{{Engine: ts.engines["shop"], Signer: newSigner(t, "k"), PublicURL: "https://shop.example.com", Keys: []server.APIKey{newAPIKey("k", server.ScopeChallenges)}}}
}

// TestRequestLogHoldsNoSecrets also checks that each line is a JSON object, whatever the request contains.
func TestRequestLogHoldsNoSecrets(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	started := ts.post("/v1/challenges", signInRequest, "User-Agent", "x\r\n\x1b[31m{\"level\":\"ERROR\"}", idempotencyKey, "order-17")
	id, code := started.stringAt("id"), ts.sentCode("shop", started.stringAt("id"))
	ts.checkAnswer(id, wrongCode(code))
	approved := ts.checkAnswer(id, code)
	ts.get("/v1/%1b[31m%0d%0a%7b%22msg%22:%22forged%22%7d")
	ts.send(newRequest("FORGED", "/v1/challenges", ""))
	ts.get("/healthz", "Authorization", "Bearer "+shopKey)
	ts.post("/v1/challenges", signInRequest, "Authorization", "Bearer "+factorsKey)
	log := ts.log.String()
	lines := bufio.NewScanner(strings.NewReader(log))
	var requests []map[string]any
	for lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("no JSON object: %q", lines.Text())
		}
		if line["msg"] == "request" {
			requests = append(requests, line)
		}
	}
	requests = requests[1:] // the first request fetched the OpenAPI document
	if len(requests) != 7 {
		t.Errorf("%d lines for 7 requests", len(requests))
	}
	for name, want := range map[string]any{"method": "POST", "route": "/v1/challenges", "status": 201.0, "app": "shop", "request": started.header.Get("X-Request-Id")} {
		if requests[0][name] != want {
			t.Errorf("%s is %v, want %v", name, requests[0][name], want)
		}
	}
	if requests[3]["route"] != "" || requests[4]["method"] != "other" || requests[6]["level"] != "INFO" {
		t.Errorf("routes and methods of others: %v", requests)
	}
	for _, secret := range []string{code, started.stringAt("handle"), started.stringAt("page_url"), approved.stringAt("receipt"), "14155550123", "user_42", shopKey,
		factorsKey, "order-17", "\x1b", "forged", "FORGED", "192.0.2.1", id} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// A requestCounter records the labels of requests.
type requestCounter struct {
	mu   sync.Mutex
	seen []string
}

func (c *requestCounter) ObserveRequest(method, route string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if took < 0 {
		panic("negative duration")
	}
	c.seen = append(c.seen, method+" "+route+" "+http.StatusText(status))
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	count := &requestCounter{}
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) { c.Metrics = count }})
	count.seen = nil
	id := ts.startChallenge()
	ts.get("/v1/challenges/" + id)
	ts.get("/v1/" + id)
	ts.send(newRequest("BREW", "/v1/challenges", ""))
	ts.get("/v1//challenges")
	want := []string{"POST /v1/challenges Created", "GET /v1/challenges/{id} OK", "GET  Not Found", "other /v1/challenges Method Not Allowed", "GET  Not Found"}
	if !slices.Equal(count.seen, want) {
		t.Errorf("counted %q", count.seen)
	}
}

func TestUnavailableStoreReturns503(t *testing.T) {
	store := &faultyStore{}
	ts := newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{Clock: ts.clock.Now})
	id := ts.startChallenge()
	code := ts.sentCode("shop", id)
	ts.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
	store.failAll.Store(true)
	for _, r := range []*apiResponse{ts.get("/readyz", "Authorization", ""), ts.post("/v1/challenges", signInRequest), ts.checkAnswer(id, code), ts.get("/v1/challenges/" + id),
		ts.get("/v1/challenges/" + id + "?wait=25"), ts.post("/v1/challenges/"+id+"/resend", ""), ts.post("/v1/challenges/"+id+"/cancel", ""),
		ts.post("/v1/challenges", signInRequest, idempotencyKey, "k")} {
		r.want(t, http.StatusServiceUnavailable, "unavailable")
		if strings.Contains(r.text, "10.0.0.7") {
			t.Errorf("the response contains the address of the store: %s", r.text)
		}
	}
	ts.get("/healthz", "Authorization", "").want(t, http.StatusOK, "")
	if n := ts.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
	if !strings.Contains(ts.log.String(), errConnectionRefused.Error()) {
		t.Error("the log does not contain the cause")
	}
	store.failAll.Store(false)
	ts.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
	ts.checkAnswer(id, code).want(t, http.StatusOK, "")
}

func TestReadinessFailsWhenOneAppIsNotReady(t *testing.T) {
	store := &faultyStore{}
	ready, failing := newTestServer(t, serverOptions{}), newTestServer(t, serverOptions{store: store})
	store.Store = memory.New(memory.Config{})
	store.failAll.Store(true)
	apps := []server.App{validApps(t, ready)[0], validApps(t, failing)[0]}
	apps[1].Engine, apps[1].Keys = failing.engines["bank"], []server.APIKey{newAPIKey("other", server.ScopeChallenges)}
	apps[1].Signer = apps[0].Signer
	for range 2 {
		s, err := server.New(server.Config{Apps: apps})
		must(t, err)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d, though one app is not ready", w.Code)
		}
		apps[0], apps[1] = apps[1], apps[0]
	}
}

func TestUnknownErrorReturnsInternalErrorWithoutCause(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return errConnectionRefused }}}})
	r := ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa"}`).want(t, http.StatusInternalServerError, "internal_error")
	if strings.Contains(r.text, "dial") || !strings.Contains(ts.log.String(), r.header.Get("X-Request-Id")) {
		t.Errorf("answer %s, log %s", r.text, ts.log.String())
	}
}

func TestExceededDeadlineReturnsUnavailable(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return fmt.Errorf("asking: %w", context.DeadlineExceeded) }}}})
	ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa"}`).want(t, http.StatusServiceUnavailable, "unavailable")
}

func TestRateLimitReturnsLimitAndRetryAfter(t *testing.T) {
	limits := &settableLimiter{}
	ts := newTestServer(t, serverOptions{starts: limits})
	limits.set(&watchword.LimitError{Rule: "address-10m", RetryAfter: 90*time.Second + 1})
	r := ts.post("/v1/challenges", signInRequest).want(t, http.StatusTooManyRequests, "rate_limited")
	if r.stringAt("limit") != "address-10m" || r.header.Get("Retry-After") != "91" {
		t.Errorf("%s, Retry-After %q", r.text, r.header.Get("Retry-After"))
	}
}
