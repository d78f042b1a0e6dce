package server_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/server"
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
		"/v1/challenges":              "POST",
		"/v1/challenges/ch_x":         "GET, HEAD",
		"/v1/challenges/ch_x/check":   "POST",
		"/v1/challenges/ch_x/redeem":  "POST",
		"/v1/challenges/ch_x/resend":  "POST",
		"/v1/challenges/ch_x/cancel":  "POST",
		"/v1/verifications":           "POST",
		"/v1/verifications/vf_x":      "GET, HEAD",
		"/v1/verifications/vf_x/open": "POST",
		"/v1/receipts/redeem":         "POST",
		"/v1/factors":                 "GET, HEAD",
		"/v1/factors/fa_1":            "GET, HEAD, PATCH, DELETE",
		"/v1/subjects/user_42":        "DELETE",
		"/.well-known/jwks.json":      "GET, HEAD, OPTIONS",
		"/openapi.json":               "GET, HEAD, OPTIONS",
		"/healthz":                    "GET, HEAD",
		"/readyz":                     "GET, HEAD",
		"/problems":                   "GET, HEAD",
		"/problems/incorrect_answer":  "GET, HEAD",
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
	request := strings.Replace(signInRequest, "{", `{"return_url":"https://app.example.com/done",`, 1)
	r := newRequest(http.MethodPost, "/v1/challenges", request, "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "X-Forwarded-Proto", "http")
	r.Host = "evil.example"
	if got := ts.send(r).want(t, http.StatusCreated, ""); !strings.HasPrefix(got.stringAt("page_url"), "https://shop.example.com/c/") {
		t.Errorf("page_url %s", got.stringAt("page_url"))
	}
	r = newRequest(http.MethodPost, "/v1/challenges", request, "Authorization", "Bearer "+bankKey)
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
