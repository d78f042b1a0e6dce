package outbound

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// A connectProxy is a real HTTP proxy that connects every CONNECT to one server, whatever the target, and records the targets.
type connectProxy struct {
	*httptest.Server
	mu      sync.Mutex
	targets []string
}

const proxyUser, proxyPassword = "egress", "N8v2QpLx"

func startProxy(t *testing.T, to string, status int) *connectProxy {
	t.Helper()
	p := &connectProxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.targets = append(p.targets, r.Method+" "+r.Host)
		p.mu.Unlock()
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
		status := status
		if r.Header.Get("Proxy-Authorization") != want {
			status = http.StatusProxyAuthRequired
		}
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		target, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		client, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(target, buffered); _ = target.Close() }()
		_, _ = io.Copy(client, target)
		_ = client.Close()
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *connectProxy) policy(t *testing.T) Policy {
	t.Helper()
	proxy, err := ParseProxy(strings.Replace(p.URL, "http://", "http://"+proxyUser+":"+proxyPassword+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	return Policy{Proxy: proxy}
}

// startGreeter starts a server that speaks first, as SMTP servers do.
func startGreeter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = io.WriteString(c, "220 mail.test\r\n")
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

const publicAddress = "93.184.215.14:25"

func TestDialConnectsToPublicAddressByProxy(t *testing.T) {
	p := startProxy(t, startGreeter(t), http.StatusOK)
	conn, err := p.policy(t).DialContext(t.Context(), "tcp", publicAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if line != "220 mail.test\r\n" || len(p.targets) != 1 || p.targets[0] != "CONNECT "+publicAddress {
		t.Errorf("read %q, %v; targets %q", line, err, p.targets)
	}
}

// The proxy is no way around the policy: what a name resolves to is checked before the proxy is asked, and the proxy gets the address.
func TestProxyIsNotAskedForRefusedAddresses(t *testing.T) {
	p := startProxy(t, startGreeter(t), http.StatusOK)
	for _, address := range []string{"10.0.0.1:25", "169.254.169.254:80", "127.0.0.1:25", "localhost:25", "[::1]:25", "[::ffff:10.0.0.1]:25", "[64:ff9b::a00:1]:25", "100.64.0.1:25", "[fd00::1]:25"} {
		conn, err := p.policy(t).DialContext(t.Context(), "tcp", address)
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, %v", address, conn, err)
		}
		if _, err := p.policy(t).Client().Get("https://" + address); !errors.Is(Reason(err), ErrRefused) {
			t.Errorf("https://%s: %v", address, err)
		}
	}
	if len(p.targets) != 0 {
		t.Errorf("the proxy was asked for %q", p.targets)
	}
}

// Allowed networks and loopback in development are inside, where the proxy is not.
func TestAllowedNetworksAreReachedWithoutProxy(t *testing.T) {
	greeter := startGreeter(t)
	p := startProxy(t, greeter, http.StatusOK)
	allowed, development := p.policy(t), p.policy(t)
	allowed.Allowed, development.Development = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true
	for _, policy := range []Policy{allowed, development} {
		conn, err := policy.DialContext(t.Context(), "tcp", strings.Replace(greeter, "127.0.0.1", "localhost", 1))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if len(p.targets) != 0 {
		t.Errorf("the proxy was asked for %q", p.targets)
	}
}

func TestProxyFailuresNameTheProxy(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	refusing := startProxy(t, "127.0.0.1:1", http.StatusForbidden)
	for url, want := range map[string]string{
		refusing.URL: "outgoing proxy: answered 407",
		strings.Replace(refusing.URL, "//", "//"+proxyUser+":"+proxyPassword+"@", 1):          "outgoing proxy: answered 403",
		"http://" + closed.Addr().String():                                                    "outgoing proxy: connection refused",
		"http://" + startBrokenServer(t, "not HTTP\r\n\r\n"):                                  "outgoing proxy: no valid HTTP answer",
		"http://" + startBrokenServer(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<16)): "outgoing proxy: outbound: answer is too large",
		"http://" + silent.Addr().String():                                                    "time-out",
	} {
		proxy, err := ParseProxy(url)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err = Policy{Proxy: proxy}.DialContext(ctx, "tcp", publicAddress)
		cancel()
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", proxy, err, want)
		}
	}
}

// net/http reads HTTPS_PROXY and the like only if a transport asks for it.
func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	p := startProxy(t, startGreeter(t), http.StatusOK)
	for _, policy := range []Policy{{Development: true}, p.policy(t)} {
		transport := policy.Client().Transport.(*policyTransport)
		for _, scheme := range []*http.Transport{transport.secure, transport.plain} {
			if scheme != nil && scheme.Proxy != nil {
				t.Error("a transport has a proxy of its own")
			}
		}
	}
}

func TestParseProxyChecksURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://proxy.example:3128": true, "https://ada:hunter2@proxy.example": true, "http://10.0.0.1:8080/": true, "http://[2001:db8::1]:3128": true,
		"": false, "proxy.example:3128": false, "socks5://proxy.example": false, "http://": false, "http://proxy.example/path": false,
		"http://proxy.example?hunter2": false, "http://proxy.example:70000": false, "http://proxy.example:0": false, "http://ada:hunter2@": false,
	} {
		p, err := ParseProxy(url)
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") || strings.Contains(fmt.Sprintf("%v %+v %#v %s %q", p, p, p, p, p), "hunter2") {
			t.Errorf("%s: the password is printed", url)
		}
	}
}
