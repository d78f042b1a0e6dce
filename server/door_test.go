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

func TestNothingHere(t *testing.T) {
	b := newBench(t, options{})
	for _, target := range []string{"/", "/v1", "/v1/", "/v2/challenges", "/v1/challenges/", "/v1/challenges/x/", "/v1/challenges/x/verify", "//v1/challenges",
		"/v1//challenges", "/v1/../v1/challenges", "/v1/./challenges", "/problems/", "/problems/nothing", "/metrics", "/inbox", "/.env"} {
		b.get(target).want(t, http.StatusNotFound, "not_found")
		if target != "/problems/nothing" {
			b.post(target, signIn).want(t, http.StatusNotFound, "not_found")
		}
	}
}

func TestOtherMethods(t *testing.T) {
	b := newBench(t, options{})
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
			r := b.do(request(method, target, "")).want(t, http.StatusMethodNotAllowed, "method_not_allowed")
			if got := r.header.Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow is %q, want %q", method, target, got, allow)
			}
		}
	}
}

// TestHeadIsGetWithoutBody needs a real server: it is net/http that leaves the body out.
func TestHeadIsGetWithoutBody(t *testing.T) {
	b := newBench(t, options{})
	srv := httptest.NewServer(b.server)
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

func TestDevelopmentAnswersLoopbackNamesOnly(t *testing.T) {
	b := newBench(t, options{development: true, configure: func(c *server.Config) {
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
			r := request(http.MethodGet, target, "")
			r.Host = host
			if got := b.do(r); (got.status != http.StatusForbidden) != allowed {
				t.Errorf("Host %q, %s: %d", host, target, got.status)
			} else if !allowed && got.str("code") != "forbidden" {
				t.Errorf("Host %q: %s", host, got.text)
			}
		}
	}
}

func TestProductionIgnoresTheHost(t *testing.T) {
	b := newBench(t, options{})
	r := request(http.MethodPost, "/v1/challenges", signIn, "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "X-Forwarded-Proto", "http")
	r.Host = "evil.example"
	if got := b.do(r).want(t, http.StatusCreated, ""); !strings.HasPrefix(got.str("page_url"), "https://shop.example.com/c/") {
		t.Errorf("page_url %s", got.str("page_url"))
	}
	r = request(http.MethodPost, "/v1/challenges", signIn, "Authorization", "Bearer "+bankKey)
	if got := b.do(r).want(t, http.StatusCreated, ""); !strings.HasPrefix(got.str("page_url"), "https://bank.example.com/c/") {
		t.Errorf("page_url %s", got.str("page_url"))
	}
	if got := b.post("/v1/challenges", `{}`, "Authorization", "Bearer "+bankKey); got.str("type") != "https://bank.example.com/problems/invalid_request" {
		t.Errorf("type %s", got.str("type"))
	}
}

// TestPanics: one before the answer is a problem, one in the middle of it cuts the connection; both are logged, and
// neither says what it was about to anybody.
func TestPanics(t *testing.T) {
	const secret = "code 492039"
	b := newBench(t, options{configure: func(c *server.Config) {
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
		if r := b.get(target).want(t, http.StatusInternalServerError, "internal_error"); strings.Contains(r.text, "492039") {
			t.Error(r.text)
		}
	}
	srv := httptest.NewServer(b.server)
	defer srv.Close()
	r, err := http.Get(srv.URL + "/within")
	if err == nil {
		_, err = bytes.NewBuffer(nil).ReadFrom(r.Body)
		_ = r.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks like a whole one")
	}
	log := b.log.String()
	if strings.Contains(log, "492039") || strings.Count(log, "a handler panicked") != 3 || !strings.Contains(log, "index out of range") {
		t.Errorf("the log: %s", log)
	}
}

func TestMountedHandlers(t *testing.T) {
	flushed := false
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		flushed = http.NewResponseController(w).Flush() == nil
	})
	b := newBench(t, options{configure: func(c *server.Config) { c.Mount = map[string]http.Handler{"GET /inbox": hello} }})
	b.get("/inbox").want(t, http.StatusOK, "")
	if !flushed || !strings.Contains(b.log.String(), `"route":"/inbox","status":200`) {
		t.Errorf("the log: %s", b.log.String())
	}
	for _, pattern := range []string{"POST /v1/challenges", "GET /healthz", "no pattern", "/"} {
		cfg := server.Config{Apps: goodApps(t, b), Mount: map[string]http.Handler{pattern: hello}}
		if _, err := server.New(cfg); err == nil || !strings.Contains(err.Error(), "Mount") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func goodApps(t *testing.T, b *bench) []server.App {
	return []server.App{{Engine: b.engines["shop"], Signer: newSigner(t, "k"), PublicURL: "https://shop.example.com", Keys: []server.APIKey{key("k", server.ScopeChallenges)}}}
}

// TestTheLog: one JSON object a line, whatever is sent, and nothing in it that is a secret or says who.
func TestTheLog(t *testing.T) {
	b := newBench(t, options{})
	started := b.post("/v1/challenges", signIn, "User-Agent", "x\r\n\x1b[31m{\"level\":\"ERROR\"}", idempotencyKey, "order-17")
	id, code := started.str("id"), b.code("shop", started.str("id"))
	b.check(id, wrong(code))
	approved := b.check(id, code)
	b.get("/v1/%1b[31m%0d%0a%7b%22msg%22:%22forged%22%7d")
	b.do(request("FORGED", "/v1/challenges", ""))
	b.get("/healthz", "Authorization", "Bearer "+shopKey)
	b.post("/v1/challenges", signIn, "Authorization", "Bearer "+factorsKey)
	log := b.log.String()
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
	requests = requests[1:] // the first one fetched the document
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
	for _, secret := range []string{code, started.str("handle"), started.str("page_url"), approved.str("receipt"), "14155550123", "user_42", shopKey,
		factorsKey, "order-17", "\x1b", "forged", "FORGED", "192.0.2.1", id} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// counter is what a program would count with.
type counter struct {
	mu   sync.Mutex
	seen []string
}

func (c *counter) Request(method, route string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if took < 0 {
		panic("time runs backwards")
	}
	c.seen = append(c.seen, method+" "+route+" "+http.StatusText(status))
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	count := &counter{}
	b := newBench(t, options{configure: func(c *server.Config) { c.Metrics = count }})
	count.seen = nil
	id := b.start()
	b.get("/v1/challenges/" + id)
	b.get("/v1/" + id)
	b.do(request("BREW", "/v1/challenges", ""))
	b.get("/v1//challenges")
	want := []string{"POST /v1/challenges Created", "GET /v1/challenges/{id} OK", "GET  Not Found", "other /v1/challenges Method Not Allowed", "GET  Not Found"}
	if !slices.Equal(count.seen, want) {
		t.Errorf("counted %q", count.seen)
	}
}

func TestStoresOutOfReach(t *testing.T) {
	store := &moody{}
	b := newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{Clock: b.clock.Now})
	id := b.start()
	code := b.code("shop", id)
	b.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
	store.down.Store(true)
	for _, r := range []*reply{b.get("/readyz", "Authorization", ""), b.post("/v1/challenges", signIn), b.check(id, code), b.get("/v1/challenges/" + id),
		b.get("/v1/challenges/" + id + "?wait=25"), b.post("/v1/challenges/"+id+"/resend", ""), b.post("/v1/challenges/"+id+"/cancel", ""),
		b.post("/v1/challenges", signIn, idempotencyKey, "k")} {
		r.want(t, http.StatusServiceUnavailable, "unavailable")
		if strings.Contains(r.text, "10.0.0.7") {
			t.Errorf("the answer says what was dialled: %s", r.text)
		}
	}
	b.get("/healthz", "Authorization", "").want(t, http.StatusOK, "")
	if n := b.outbox.count(); n != 1 {
		t.Errorf("%d messages", n)
	}
	if !strings.Contains(b.log.String(), errDown.Error()) {
		t.Error("the log does not say what could not be reached")
	}
	store.down.Store(false)
	b.get("/readyz", "Authorization", "").want(t, http.StatusOK, "")
	b.check(id, code).want(t, http.StatusOK, "")
}

// TestEveryAppMustBeReady, whichever it is that cannot be.
func TestEveryAppMustBeReady(t *testing.T) {
	store := &moody{}
	well, ill := newBench(t, options{}), newBench(t, options{store: store})
	store.Store = memory.New(memory.Config{})
	store.down.Store(true)
	apps := []server.App{goodApps(t, well)[0], goodApps(t, ill)[0]}
	apps[1].Engine, apps[1].Keys = ill.engines["bank"], []server.APIKey{key("other", server.ScopeChallenges)}
	apps[1].Signer = apps[0].Signer
	for range 2 {
		s, err := server.New(server.Config{Apps: apps})
		must(t, err)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("ready with %d, though one app is not", w.Code)
		}
		apps[0], apps[1] = apps[1], apps[0]
	}
}

// TestOtherErrorsStayInside: what is no error of the engine's is the log's business.
func TestOtherErrorsStayInside(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{faulty{func() error { return errDown }}}})
	r := b.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa"}`).want(t, http.StatusInternalServerError, "internal_error")
	if strings.Contains(r.text, "dial") || !strings.Contains(b.log.String(), r.header.Get("X-Request-Id")) {
		t.Errorf("answer %s, log %s", r.text, b.log.String())
	}
}

func TestTimeThatRanOutIsUnavailable(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{faulty{func() error { return fmt.Errorf("asking: %w", context.DeadlineExceeded) }}}})
	b.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa"}`).want(t, http.StatusServiceUnavailable, "unavailable")
}

func TestRateLimited(t *testing.T) {
	limits := &switchable{}
	b := newBench(t, options{starts: limits})
	limits.set(&watchword.LimitError{Rule: "address-10m", RetryAfter: 90*time.Second + 1})
	r := b.post("/v1/challenges", signIn).want(t, http.StatusTooManyRequests, "rate_limited")
	if r.str("limit") != "address-10m" || r.header.Get("Retry-After") != "91" {
		t.Errorf("%s, Retry-After %q", r.text, r.header.Get("Retry-After"))
	}
}
