package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// breakerServers are the processes, and who receives their messages.
type breakerServers struct {
	t     *testing.T
	nodes []*node
	redis *redistest.Server
	codes *codeReceiver
	sends atomic.Int64
}

func startBreakerServers(t *testing.T, processes int) *breakerServers {
	s := &breakerServers{t: t, redis: redistest.Start(t), codes: startCodeReceiver(t)}
	config := breakerConfigFile(t, s.redis.URL(), s.codes.Listener.Addr().String())
	env := []string{"SSL_CERT_FILE=" + certificateFile(t, s.codes.Server)}
	s.nodes = make([]*node, processes)
	for i := range s.nodes {
		s.nodes[i] = startServer(t, env, "--config", config, "--log-level", "info", "--metrics-listen", "127.0.0.1:0")
	}
	return s
}

// breakerConfigFile is a configuration in which an answer may be given for eight seconds.
func breakerConfigFile(t *testing.T, redisURL, receiver string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("watchword", "keys", "new", "--dir", dir, "--name", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := `listen: 127.0.0.1:0
redis: ` + redisURL + `
keyring: [{id: "1", secret_file: keyring-1.key}]
identity_key_file: identity.key
signing: [{kid: "1", key_file: signing-1.pem}]
public_url: https://verify.example.com
allowed_networks: [127.0.0.0/8]
send: {sms: ["webhook+https://` + receiver + `/?secret=` + eventsSecret + `"]}
apps:
`
	for app, dry := range breakerApps {
		key := sha256.Sum256([]byte(app + "-key"))
		config += fmt.Sprintf(`  - id: %s
    keys: [{sha256: %s, scopes: [challenges]}]
    codes: {lifetime: 8s}
    prefix_breaker: {window: 1m, sent: 36, shadow: %t}
`, app, hex.EncodeToString(key[:]), dry)
	}
	path := filepath.Join(dir, "watchword.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A codeReceiver takes the messages of all servers.
type codeReceiver struct {
	*httptest.Server
	mu    sync.Mutex
	codes map[string]string // by challenge
}

func startCodeReceiver(t *testing.T) *codeReceiver {
	r := &codeReceiver{codes: map[string]string{}}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var message struct {
			Data struct {
				ChallengeID string `json:"challenge_id"`
				Code        string `json:"code"`
			} `json:"data"`
		}
		if err := json.NewDecoder(req.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.codes[message.Data.ChallengeID] = message.Data.Code
	}))
	t.Cleanup(r.Close)
	return r
}

// code waits for a challenge's.
func (r *codeReceiver) code(t *testing.T, challenge string) (code string) {
	t.Helper()
	becomes(t, "there", func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		if code = r.codes[challenge]; code == "" {
			return "missing"
		}
		return "there"
	})
	return code
}

// call calls the API of the n-th process as an app.
func (s *breakerServers) call(n int, app, path string, body object) (reply, http.Header) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.nodes[n%len(s.nodes)].url+path, strings.NewReader(string(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+app+"-key")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, text: string(answer)}
	_ = json.Unmarshal(answer, &r.body)
	return r, res.Header
}

// start starts a challenge for a number of a block that nobody has used.
func (s *breakerServers) start(n int, app, block string, known bool) (reply, http.Header, string) {
	to := fmt.Sprintf("%s%04d", block, s.sends.Add(1))
	r, header := s.call(n, app, "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "sms", "to": to, "client": object{"known": known}})
	return r, header, to
}

// send starts challenges, each at the next process; every each-th is verified at the one after that, none for 0.
func (s *breakerServers) send(app, block string, challenges, each int) {
	s.t.Helper()
	for n := range challenges {
		r, _, to := s.start(n, app, block, false)
		if r.status != http.StatusCreated {
			s.t.Fatalf("start %d of %s: %d %s", n, block, r.status, r.text)
		}
		code := s.codes.code(s.t, r.str("id"))
		if each == 0 || n%each != 0 {
			continue
		}
		r, _ = s.call(n+1, app, "/v1/challenges/"+r.str("id")+"/check", object{"purpose": "sign_in", "to": to, "answer": code})
		if r.status != http.StatusOK {
			s.t.Fatalf("check %d of %s: %d %s", n, block, r.status, r.text)
		}
	}
}
