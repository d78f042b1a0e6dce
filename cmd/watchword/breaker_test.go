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
	"time"

	"github.com/watchword-auth/watchword/delivery"
	rediscounters "github.com/watchword-auth/watchword/delivery/redis"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// Production servers on one Redis that share the numbers of the prefix breaker: what one of them sends the next one verifies.
// One app refuses, the other one makes a dry run.

// Blocks of numbers, of which nobody, one in six and everybody verifies.
const (
	blockOfNobody    = "+1415231"
	blockOfFew       = "+1312231"
	blockOfEverybody = "+1212231"
)

// breakerApps are the apps and whether they only make a dry run.
var breakerApps = map[string]bool{"shop": false, "bank": true}

func TestBreakerCountsOverAllProcesses(t *testing.T) {
	for _, processes := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d processes", processes), func(t *testing.T) {
			t.Parallel()
			s := startBreakerServers(t, processes)
			for app := range breakerApps {
				s.send(app, blockOfNobody, 36, 0)
				s.send(app, blockOfFew, 54, 6)
				s.send(app, blockOfEverybody, 40, 1)
			}
			for app := range breakerApps {
				s.wantCounts(app, blockOfFew, 54, 9)
				s.wantCounts(app, blockOfEverybody, 40, 40)
			}
			for app, dry := range breakerApps {
				s.wantDecision(app, dry, blockOfNobody, 36)
			}
		})
	}
}

// What was sent in the last moment before a process ends is counted all the same.
func TestBreakerCountsWhatIsLeftAtTheEnd(t *testing.T) {
	s := startBreakerServers(t, 1)
	s.send("shop", blockOfEverybody, 3, 1)
	s.nodes[0].stop()
	s.wantCounts("shop", blockOfEverybody, 3, 3)
}

func TestLimitNamedAsTheBreakersIsRefused(t *testing.T) {
	for name, problems := range map[string]int{delivery.LimitPrefixBreaker: 1, "prefix_hour": 0} {
		var c checker
		c.limits("app", &[]limitConfig{{Name: name, Limit: 1, Window: time.Hour, By: "prefix"}})
		if len(c.problems) != problems {
			t.Errorf("%s: %v", name, c.problems)
		}
	}
}

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

// wantCounts waits until Redis has the true numbers of a block.
func (s *breakerServers) wantCounts(app, block string, sent, verified int64) {
	s.t.Helper()
	counters, err := rediscounters.New(s.redis.Client(s.t), "watchword")
	if err != nil {
		s.t.Fatal(err)
	}
	looks := 0
	becomes(s.t, fmt.Sprint(sent, " sent, ", verified, " verified"), func() string {
		looks++
		counts, err := counters.Add(s.t.Context(), app, delivery.Batch{Name: fmt.Sprint(block, looks), Counts: []delivery.Count{{Key: block}}})
		if err != nil {
			s.t.Fatal(err)
		}
		var sum delivery.Count
		for _, c := range counts {
			sum.Sent, sum.Verified = sum.Sent+c.Sent, sum.Verified+c.Verified
		}
		return fmt.Sprint(sum.Sent, " sent, ", sum.Verified, " verified")
	})
}

// wantDecision waits until one process has found that nobody verifies what was sent to a block, with the true number. Then
// each process refuses strangers, unless it is a dry run, and lets known devices and the other blocks pass.
func (s *breakerServers) wantDecision(app string, dry bool, block string, sent int) {
	s.t.Helper()
	found := fmt.Sprintf(`"app":"%s","prefix":"%s","sent":%d,"verified":0,"refused_for":"1h0m0s","shadow":%t`, app, block, sent, dry)
	becomes(s.t, "1 with the true number, 1 in all", func() string {
		right, all := 0, 0
		for _, n := range s.nodes {
			right += strings.Count(n.log.String(), found)
			all += strings.Count(n.log.String(), `number prefix is sent to, but hardly verified","app":"`+app+`"`)
		}
		return fmt.Sprintf("%d with the true number, %d in all", right, all)
	})
	for n := range s.nodes {
		if !dry {
			s.wantRefusal(n, app, block)
		}
		for _, passes := range []struct {
			block string
			known bool
		}{{block, true}, {blockOfFew, false}, {blockOfEverybody, false}} {
			if r, _, _ := s.start(n, app, passes.block, passes.known); r.status != http.StatusCreated {
				s.t.Errorf("%s, process %d: %+v: %d %s", app, n, passes, r.status, r.text)
			}
		}
		if r, _, _ := s.start(n, app, block, false); (r.status != http.StatusCreated) != !dry {
			s.t.Errorf("%s, process %d: a stranger: %d %s", app, n, r.status, r.text)
		}
	}
}

// wantRefusal waits until a process has heard of the decision: it refuses strangers with a limit and a time, and counts that.
// One of them may be let in by the reserved share.
func (s *breakerServers) wantRefusal(n int, app, block string) {
	s.t.Helper()
	becomes(s.t, "429 rate_limited prefix_breaker", func() string {
		r, header, _ := s.start(n, app, block, false)
		if r.status == http.StatusTooManyRequests && header.Get("Retry-After") == "" {
			s.t.Errorf("no Retry-After: %s", r.text)
		}
		return strings.TrimSpace(fmt.Sprint(r.status, " ", r.code(), " ", r.str("limit")))
	})
	addr := logged(s.t, s.nodes[n], "metrics")
	res, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if want := `watchword_limits_reached_total{app="` + app + `",limit="prefix_breaker"} `; !strings.Contains(string(text), want) {
		s.t.Errorf("process %d: no %q in its metrics", n, want)
	}
}

// logged is the addr of a log line.
func logged(t *testing.T, n *node, msg string) string {
	t.Helper()
	for line := range strings.Lines(n.log.String()) {
		var record struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == msg {
			return record.Addr
		}
	}
	t.Fatalf("no line %q in the log", msg)
	return ""
}
