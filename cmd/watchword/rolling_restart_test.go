package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A proxyServer is an HAProxy in front of two servers, whose readiness it checks.
type proxyServer struct{ url, statsURL string }

// startHAProxy starts an HAProxy that never repeats a request, so that each failure shows.
func startHAProxy(t *testing.T, servers ...string) *proxyServer {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not installed (Debian, Ubuntu: apt-get install haproxy)")
	}
	front, stats := freeport.Address(t), freeport.Address(t)
	config := "defaults\n  mode http\n  retries 0\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n" +
		"frontend front\n  bind " + front + "\n  default_backend watchword\n" +
		"frontend stats\n  bind " + stats + "\n  stats enable\n  stats uri /\n" +
		"backend watchword\n  balance roundrobin\n  option httpchk GET /readyz\n  timeout check 5s\n  default-server check inter 200ms fall 1 rise 1\n"
	for i, addr := range servers {
		config += fmt.Sprintf("  server s%d %s\n", i, addr)
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	cmd := exec.Command(program, "-db", "-f", path)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy:\n%s", log.String())
		}
	})
	return &proxyServer{"http://" + front, "http://" + stats}
}

// waitForStatus waits until the proxy knows that a server is UP or DOWN.
func (p *proxyServer) waitForStatus(t *testing.T, server int, status string) {
	t.Helper()
	waitFor(t, status, func() string {
		res, err := http.Get(p.statsURL + "/;csv")
		if err != nil {
			return err.Error()
		}
		defer func() { _ = res.Body.Close() }()
		text, _ := io.ReadAll(res.Body)
		for line := range strings.Lines(string(text)) {
			if fields := strings.Split(line, ","); len(fields) > 17 && fields[0] == "watchword" && fields[1] == fmt.Sprint("s", server) {
				return fields[17]
			}
		}
		return "no such server"
	})
}

// Two servers behind HAProxy are restarted in turns while people sign in through it. Every request is answered as without, though the
// proxy never repeats one.
func TestRollingRestartBehindHAProxyFailsNoRequest(t *testing.T) {
	codes := startCodeReceiver(t, httptest.NewTLSServer)
	config := writeProductionConfig(t, redistest.Start(t).URL(), "shutdown_delay: 2s\ntrusted_proxies: [127.0.0.0/8]\napps:\n  - id: shop\n    keys: [{sha256: "+
		apiKeyDigest("quiet")+", scopes: [challenges]}]\n    send: {email: [\""+codes.senderURL()+"\"]}\n")
	addresses := []string{freeport.Address(t), freeport.Address(t)}
	start := func(i int) *node {
		return startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, codes.Server)}, "--log-level", "info", "--config", config, "--listen", addresses[i])
	}
	nodes := []*node{start(0), start(1)}
	proxy := startHAProxy(t, addresses...)
	for i := range nodes {
		proxy.waitForStatus(t, i, "UP")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	people := quietApp{node: &node{t: t, url: proxy.url, key: "quiet"}, codes: codes}
	done := make(chan int)
	go func() { done <- people.signInUntil(ctx, t) }()
	for range rounds(2, 20) {
		for i := range nodes {
			nodes[i].stop()
			if log := nodes[i].log.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, "broken off") {
				t.Errorf("the log of server %d:\n%s", i, log)
			}
			nodes[i] = start(i)
			proxy.waitForStatus(t, i, "UP")
		}
	}
	stop()
	if n := <-done; n < 20 {
		t.Errorf("only %d people signed in", n)
	}
}

// During shutdown_delay readiness is red, other requests are served, and clients are asked to close their connections.
func TestShutdownDelayKeepsServingWhileReadinessIsRed(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), memoryURL, "--shutdown-delay", "5m")
	stopped := make(chan struct{})
	go func() {
		n.stop()
		close(stopped)
	}()
	waitFor(t, "503", func() string {
		r, err := n.send(t.Context(), apiRequest{method: http.MethodGet, path: "/readyz"})
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(r.status)
	})
	started := n.start()
	conn := dialRaw(t, n, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if text, err := io.ReadAll(conn); err != nil || !strings.Contains(string(text), "\r\nConnection: close\r\n") {
		t.Errorf("%v, %s", err, text)
	}
	if r := n.check(started.str("id"), n.waitForCode(started.str("id"))); r.status != http.StatusOK {
		t.Errorf("a check: %d %s", r.status, r.text)
	}
	if err := syscall.Kill(n.pid, syscall.SIGTERM); err != nil { // the second signal ends the delay
		t.Fatal(err)
	}
	<-stopped
	if !strings.Contains(n.log.String(), `"msg":"shutting down","delay":"5m0s"`) {
		t.Errorf("the log:\n%s", n.log)
	}
}

// statedShutdown is the time that docs/operating.md states for a stop, without shutdown_delay.
const statedShutdown = 40 * time.Second

// A stop ends by itself within the stated time though a sender and an event endpoint never answer, a client waits and another sends
// its body slowly.
func TestShutdownEndsWithinStatedTime(t *testing.T) {
	t.Parallel()
	silent := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	n := startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, silent)}, "--log-level", "info", "--config",
		writeProductionConfig(t, memoryURL, "apps:\n  - id: shop\n    keys: [{sha256: "+apiKeyDigest("quiet")+", scopes: [challenges]}]\n"+
			"    send: {email: [\"webhook+"+silent.URL+"/?secret="+eventsSecret+"\"]}\n    events: [{url: \""+silent.URL+"/?secret="+eventsSecret+"\"}]\n"))
	n.key = "quiet"
	id := n.start().str("id")
	go func() {
		_, _ = n.send(t.Context(), apiRequest{method: http.MethodGet, path: "/v1/challenges/" + id + "?wait=25"})
	}()
	slow := dialRaw(t, n, "POST /v1/challenges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer quiet\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	defer func() { _ = slow.Close() }()
	if err := syscall.Kill(n.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.ended:
	case <-time.After(statedShutdown):
		t.Error("the server has not ended")
	}
	if !strings.Contains(n.log.String(), "events not delivered at shutdown") {
		t.Errorf("the log:\n%s", n.log)
	}
}

// dialRaw opens a connection to a node and writes a text.
func dialRaw(t *testing.T, n *node, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// The second SIGTERM ends a server at once, whatever it still has to do.
func TestSecondSignalEndsServerAtOnce(t *testing.T) {
	n := startNode(t, t.TempDir(), memoryURL, "--shutdown-delay", "5m")
	for range 2 {
		if err := syscall.Kill(n.pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "503", func() string { // or the server has ended
			if r, err := n.send(t.Context(), apiRequest{method: http.MethodGet, path: "/readyz"}); err == nil {
				return fmt.Sprint(r.status)
			}
			return "503"
		})
	}
	select {
	case <-n.ended:
	case <-time.After(testTimeout):
		t.Error("the server has not ended")
	}
}
