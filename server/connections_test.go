package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/server"
)

// listenWithLimit serves a test server on loopback, with a bound of connections.
func listenWithLimit(t *testing.T, ts *testServer, connections int) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	srv := server.NewHTTPServer("", ts.server, connections)
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { _ = srv.Close() })
	return listener.Addr().String()
}

// A rawClient is a connection on which a test writes HTTP itself.
type rawClient struct {
	t testing.TB
	net.Conn
	reader *bufio.Reader
}

func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(stepTimeout)))
	return &rawClient{t, conn, bufio.NewReader(conn)}
}

func (c *rawClient) write(text string) {
	_, _ = io.WriteString(c, text) // a closed connection shows when the test reads
}

// status reads a response and returns its status, or 0 if the server has closed the connection.
func (c *rawClient) status() int {
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

func (c *rawClient) get(path, key string) int {
	authorization := ""
	if key != "" {
		authorization = "Authorization: Bearer " + key + "\r\n"
	}
	c.write("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + authorization + "\r\n")
	return c.status()
}

// isClosed reports whether the server closes the connection.
func (c *rawClient) isClosed() bool {
	_, err := c.reader.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// A bound of four connections is used up by ten that wait for their clients in every way. Each new client is served, and the one
// with an API key keeps its connection.
func TestNewConnectionTakesPlaceOfOneThatWaitsForItsClient(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	addr := listenWithLimit(t, ts, 4)
	keyed := dialRaw(t, addr)
	if got := keyed.get("/v1/challenges/ch_x", shopKey); got != http.StatusNotFound {
		t.Fatalf("keyed request: %d", got)
	}
	var waiting []*rawClient
	for n := range 10 {
		c := dialRaw(t, addr)
		switch n % 4 {
		case 0: // sends nothing
		case 1:
			c.write("GET /healthz HTTP/1.1\r\nX-Slow: ")
		case 2:
			if got := c.get("/healthz", ""); got != http.StatusOK {
				t.Fatalf("request %d: %d", n, got)
			}
		case 3:
			c.write("POST /c/ch_x/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\nExpect: 100-continue\r\n\r\n")
			if _, err := http.ReadResponse(c.reader, nil); err != nil { // the handler reads the body
				t.Fatal(err)
			}
		}
		waiting = append(waiting, c)
	}
	if got := dialRaw(t, addr).get("/healthz", ""); got != http.StatusOK {
		t.Errorf("a new client got %d", got)
	}
	for n, c := range waiting[:6] {
		if !c.isClosed() {
			t.Errorf("connection %d is open", n)
		}
	}
	if got := keyed.get("/v1/challenges/ch_x", shopKey); got != http.StatusNotFound {
		t.Errorf("keyed request after the flood: %d", got)
	}
}

// An app that opens many connections closes its own, not those of another app, whoever has waited longer.
func TestAppWithMostConnectionsLosesThem(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	addr := listenWithLimit(t, ts, 6)
	quiet := dialRaw(t, addr)
	if got := quiet.get("/v1/challenges/ch_x", bankKey); got != http.StatusNotFound {
		t.Fatalf("quiet app: %d", got)
	}
	for n := range 20 {
		if got := dialRaw(t, addr).get("/v1/challenges/ch_x", shopKey); got != http.StatusNotFound {
			t.Fatalf("connection %d: %d", n, got)
		}
	}
	if got := quiet.get("/v1/challenges/ch_x", bankKey); got != http.StatusNotFound {
		t.Errorf("quiet app after the flood: %d", got)
	}
}

// A client that does not take its response waits too.
func TestClientThatDoesNotReadLosesItsPlace(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	addr := listenWithLimit(t, ts, 2)
	for range 2 {
		c := dialRaw(t, addr)
		must(t, c.Conn.(*net.TCPConn).SetReadBuffer(4096))
		go c.write(strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 1000))
		if _, err := c.reader.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	if got := dialRaw(t, addr).get("/healthz", ""); got != http.StatusOK {
		t.Errorf("a new client got %d", got)
	}
}

// A connection that is being served, by a long poll here, is never closed for another.
func TestNewConnectionIsRefusedIfAllAreServed(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	addr := listenWithLimit(t, ts, 2)
	id := ts.startChallenge()
	var polls []*rawClient
	for n := range 2 {
		c := dialRaw(t, addr)
		c.write("GET /v1/challenges/" + id + "?wait=25 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + shopKey + "\r\n\r\n")
		for ts.server.WaiterCount("shop") <= n {
			time.Sleep(time.Millisecond)
		}
		polls = append(polls, c)
	}
	if got := dialRaw(t, addr).get("/healthz", ""); got != 0 {
		t.Errorf("a third connection got %d", got)
	}
	ts.post("/v1/challenges/"+id+"/cancel", "{}").want(t, http.StatusOK, "")
	for _, c := range polls {
		if got := c.status(); got != http.StatusOK {
			t.Errorf("a long poll got %d", got)
		}
	}
	if got := dialRaw(t, addr).get("/healthz", ""); got != http.StatusOK {
		t.Errorf("a client after the polls got %d", got)
	}
}

// Connections through a trusted proxy are not closed before those of unknown clients.
func TestConnectionsOfTrustedProxiesAreKnown(t *testing.T) {
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }})
	addr := listenWithLimit(t, ts, 2)
	proxy := dialRaw(t, addr)
	if got := proxy.get("/healthz", ""); got != http.StatusOK {
		t.Fatal(got)
	}
	for range 5 {
		dialRaw(t, addr)
	}
	if got := proxy.get("/healthz", ""); got != http.StatusOK {
		t.Errorf("the proxy's second request: %d", got)
	}
}

// A client that announces a long body and sends a part of it takes little memory.
func TestAnnouncedBodyTakesNoMemoryBeforeItArrives(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	addr := listenWithLimit(t, ts, 1000)
	const clients = 200
	before := heapInUse()
	for range clients {
		c := dialRaw(t, addr)
		c.write("POST /v1/challenges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + shopKey + "\r\nContent-Type: application/json\r\nContent-Length: 65536\r\nExpect: 100-continue\r\n\r\n")
		if _, err := http.ReadResponse(c.reader, nil); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heapInUse() - before; grown > clients*40<<10 {
		t.Errorf("%d clients take %d KiB each", clients, grown/clients>>10)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Bodies of every length around the buffer's are read completely, with and without an announced length.
func TestBodiesOfEveryLengthAreRead(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	addr := listenWithLimit(t, ts, 100)
	for _, length := range []int{200, 4095, 4096, 4097, 8192, 64 << 10, 64<<10 + 1} {
		body := bytes.Repeat([]byte(" "), length)
		copy(body, signInRequest)
		for _, chunked := range []bool{false, true} {
			var reader io.Reader = bytes.NewReader(body)
			if chunked {
				reader = struct{ io.Reader }{reader}
			}
			r, err := http.NewRequest(http.MethodPost, "http://"+addr+"/v1/challenges", reader)
			must(t, err)
			r.Header.Set("Authorization", "Bearer "+shopKey)
			r.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultClient.Do(r)
			must(t, err)
			text, err := io.ReadAll(response.Body)
			must(t, err)
			must(t, response.Body.Close())
			if tooLong := length > 64<<10; tooLong != strings.Contains(string(text), "longer than 64 KiB") || tooLong == (response.StatusCode == http.StatusCreated) {
				t.Errorf("%d bytes, chunked %t: %d %s", length, chunked, response.StatusCode, text)
			}
		}
	}
	c := dialRaw(t, addr)
	c.write(fmt.Sprintf("POST /v1/challenges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n%s", shopKey, signInRequest))
	must(t, c.Conn.(*net.TCPConn).CloseWrite())
	if got := c.status(); got != http.StatusBadRequest {
		t.Errorf("an incomplete body: %d", got)
	}
}
