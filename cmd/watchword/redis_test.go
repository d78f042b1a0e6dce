package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// What must hold with real processes on a real Redis: the tests here start two servers on one Redis, as two nodes are,
// and talk to them over HTTP.

// A node is one server process.
type node struct {
	t    testing.TB
	url  string
	key  string // of the API; empty: that of development
	log  *lockedBuffer
	stop func() // ends the process, and returns when its log is complete; nil: none of its own
	kill func() // ends the process as kill -9 does, and waits for its end
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// startNode runs a development server on a Redis; nodes of one directory share their keys.
func startNode(t testing.TB, dir, redisURL string, args ...string) *node {
	t.Helper()
	return startServer(t, nil, append([]string{"--dev", "--listen", "127.0.0.1:0", "--data-dir", dir, "--redis", redisURL}, args...)...)
}

// startServer runs `watchword serve` with arguments, and with variables beside those of the test.
func startServer(t testing.TB, env []string, args ...string) *node {
	t.Helper()
	n := &node{t: t, log: &lockedBuffer{}}
	cmd := exec.Command("watchword", append([]string{"serve", "--log-level", "debug"}, args...)...)
	cmd.Env = append(cmd.Environ(), env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			_, _ = n.log.Write(append(lines.Bytes(), '\n'))
			var line struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				addr <- line.Addr
			}
		}
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
		case <-time.After(patience):
			n.kill()
		}
	})
	t.Cleanup(n.stop)
	select {
	case a := <-addr:
		n.url = "http://" + a
	case <-ended:
		t.Fatalf("the server ended:\n%s", n.log)
	case <-time.After(patience):
		t.Fatalf("the server does not listen:\n%s", n.log)
	}
	return n
}

// reply is what an API call came to.
type reply struct {
	status int
	text   string
	body   map[string]any
}

func (r reply) code() string { s, _ := r.body["code"].(string); return s }
func (r reply) str(name string) string {
	s, _ := r.body[name].(string)
	return s
}

func (n *node) call(method, path string, body any) reply {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			n.t.Error(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, n.url+path, in)
	if err != nil {
		n.t.Error(err)
		return reply{}
	}
	req.Header.Set("Authorization", "Bearer "+cmp.Or(n.key, "dev"))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Error(err)
		return reply{}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Error(err)
	}
	r := reply{status: res.StatusCode, text: string(text)}
	_ = json.Unmarshal(text, &r.body)
	return r
}

type object = map[string]any

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

func (n *node) check(id, answer string) reply {
	return n.call("POST", "/v1/challenges/"+id+"/check", object{"purpose": "sign_in", "subject": "user_42", "answer": answer})
}

// code waits for a challenge's message in the inbox of the node that started it.
func (n *node) code(id string) string {
	n.t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(n.url + "/inbox/messages")
		if err != nil {
			n.t.Fatal(err)
		}
		var messages []struct {
			ChallengeID string `json:"challenge_id"`
			Code        string `json:"code"`
		}
		err = json.NewDecoder(res.Body).Decode(&messages)
		_ = res.Body.Close()
		if err != nil {
			n.t.Fatal(err)
		}
		for _, m := range messages {
			if m.ChallengeID == id {
				return m.Code
			}
		}
	}
	n.t.Fatal("no message came")
	return ""
}

func otherCode(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// atOnce runs f n times at once and counts what it returned.
func atOnce(n int, f func(i int) string) map[string]int {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		gate  = make(chan struct{})
		count = map[string]int{}
	)
	for i := range n {
		wg.Go(func() {
			<-gate
			got := f(i)
			mu.Lock()
			defer mu.Unlock()
			count[got]++
		})
	}
	close(gate)
	wg.Wait()
	return count
}

func TestTwoServersOnOneRedis(t *testing.T) {
	backends := map[string]func(t *testing.T) string{
		"one server": func(t *testing.T) string { return redistest.Start(t).URL() },
		"cluster":    func(t *testing.T) string { return redistest.StartCluster(t).URL() },
	}
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			url, dir := backend(t), t.TempDir()
			nodes := []*node{startNode(t, dir, url), startNode(t, dir, url)}
			t.Run("200 right answers", func(t *testing.T) {
				id := nodes[0].start().str("id")
				code := nodes[0].code(id)
				got := atOnce(200, func(i int) string {
					r := nodes[i%2].check(id, code)
					return fmt.Sprint(r.status, " ", r.code())
				})
				// On a busy machine Redis may not answer a loser in time, which approves nothing.
				if got["200 "] != 1 || got["409 challenge_approved"]+got["503 unavailable"] != 199 {
					t.Fatalf("outcomes: %v", got)
				}
			})
			t.Run("500 wrong answers", func(t *testing.T) {
				id := nodes[1].start().str("id")
				wrong := otherCode(nodes[1].code(id))
				got := atOnce(500, func(i int) string {
					r := nodes[i%2].check(id, wrong)
					return fmt.Sprint(r.status, " ", r.code())
				})
				if judged := got["422 incorrect_answer"]; judged == 0 || judged > 5 || judged+got["410 attempts_exhausted"]+got["429 too_many_guesses"] != 500 {
					t.Fatalf("outcomes: %v", got)
				}
				if r := nodes[0].call("GET", "/v1/challenges/"+id, nil); r.str("status") != "locked" {
					t.Fatalf("status: %s", r.text)
				}
			})
		})
	}
}

// awaitReadiness waits until /readyz answers with a status; its result is up to a second old.
func awaitReadiness(t *testing.T, n *node, status int) {
	t.Helper()
	for until := time.Now().Add(patience); n.call("GET", "/readyz", nil).status != status; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("/readyz does not answer %d", status)
		}
	}
}

func TestRedisStoppedAndBack(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	n := startNode(t, t.TempDir(), server.URL())
	id := n.start().str("id")
	code := n.code(id)
	server.Stop()
	for what, call := range map[string]func() reply{
		"start": func() reply {
			return n.call("POST", "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "bob@example.com"})
		},
		"check": func() reply { return n.check(id, code) },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		answered := make(chan reply, 1)
		go func() { answered <- call() }()
		select {
		case r := <-answered:
			if r.status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", what, r.status, r.text)
			}
		case <-ctx.Done():
			t.Errorf("%s: no answer within two seconds", what)
		}
		cancel()
	}
	if res := n.call("GET", "/inbox/messages?to=bob@example.com", nil); strings.TrimSpace(res.text) != "[]" {
		t.Errorf("something was sent: %s", res.text)
	}
	awaitReadiness(t, n, http.StatusServiceUnavailable)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReadiness(t, n, http.StatusOK)
	if r := n.check(id, code); r.status != http.StatusOK {
		t.Fatalf("after Redis came back: %d %s", r.status, r.text)
	}
	if log := n.log.String(); !strings.Contains(log, `"msg":"redis client"`) {
		t.Error("the log does not have what the Redis client said")
	}
	for line := range strings.Lines(n.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log has a line that is no JSON: %s", line)
		}
	}
}

// dump is all that a thief of a Redis has: keys, values and what MONITOR shows.
func dump(t *testing.T, c *goredis.Client) string {
	t.Helper()
	ctx := context.Background()
	var out strings.Builder
	for _, key := range c.Keys(ctx, "*").Val() {
		out.WriteString(key + "\n")
		if value, err := c.Get(ctx, key).Result(); err == nil {
			out.WriteString(value)
		}
		for _, value := range c.LRange(ctx, key, 0, -1).Val() {
			out.WriteString(value)
		}
	}
	return out.String()
}

func TestThiefOfRedisAndTheDebugLog(t *testing.T) {
	server := redistest.Start(t)
	n := startNode(t, t.TempDir(), server.URL())
	client := server.Client(t)
	seen := &lockedBuffer{}
	monitor := watch(t, server, seen)
	started := n.start(func(b object) { b["metadata"] = object{"order": "number-seventeen"}; b["nonce"] = "nonce-of-the-app" })
	id := started.str("id")
	code := n.code(id)
	n.check(id, otherCode(code))
	approved := n.check(id, code)
	if approved.status != http.StatusOK {
		t.Fatal(approved.text)
	}
	monitor()
	held := dump(t, client) + seen.String()
	if !strings.Contains(seen.String(), "watchword") {
		t.Fatalf("MONITOR saw nothing: %q", seen.String())
	}
	secrets := map[string]string{"code": code, "handle": started.str("handle"), "address": "alice@example.com", "subject": "user_42",
		"metadata": "number-seventeen", "nonce": "nonce-of-the-app", "receipt": approved.str("receipt"), "ticket": afterHash(started.str("page_url"))}
	for name, secret := range secrets {
		if secret == "" {
			t.Fatalf("no %s was seen", name)
		}
		forms := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))}
		for _, form := range forms {
			if strings.Contains(held, form) {
				t.Errorf("Redis holds the %s", name)
			}
			if name != "subject" && strings.Contains(n.log.String(), form) {
				t.Errorf("the debug log holds the %s", name)
			}
		}
	}
}

func afterHash(url string) string {
	_, after, _ := strings.Cut(url, "#")
	return after
}

// watch runs MONITOR until the returned function is called, which waits until it has shown everything so far.
func watch(t *testing.T, server *redistest.Server, to io.Writer) (stop func()) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	if ok, err := lines.ReadString('\n'); err != nil || ok != "+OK\r\n" {
		t.Fatalf("MONITOR: %q %v", ok, err)
	}
	const last = "that-is-all"
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.Contains(line, last) {
				return
			}
			_, _ = io.WriteString(to, line)
		}
	}()
	return func() {
		server.Client(t).Echo(context.Background(), last)
		<-ended
		_ = conn.Close()
	}
}

// entries are the keys of challenges.
func entries(c *goredis.Client) []string { return c.Keys(context.Background(), "*:e:*").Val() }

// newEntry is the key of the challenge that a start created.
func newEntry(t *testing.T, c *goredis.Client, start func()) string {
	t.Helper()
	before := map[string]bool{}
	for _, key := range entries(c) {
		before[key] = true
	}
	start()
	for _, key := range entries(c) {
		if !before[key] {
			return key
		}
	}
	t.Fatal("no entry was created")
	return ""
}

// Where the parts of an entry stand in its value; see store/redis/entry.lua.
const (
	atState   = 1
	atTries   = 2
	atExpires = 29
	atMarked  = 45
	atDigests = 47
	atMark    = 51
)

func TestVandalOfRedis(t *testing.T) {
	ctx := context.Background()
	server := redistest.Start(t)
	dir := t.TempDir()
	n, other := startNode(t, dir, server.URL()), startNode(t, dir, server.URL())
	c := server.Client(t)
	people := 0
	begin := func(t *testing.T) (key, id, handle, code string) {
		var started reply
		people++ // each has sends and guesses of their own
		key = newEntry(t, c, func() { started = n.start(func(b object) { b["to"] = fmt.Sprintf("person%d@example.com", people) }) })
		id = started.str("id")
		return key, id, started.str("handle"), n.code(id)
	}
	nothing := func(t *testing.T, id, handle, answer string) {
		t.Helper()
		for _, at := range []*node{n, other} {
			if r := at.check(id, answer); r.status == http.StatusOK || r.str("receipt") != "" {
				t.Errorf("a receipt: %s", r.text)
			}
			if r := at.call("GET", "/v1/challenges/"+id, nil); r.str("status") == "approved" {
				t.Errorf("the status reads approved")
			}
			r := at.call("POST", "/v1/challenges/"+id+"/redeem", object{"handle": handle, "purpose": "sign_in", "subject": "user_42"})
			if r.status == http.StatusOK {
				t.Errorf("redeemed: %s", r.text)
			}
		}
	}
	set := func(t *testing.T, key string, change func(value []byte) []byte) {
		t.Helper()
		value, err := c.Get(ctx, key).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Set(ctx, key, change(value), goredis.KeepTTL).Err(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("state set to approved", func(t *testing.T) {
		key, id, handle, code := begin(t)
		set(t, key, func(v []byte) []byte { v[atState] = 1; return v })
		nothing(t, id, handle, otherCode(code))
	})
	t.Run("digest and mark seen by MONITOR and planted", func(t *testing.T) {
		seen := &lockedBuffer{}
		stop := watch(t, server, seen)
		key, id, handle, code := begin(t)
		wrong := otherCode(code)
		n.check(id, wrong)
		stop()
		digest, mark := guessOf(t, seen.String(), key)
		set(t, key, func(v []byte) []byte {
			v[atState], v[atMarked+1] = 1, byte(len(mark))
			sealed := v[atMark+int(v[atMarked])<<8:]
			out := append(append([]byte{}, v[:atMark]...), mark...)
			digestsLength := 2 + len(digest)
			out[atDigests+2], out[atDigests+3] = byte(digestsLength>>8), byte(digestsLength)
			out = append(append(out, byte(len(digest)>>8), byte(len(digest))), digest...)
			return append(out, sealed[34:]...)
		})
		nothing(t, id, handle, wrong)
	})
	t.Run("copied entry", func(t *testing.T) {
		key, id, handle, _ := begin(t)
		theirs, theirID, _, theirCode := begin(t)
		set(t, key, func([]byte) []byte {
			v, err := c.Get(ctx, theirs).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return v
		})
		nothing(t, id, handle, theirCode)
		if r := n.check(theirID, theirCode); r.status != http.StatusOK {
			t.Fatalf("its owner goes on: %s", r.text)
		}
		set(t, key, func([]byte) []byte {
			v, err := c.Get(ctx, theirs).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return v
		})
		nothing(t, id, handle, theirCode)
	})
	t.Run("restored entry", func(t *testing.T) {
		key, id, _, code := begin(t)
		before, err := c.Get(ctx, key).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if r := n.check(id, code); r.status != http.StatusOK {
			t.Fatal(r.text)
		}
		set(t, key, func([]byte) []byte { return before })
		if r := n.check(id, code); r.status == http.StatusOK {
			t.Errorf("a second receipt: %s", r.text)
		}
	})
	t.Run("expiry extended", func(t *testing.T) {
		key, id, handle, code := begin(t)
		set(t, key, func(v []byte) []byte {
			v[atExpires] |= 0x40
			return v
		})
		if r := n.call("GET", "/v1/challenges/"+id, nil); r.str("status") != "pending" {
			t.Errorf("before its time: %s", r.text)
		}
		// That the sealed expiry is the one that counts is tested with a clock in the root's vandal_test.go.
		nothing(t, id, handle, otherCode(code))
	})
}

// guessOf finds the digest and the mark of the last attempt on a key among what MONITOR showed.
func guessOf(t *testing.T, monitored, key string) (digest, mark []byte) {
	t.Helper()
	for _, line := range strings.Split(monitored, "\n") {
		if !strings.Contains(line, `"evalsha"`) || !strings.Contains(line, `"`+key+`"`) {
			continue
		}
		args := monitorArgs(line)
		digest, mark = args[len(args)-4], args[len(args)-2] // the last one is the deadline
	}
	if len(digest) != 32 || len(mark) != 57 {
		t.Fatalf("no attempt on %s among:\n%s", key, monitored)
	}
	return digest, mark
}

// monitorArgs reads the quoted arguments of a line of MONITOR.
func monitorArgs(line string) (args [][]byte) {
	for i := strings.IndexByte(line, '"'); i >= 0 && i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		var arg []byte
		for i++; line[i] != '"'; i++ {
			if line[i] != '\\' {
				arg = append(arg, line[i])
				continue
			}
			switch i++; line[i] {
			case 'x':
				b, _ := hex.DecodeString(line[i+1 : i+3])
				arg, i = append(arg, b...), i+2
			case 'n':
				arg = append(arg, '\n')
			case 'r':
				arg = append(arg, '\r')
			case 't':
				arg = append(arg, '\t')
			case 'a':
				arg = append(arg, '\a')
			case 'b':
				arg = append(arg, '\b')
			default:
				arg = append(arg, line[i])
			}
		}
		args = append(args, arg)
	}
	return args
}
