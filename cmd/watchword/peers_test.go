package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/peertest"
)

// What receivers send back never reaches the log. They are raw sockets here, because no HTTP server answers so badly.

// A brokenAnswer is what a receiver makes of a request; both are raw bytes.
type brokenAnswer func(request string) string

func brokenAnswers() map[string]brokenAnswer {
	oneLine := func(text string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(text) }
	return map[string]brokenAnswer{
		"204 with a body":    func(r string) string { return "HTTP/1.1 204 No Content\r\n\r\n" + r },
		"trailing garbage":   func(r string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + r },
		"bad Content-Length": func(r string) string { return "HTTP/1.1 200 OK\r\nContent-Length: " + oneLine(r) + "\r\n\r\n" },
		"bad header": func(r string) string {
			return "HTTP/1.1 200 OK\r\n" + strings.ReplaceAll(oneLine(r), ":", " ") + "\r\n\r\n"
		},
		"bad status line":          func(r string) string { return "HTTP/1.1 " + oneLine(r) + "\r\n\r\n" },
		"echo of the request line": func(r string) string { return r[:strings.Index(r, "\r\n")] + "\r\n\r\n" },
		"bad Location": func(r string) string {
			return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %zz" + oneLine(r) + "\r\n\r\n"
		},
	}
}

// unsolicited are the answers of which a part arrives when nobody expects any more.
const unsolicited = 2

// A brokenReceiver gives the first request about each topic a broken answer, and all others a good one.
type brokenReceiver struct {
	address string
	topics  map[string]brokenAnswer // by a text that the request holds

	mu     sync.Mutex
	broken map[string]bool // topics whose first request came
	good   map[string]bool // and those whose second came
	raw    strings.Builder // every request
}

func startBrokenReceiver(t *testing.T, listener net.Listener, topics map[string]brokenAnswer) *brokenReceiver {
	t.Helper()
	r := &brokenReceiver{address: listener.Addr().String(), topics: topics, broken: map[string]bool{}, good: map[string]bool{}}
	peertest.Serve(t, listener, r.serve)
	return r
}

// serve answers what comes, until the other side closes the connection.
func (r *brokenReceiver) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	var raw bytes.Buffer
	for in := bufio.NewReader(io.TeeReader(conn, &raw)); ; raw.Reset() {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		_, _ = io.WriteString(conn, r.answer(raw.String()))
	}
}

func (r *brokenReceiver) answer(request string) string {
	const good = "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n" + `{"sid":"SM1"}`
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.WriteString(request)
	for topic, answer := range r.topics {
		if !strings.Contains(request, topic) {
			continue
		}
		if !r.broken[topic] {
			r.broken[topic] = true
			return answer(request)
		}
		r.good[topic] = true
	}
	return good
}

// answered counts the topics whose first request came.
func (r *brokenReceiver) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.broken)
}

// repeated reports whether a topic's second request came.
func (r *brokenReceiver) repeated(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.good[topic]
}

var codePattern = regexp.MustCompile(`(?:"code":"|Body=dev%3A\+)(\d{6})\b`)

// codes are those that came.
func (r *brokenReceiver) codes() (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range codePattern.FindAllStringSubmatch(r.raw.String(), -1) {
		found = append(found, m[1])
	}
	return found
}

// byNumber gives each kind of broken answer a number of its own, whose messages it is about.
func byNumber() map[string]brokenAnswer {
	topics := map[string]brokenAnswer{}
	answers := brokenAnswers()
	for i, name := range slices.Sorted(maps.Keys(answers)) {
		topics[fmt.Sprintf("1415555012%d", i)] = answers[name]
	}
	return topics
}

// sendToEach starts a challenge for each number, and waits until its message has had its broken answer and what follows. A
// redirect is a refusal, anything else is tried again or was taken.
func sendToEach(t *testing.T, n *node, channel string, r *brokenReceiver) {
	t.Helper()
	for _, number := range slices.Sorted(maps.Keys(r.topics)) {
		id := n.start(func(o object) { o["channel"], o["to"], o["subject"] = channel, "+"+number, "subject-"+number }).str("id")
		becomes(t, "settled", func() string {
			d, _ := n.call("GET", "/v1/challenges/"+id, nil).body["delivery"].(object)
			if d["status"] == watchword.DeliverySent || d["status"] == watchword.DeliveryFailed {
				return "settled"
			}
			return fmt.Sprint(d["status"])
		})
	}
	if got := r.answered(); got != len(r.topics) {
		t.Fatalf("%d of %d kinds of broken answers were given", got, len(r.topics))
	}
	if len(r.codes()) < len(r.topics) {
		t.Fatalf("the receiver saw the codes %v only", r.codes())
	}
}

// logHolds waits until a text is in the log so often.
func logHolds(t *testing.T, n *node, times int, text string) {
	t.Helper()
	becomes(t, "there", func() string {
		if strings.Count(strings.ToLower(n.log.String()), text) >= times {
			return "there"
		}
		return "missing"
	})
}

// requireCleanLog ends the server and looks at all that it has written to stderr.
func requireCleanLog(t *testing.T, n *node, secrets ...string) {
	t.Helper()
	n.stop()
	for line := range strings.Lines(n.log.String()) {
		var record object
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("stderr has a line that is no JSON: %s", line)
			continue
		}
		delete(record, "time") // its digits may be any
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestServerLogsNothingOfABrokenWebhookReceiver(t *testing.T) {
	r := startBrokenReceiver(t, listen(t), byNumber())
	n := startNode(t, t.TempDir(), memoryURL, "--send", "sms=webhook+http://"+r.address+"/secret-path?secret="+eventsSecret)
	sendToEach(t, n, "sms", r)
	logHolds(t, n, unsolicited, "unsolicited response")
	requireCleanLog(t, n, append(r.codes(), "1415555012", "secret-path", eventsSecret, "message.send", "is your")...)
}

func TestServerLogsNothingOfABrokenTwilio(t *testing.T) {
	r := startBrokenReceiver(t, listen(t), byNumber())
	n := startNode(t, t.TempDir(), memoryURL, "--send",
		"sms=twilio://AC1secretsid:"+twilioToken+"@/?from=%2B14155550100&base_url="+url.QueryEscape("http://"+r.address))
	sendToEach(t, n, "sms", r)
	logHolds(t, n, unsolicited, "unsolicited response")
	requireCleanLog(t, n, append(r.codes(), "1415555012", "secretsid", twilioToken, "Body=", "is+your")...)
}

// A production server, whose receivers speak TLS.
func TestServerLogsNothingOfBrokenReceiversOverTLS(t *testing.T) {
	authority := httptest.NewTLSServer(nil)
	t.Cleanup(authority.Close)
	secure := func() net.Listener {
		return tls.NewListener(listen(t), &tls.Config{Certificates: authority.TLS.Certificates})
	}
	messages := startBrokenReceiver(t, secure(), byNumber())
	byPath := map[string]brokenAnswer{}
	for name, answer := range brokenAnswers() {
		byPath["/secret-path/"+url.PathEscape(name)] = answer
	}
	events := startBrokenReceiver(t, secure(), byPath)

	n := startServer(t, []string{"SSL_CERT_FILE=" + certificateFile(t, authority)}, "--config", productionConfig(t, messages, events))
	n.key = "shop-key"
	sendToEach(t, n, "sms", messages)
	becomes(t, fmt.Sprint(len(byPath)), func() string { return fmt.Sprint(events.answered()) })
	logHolds(t, n, 2*unsolicited, "unsolicited response")
	for path := range byPath { // the good answer comes to the next event
		becomes(t, "true", func() string { return fmt.Sprint(events.repeated(path)) })
	}
	requireCleanLog(t, n, append(messages.codes(), "1415555012", "secret-path", eventsSecret, "message.send", "is your", "subject-")...)
}

func certificateFile(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// productionConfig is a configuration with one sender, and an endpoint of events for each topic.
func productionConfig(t *testing.T, messages, events *brokenReceiver) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("watchword", "keys", "new", "--dir", dir, "--name", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var endpoints []string
	for path := range events.topics {
		endpoints = append(endpoints, `{"url": "https://`+events.address+path+"?secret="+eventsSecret+`"}`)
	}
	key := sha256.Sum256([]byte("shop-key"))
	config := `listen: 127.0.0.1:0
redis: "memory:"
keyring: [{id: "1", secret_file: keyring-1.key}]
identity_key_file: identity.key
signing: [{kid: "1", key_file: signing-1.pem}]
public_url: https://verify.example.com
allowed_networks: [127.0.0.0/8]
apps:
  - id: shop
    keys: [{sha256: ` + hex.EncodeToString(key[:]) + `, scopes: [challenges]}]
    send: {sms: ["webhook+https://` + messages.address + `/secret-path?secret=` + eventsSecret + `"]}
    events: [` + strings.Join(endpoints, ", ") + "]\n"
	path := filepath.Join(dir, "watchword.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
