package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An assault sends what hostile clients send, with the key of the app hostile and without any, until its context ends.
type assault struct {
	node    *node
	open    string // a challenge of the app hostile that nobody answers
	running sync.WaitGroup
	number  atomic.Int64
	replies sync.Map // kind and status → *atomic.Int64 of responses, or of broken connections
}

// begin starts every kind of attack: sockets of each slow kind, and loops that send requests.
func (a *assault) begin(ctx context.Context, sockets int) {
	for kind, attack := range map[string]func(ctx context.Context, conn net.Conn){
		"slow header": slowly("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "),
		"slow body":   slowly(head("POST", "/v1/challenges", "hostile", "Content-Length: 65536")),
		"slow page":   slowly(head("POST", "/c/ch_x/open", "", "Content-Length: 65536")),
		"idle":        slowly("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", false),
		"no reader":   neverReading,
		"endless":     endlessly(head("POST", "/v1/challenges", "hostile", "Transfer-Encoding: chunked")),
	} {
		for range sockets {
			a.repeat(ctx, kind, func() { a.connect(ctx, kind, attack) })
		}
	}
	for kind, request := range map[string]func(n int) *http.Request{
		"bomb": a.bomb, "id": a.unknownID, "key": a.unknownKey, "path": a.unknownPath, "start": a.bulkyStart, "poll": a.longPoll,
	} {
		for range floods[kind] {
			a.repeat(ctx, kind, func() { a.send(ctx, kind, request(int(a.number.Add(1)))) })
		}
	}
}

// floods are how many requests of a kind are sent at the same time.
var floods = map[string]int{"bomb": 2, "id": 2, "key": 2, "path": 2, "start": 4, "poll": 100}

// begun follows the kind in counts of attackers that have begun.
const begun = " begun"

func (a *assault) repeat(ctx context.Context, kind string, attack func()) {
	a.running.Go(func() {
		a.count(kind + begun)
		for ctx.Err() == nil {
			attack()
		}
	})
}

func (a *assault) count(kind string) {
	n, _ := a.replies.LoadOrStore(kind, &atomic.Int64{})
	n.(*atomic.Int64).Add(1)
}

// counts returns how often the server answered, or broke a connection off, by kind.
func (a *assault) counts() map[string]int64 {
	out := map[string]int64{}
	a.replies.Range(func(kind, n any) bool {
		out[kind.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	return out
}

// connect attacks over one connection until the server breaks it off.
func (a *assault) connect(ctx context.Context, kind string, attack func(ctx context.Context, conn net.Conn)) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.node.url, "http://"))
	if err != nil {
		pause(ctx, 100*time.Millisecond)
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	attack(ctx, conn)
	a.count(kind + " broken off")
	pause(ctx, 200*time.Millisecond)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// head returns the header of a request with a JSON body.
func head(method, path, key, more string) string {
	h := method + " " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + more + "\r\n"
	if key != "" {
		h += "Authorization: Bearer " + key + "\r\n"
	}
	return h + "\r\n"
}

// slowly writes a beginning and then a byte each half second, unless dribble is false.
func slowly(beginning string, dribble ...bool) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		_, err := io.WriteString(conn, beginning)
		go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		for err == nil && ctx.Err() == nil {
			pause(ctx, 500*time.Millisecond)
			one := []byte(" ")
			if len(dribble) > 0 {
				one = nil
			}
			_, err = conn.Write(one)
		}
	}
}

// neverReading sends requests for a large document and reads nothing.
func neverReading(ctx context.Context, conn net.Conn) {
	request := strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 100)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, request); err != nil {
			return
		}
	}
}

// endlessly sends a body in chunks that never ends.
func endlessly(beginning string) func(context.Context, net.Conn) {
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", 8<<10, strings.Repeat(" ", 8<<10))
	return func(ctx context.Context, conn net.Conn) {
		_, err := io.WriteString(conn, beginning)
		for err == nil && ctx.Err() == nil {
			_, err = conn.Write(chunk)
		}
	}
}

func (a *assault) send(ctx context.Context, kind string, r *http.Request) {
	res, err := assaultClient.Do(r.WithContext(ctx))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	a.count(fmt.Sprint(kind, " ", res.StatusCode))
}

var assaultClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: testTimeout}

func (a *assault) request(method, path, key, body string) *http.Request {
	r, err := http.NewRequest(method, a.node.url+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return r
}

// bomb returns a request with one of bombs.
func (a *assault) bomb(n int) *http.Request {
	bodies := bombs()
	r := a.request(http.MethodPost, "/v1/challenges", "hostile", bodies[n%len(bodies)])
	if n%len(bodies) == len(bodies)-1 {
		r.Header.Set("Content-Encoding", "gzip")
	}
	return r
}

// bombs are bodies that are expensive for a careless reader. The last one is compressed.
var bombs = sync.OnceValue(func() []string {
	return []string{
		strings.Repeat("[", 60<<10),
		strings.Repeat(`{"metadata":`, 5<<10),
		`{"purpose":"` + strings.Repeat(`\u0000`, 10<<10) + `"}`,
		`{` + strings.Repeat(`"purpose":"x",`, 4<<10) + `"purpose":"x"}`,
		`{"purpose":` + strings.Repeat("9", 60<<10) + `}`,
		gzipped(strings.Repeat(" ", 10<<20)),
	}
})

func gzipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

func (a *assault) unknownID(n int) *http.Request {
	id := "ch_" + rand.Text()
	switch n % 4 {
	case 0:
		return a.request(http.MethodGet, "/v1/challenges/"+id, "hostile", "")
	case 1:
		return a.request(http.MethodPost, "/v1/challenges/"+id+"/check", "hostile", `{"purpose":"sign_in","subject":"x","answer":"123456"}`)
	case 2:
		return a.request(http.MethodPost, "/c/"+id+"/open", "", `{"ticket":"pt_x"}`)
	}
	return a.request(http.MethodPost, "/l/"+id+"/answer", "", `{"token":"x"}`)
}

func (a *assault) unknownKey(int) *http.Request {
	return a.request(http.MethodPost, "/v1/challenges", rand.Text(), "{}")
}

func (a *assault) unknownPath(n int) *http.Request {
	if n%2 == 0 {
		return a.request("M"+rand.Text()[:8], "/v1/challenges", rand.Text(), "")
	}
	return a.request(http.MethodGet, "/"+rand.Text(), "", "")
}

// bulkyStart returns a start with much metadata and a new idempotency key, for a person and a client of their own.
func (a *assault) bulkyStart(n int) *http.Request {
	bulk := strings.Repeat("<&>", 80)
	r := a.request(http.MethodPost, "/v1/challenges", "hostile", fmt.Sprintf(`{"strategy":"otp","purpose":"sign_in","channel":"email","subject":"victim-%d",
		"to":"victim-%d@example.com","client":{"ip":%q},"metadata":{"a":%q,"b":%q,"c":%q,"d":%q}}`, n, n, publicIP(n), bulk, bulk, bulk, bulk))
	r.Header.Set("Idempotency-Key", rand.Text())
	return r
}

func (a *assault) longPoll(int) *http.Request {
	return a.request(http.MethodGet, "/v1/challenges/"+a.open+"?wait=1", "hostile", "")
}
