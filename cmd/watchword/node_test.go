package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A node is one server that a test calls over HTTP.
type node struct {
	t   testing.TB
	url string
	key string // API key; empty: that of development mode
	log *syncBuffer

	client *http.Client // nil: manyConnections

	pid  int    // of the process; 0: no process
	stop func() // shuts the process down, and returns when its log is complete; nil: no process
	kill func() // kills the process with SIGKILL and waits

	ended <-chan struct{} // closed when the process has ended
	peers *sync.Map       // the development servers of the same directory, this one included; nil: it is the only one
}

// startNode starts a development server on a Redis. Nodes with the same directory share their keys.
func startNode(t testing.TB, dir, redisURL string, args ...string) *node {
	t.Helper()
	n := startServer(t, nil, append([]string{"--dev", "--listen", "127.0.0.1:0", "--data-dir", dir, "--redis", redisURL}, args...)...)
	all, _ := nodesOfDir.LoadOrStore(dir, &sync.Map{})
	n.peers = all.(*sync.Map)
	n.peers.Store(n, true)
	return n
}

// nodesOfDir holds the development servers by their directory. Those on one Redis share an outbox, so that any of them may send a
// message.
var nodesOfDir sync.Map // string → *sync.Map of *node

// startServer starts `watchword serve` with arguments and additional environment variables, and waits until it listens.
func startServer(t testing.TB, env []string, args ...string) *node {
	t.Helper()
	n := &node{t: t, log: &syncBuffer{}}
	cmd := exec.Command("watchword", append([]string{"serve", "--log-level", "debug"}, args...)...)
	cmd.Env = append(cmd.Environ(), env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.pid = cmd.Process.Pid
	addr, ended := make(chan string, 1), make(chan struct{})
	n.ended = ended
	go func() {
		defer close(ended)
		n.copyLog(stderr, addr)
		_ = cmd.Wait()
	}()
	n.kill = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	n.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(testTimeout):
			n.kill()
		}
	})
	t.Cleanup(n.stop)
	select {
	case a := <-addr:
		n.url = "http://" + a
	case <-ended:
		t.Fatalf("the server ended:\n%s", n.log)
	case <-time.After(testTimeout):
		t.Fatalf("the server does not listen:\n%s", n.log)
	}
	return n
}

// copyLog copies a process's log until it ends, and sends the address on which it listens.
func (n *node) copyLog(stderr io.Reader, addr chan<- string) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		_, _ = n.log.Write(append(lines.Bytes(), '\n'))
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			addr <- line.Addr
		}
	}
}

// loggedAddr returns the addr of the log record with a message.
func (n *node) loggedAddr(msg string) string {
	n.t.Helper()
	for line := range bytes.Lines([]byte(n.log.String())) {
		var record struct{ Msg, Addr string }
		if json.Unmarshal(line, &record) == nil && record.Msg == msg {
			return record.Addr
		}
	}
	n.t.Fatalf("no line %q in the log", msg)
	return ""
}

type object = map[string]any

// An apiRequest is one request to the API.
type apiRequest struct {
	method, path   string
	body           any    // sent as JSON; nil: none
	key            string // API key; empty: the node's
	idempotencyKey string // empty: none
}

// A reply is the response to an API request.
type reply struct {
	status int
	header http.Header
	text   string
	body   object // nil if the text is no JSON object
}

// str returns a member of the body that is a text.
func (r reply) str(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// errorCode returns the problem code (RFC 9457) of a refused request, or an empty text.
func (r reply) errorCode() string { return r.str("code") }

// manyConnections keeps as many idle connections as tests send requests at the same time, for less long than the server: a request
// on a connection that the server is closing fails.
var manyConnections = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 400, IdleConnTimeout: 10 * time.Second}, Timeout: testTimeout}

// send sends a request. Its error is that of the connection, whatever the status is.
func (n *node) send(ctx context.Context, r apiRequest) (reply, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return reply{}, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, n.url+r.path, body)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+cmp.Or(r.key, n.key, devKey))
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	res, err := cmp.Or(n.client, manyConnections).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: res.StatusCode, header: res.Header, text: string(text)}
	_ = json.Unmarshal(text, &out.body)
	return out, nil
}

// call sends a request, and fails the test if there is no reply.
func (n *node) call(method, path string, body any) reply {
	n.t.Helper()
	return n.mustSend(apiRequest{method: method, path: path, body: body})
}

// postWithKey sends a POST with an Idempotency-Key, unless that is empty.
func (n *node) postWithKey(path, idempotencyKey string, body object) reply {
	n.t.Helper()
	return n.mustSend(apiRequest{method: http.MethodPost, path: path, body: body, idempotencyKey: idempotencyKey})
}

func (n *node) mustSend(request apiRequest) reply {
	n.t.Helper()
	r, err := n.send(n.t.Context(), request)
	if err != nil {
		n.t.Error(err)
	}
	return r
}

// start starts a sign-in of user_42 by a code, with changes to the request.
func (n *node) start(change ...func(object)) reply {
	n.t.Helper()
	body := object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "alice@example.com", "subject": "user_42"}
	for _, c := range change {
		c(body)
	}
	r := n.call("POST", "/v1/challenges", body)
	if r.status != http.StatusCreated {
		n.t.Fatalf("start: %d %s", r.status, r.text)
	}
	return r
}

// check answers a sign-in of user_42.
func (n *node) check(id, answer string) reply {
	n.t.Helper()
	return n.call("POST", "/v1/challenges/"+id+"/check", signInAnswer(answer))
}

func signInAnswer(code string) object {
	return object{"purpose": "sign_in", "subject": "user_42", "answer": code}
}

// waitForCode waits for a challenge's message in the inbox of a node of the same directory, and returns its code.
func (n *node) waitForCode(id string) (code string) {
	n.t.Helper()
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if n.peers == nil {
			code = n.receivedCode(id)
		} else {
			n.peers.Range(func(peer, _ any) bool {
				code = peer.(*node).receivedCode(id)
				return code == ""
			})
		}
		if code != "" {
			return code
		}
	}
	n.t.Fatal("no message arrived")
	return ""
}

// receivedCode returns the code of a challenge's message in the node's inbox; empty if there is none, or if the node was killed.
func (n *node) receivedCode(id string) string {
	r, err := n.send(n.t.Context(), apiRequest{method: http.MethodGet, path: "/inbox/messages"})
	if err != nil {
		return ""
	}
	var messages []struct {
		ChallengeID string `json:"challenge_id"`
		Code        string `json:"code"`
	}
	if err := json.Unmarshal([]byte(r.text), &messages); err != nil {
		n.t.Fatal(err)
	}
	for _, m := range messages {
		if m.ChallengeID == id {
			return m.Code
		}
	}
	return ""
}

// deliveryStatus returns the status and the provider of a challenge's last message, separated by a space.
func (n *node) deliveryStatus(id string) string {
	n.t.Helper()
	d, _ := n.call("GET", "/v1/challenges/"+id, nil).body["delivery"].(object)
	return fmt.Sprint(d["status"], " ", d["provider"])
}

// fetchMetrics returns the text of a metrics listener.
func fetchMetrics(t *testing.T, addr string) string {
	t.Helper()
	res, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
