package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// breakerServers are production servers on one Redis, and the receiver of their messages.
type breakerServers struct {
	t     *testing.T
	nodes []*node
	redis *redistest.Server
	codes *codeReceiver
	sends atomic.Int64
}

func startBreakerServers(t *testing.T, processes int) *breakerServers {
	s := &breakerServers{t: t, redis: redistest.Start(t), codes: startCodeReceiver(t, httptest.NewTLSServer)}
	config := writeBreakerConfig(t, s.redis.URL(), s.codes.senderURL())
	env := []string{"SSL_CERT_FILE=" + writeCertificate(t, s.codes.Server)}
	s.nodes = make([]*node, processes)
	for i := range s.nodes {
		s.nodes[i] = startServer(t, env, "--config", config, "--log-level", "info", "--metrics-listen", "127.0.0.1:0")
	}
	return s
}

// writeBreakerConfig writes a configuration whose challenges expire after eight seconds. Then an unanswered one counts.
func writeBreakerConfig(t *testing.T, redisURL, sender string) string {
	t.Helper()
	config := "send: {sms: [\"" + sender + "\"]}\napps:\n"
	for app, shadow := range breakerApps {
		config += fmt.Sprintf(`  - id: %s
    keys: [{sha256: %s, scopes: [challenges]}]
    codes: {lifetime: 8s}
    prefix_breaker: {window: 1m, sent: 36, shadow: %t}
`, app, apiKeyDigest(app+"-key"), shadow)
	}
	return writeProductionConfig(t, redisURL, config)
}

// call sends a POST of an app to the n-th process, modulo their number.
func (s *breakerServers) call(n int, app, path string, body object) reply {
	s.t.Helper()
	r, err := s.nodes[n%len(s.nodes)].send(s.t.Context(), apiRequest{method: http.MethodPost, path: path, body: body, key: app + "-key"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// start starts a challenge for an unused number of a block.
func (s *breakerServers) start(n int, app, block string, trustedClient bool) (r reply, to string) {
	s.t.Helper()
	to = fmt.Sprintf("%s%04d", block, s.sends.Add(1))
	return s.call(n, app, "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "sms", "to": to, "client": object{"known": trustedClient}}), to
}

// send starts challenges at the processes in turn. Every n-th is verified, at the next process, with n = verifyEvery; 0 means none.
func (s *breakerServers) send(app, block string, challenges, verifyEvery int) {
	s.t.Helper()
	for n := range challenges {
		r, to := s.start(n, app, block, false)
		if r.status != http.StatusCreated {
			s.t.Fatalf("start %d of %s: %d %s", n, block, r.status, r.text)
		}
		code := s.codes.waitForCode(r.str("id"))
		if code == "" {
			s.t.Fatalf("start %d of %s: no message arrived", n, block)
		}
		if verifyEvery == 0 || n%verifyEvery != 0 {
			continue
		}
		r = s.call(n+1, app, "/v1/challenges/"+r.str("id")+"/check", object{"purpose": "sign_in", "to": to, "answer": code})
		if r.status != http.StatusOK {
			s.t.Fatalf("check %d of %s: %d %s", n, block, r.status, r.text)
		}
	}
}
