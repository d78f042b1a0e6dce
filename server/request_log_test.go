package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/server"
)

// TestRequestLogHoldsNoSecrets also checks that each line is a JSON object, whatever the request contains.
func TestRequestLogHoldsNoSecrets(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	started := ts.post("/v1/challenges", strings.Replace(signInRequest, "{", `{"return_url":"https://app.example.com/done",`, 1), "User-Agent", "x\r\n\x1b[31m{\"level\":\"ERROR\"}", idempotencyKey, "order-17")
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
	if requests[3]["route"] != "" || requests[4]["method"] != "" || requests[6]["level"] != "INFO" {
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
	mu     sync.Mutex
	seen   []string
	routes []string // that were announced
}

func (c *requestCounter) AddRoute(route string) { c.routes = append(c.routes, route) }

func (c *requestCounter) ObserveRequest(_ context.Context, method, route string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if took < 0 {
		panic("negative duration")
	}
	c.seen = append(c.seen, method+" "+route+" "+http.StatusText(status))
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	count := &requestCounter{}
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) {
		c.Metrics, c.Mount = count, map[string]http.Handler{"GET /inbox": http.NotFoundHandler()}
	}})
	count.seen = nil
	id := ts.startChallenge()
	ts.get("/v1/challenges/" + id)
	ts.get("/v1/" + id)
	ts.send(newRequest("BREW", "/v1/challenges", ""))
	ts.get("/v1//challenges")
	ts.send(newRequest(http.MethodPut, "/v1/challenges", ""))
	want := []string{"POST /v1/challenges Created", "GET /v1/challenges/{id} OK", "  Not Found", "  Method Not Allowed", "  Not Found", "  Method Not Allowed"}
	if !slices.Equal(count.seen, want) {
		t.Errorf("counted %q", count.seen)
	}
	for _, route := range []string{"/v1/challenges", "/v1/challenges/{id}", "/c/{id}/events", "/problems", "/inbox"} {
		if !slices.Contains(count.routes, route) {
			t.Errorf("the route %s was not announced", route)
		}
	}
}
