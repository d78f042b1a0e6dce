package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/peertest"
)

// Responses of webhook receivers must not reach the log. The receivers of these tests are raw sockets, because an HTTP server cannot
// send such responses.

// A brokenAnswer returns the raw response to a raw request.
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

// unsolicited is how many broken answers have a part that arrives after the response has ended.
const unsolicited = 2

// A brokenReceiver answers the first request of each topic with a broken answer, and all other requests with a valid one.
type brokenReceiver struct {
	address string
	topics  map[string]brokenAnswer // by a text that the request contains

	mu     sync.Mutex
	broken map[string]bool // topics whose first request arrived
	good   map[string]bool // topics whose second request arrived
	raw    strings.Builder // all requests
}

func startBrokenReceiver(t *testing.T, listener net.Listener, topics map[string]brokenAnswer) *brokenReceiver {
	t.Helper()
	r := &brokenReceiver{address: listener.Addr().String(), topics: topics, broken: map[string]bool{}, good: map[string]bool{}}
	peertest.Serve(t, listener, r.serve)
	return r
}

// serve answers requests until the client closes the connection.
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

// answered counts the topics whose first request arrived.
func (r *brokenReceiver) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.broken)
}

// repeated reports whether a topic's second request arrived.
func (r *brokenReceiver) repeated(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.good[topic]
}

var codePattern = regexp.MustCompile(`(?:"code":"|Body=dev%3A\+)(\d{6})\b`)

// codes returns the codes of the messages so far.
func (r *brokenReceiver) codes() (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range codePattern.FindAllStringSubmatch(r.raw.String(), -1) {
		found = append(found, m[1])
	}
	return found
}

// answersByNumber assigns each kind of broken answer to a phone number, whose messages get it.
func answersByNumber() map[string]brokenAnswer {
	topics := map[string]brokenAnswer{}
	answers := brokenAnswers()
	for i, name := range slices.Sorted(maps.Keys(answers)) {
		topics[fmt.Sprintf("1415555012%d", i)] = answers[name]
	}
	return topics
}

// startForEachNumber starts a challenge for each number, and waits until its message is sent or failed. A redirect refuses the
// message; after any other broken answer it is sent again or was accepted.
func startForEachNumber(t *testing.T, n *node, channel string, r *brokenReceiver) {
	t.Helper()
	for _, number := range slices.Sorted(maps.Keys(r.topics)) {
		id := n.start(func(o object) { o["channel"], o["to"], o["subject"] = channel, "+"+number, "subject-"+number }).str("id")
		waitFor(t, "settled", func() string {
			status, _, _ := strings.Cut(n.deliveryStatus(id), " ")
			if status == watchword.DeliverySent || status == watchword.DeliveryFailed {
				return "settled"
			}
			return status
		})
	}
	if got := r.answered(); got != len(r.topics) {
		t.Fatalf("%d of %d kinds of broken answers were given", got, len(r.topics))
	}
	if len(r.codes()) < len(r.topics) {
		t.Fatalf("the receiver got only the codes %v", r.codes())
	}
}

// waitForLog waits until the log contains a text so many times, in lower case.
func waitForLog(t *testing.T, n *node, times int, text string) {
	t.Helper()
	waitFor(t, "there", func() string {
		if strings.Count(strings.ToLower(n.log.String()), text) >= times {
			return "there"
		}
		return "missing"
	})
}

// requireCleanLog shuts the server down and checks that no line of stderr contains a secret or is not JSON.
func requireCleanLog(t *testing.T, n *node, secrets ...string) {
	t.Helper()
	n.stop()
	for line := range strings.Lines(n.log.String()) {
		var record object
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("stderr has a line that is no JSON: %s", line)
			continue
		}
		delete(record, "time") // its digits may equal a code by chance
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

func TestServerLogsNoResponseOfBrokenWebhookReceiver(t *testing.T) {
	t.Parallel()
	r := startBrokenReceiver(t, listen(t), answersByNumber())
	n := startNode(t, t.TempDir(), memoryURL, "--send", "sms=webhook+http://"+r.address+"/secret-path?secret="+eventsSecret)
	startForEachNumber(t, n, "sms", r)
	waitForLog(t, n, unsolicited, "unsolicited response")
	requireCleanLog(t, n, append(r.codes(), "1415555012", "secret-path", eventsSecret, "message.send", "is your")...)
}

func TestServerLogsNoResponseOfBrokenTwilio(t *testing.T) {
	t.Parallel()
	r := startBrokenReceiver(t, listen(t), answersByNumber())
	n := startNode(t, t.TempDir(), memoryURL, "--send",
		"sms=twilio://AC1secretsid:"+twilioToken+"@/?from=%2B14155550100&base_url="+url.QueryEscape("http://"+r.address))
	startForEachNumber(t, n, "sms", r)
	waitForLog(t, n, unsolicited, "unsolicited response")
	requireCleanLog(t, n, append(r.codes(), "1415555012", "secretsid", twilioToken, "Body=", "is+your")...)
}

// A production server, whose receivers use TLS.
func TestServerLogsNoResponseOfBrokenReceiversOverTLS(t *testing.T) {
	t.Parallel()
	authority := httptest.NewTLSServer(nil)
	t.Cleanup(authority.Close)
	secure := func() net.Listener {
		return tls.NewListener(listen(t), &tls.Config{Certificates: authority.TLS.Certificates})
	}
	messages := startBrokenReceiver(t, secure(), answersByNumber())
	byPath := map[string]brokenAnswer{}
	for name, answer := range brokenAnswers() {
		byPath["/secret-path/"+url.PathEscape(name)] = answer
	}
	events := startBrokenReceiver(t, secure(), byPath)

	n := startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, authority)}, "--config", writeBrokenReceiversConfig(t, messages, events))
	n.key = "shop-key"
	startForEachNumber(t, n, "sms", messages)
	waitFor(t, fmt.Sprint(len(byPath)), func() string { return fmt.Sprint(events.answered()) })
	waitForLog(t, n, 2*unsolicited, "unsolicited response")
	for path := range byPath { // the next event gets the valid answer
		waitFor(t, "true", func() string { return fmt.Sprint(events.repeated(path)) })
	}
	requireCleanLog(t, n, append(messages.codes(), "1415555012", "secret-path", eventsSecret, "message.send", "is your", "subject-")...)
}

// writeBrokenReceiversConfig writes a configuration with one sender, and an event endpoint for each topic of events.
func writeBrokenReceiversConfig(t *testing.T, messages, events *brokenReceiver) string {
	t.Helper()
	var endpoints []string
	for path := range events.topics {
		endpoints = append(endpoints, `{"url": "https://`+events.address+path+"?secret="+eventsSecret+`"}`)
	}
	return writeProductionConfig(t, memoryURL, `apps:
  - id: shop
    keys: [{sha256: `+apiKeyDigest("shop-key")+`, scopes: [challenges]}]
    send: {sms: ["webhook+https://`+messages.address+`/secret-path?secret=`+eventsSecret+`"]}
    events: [`+strings.Join(endpoints, ", ")+"]\n")
}
