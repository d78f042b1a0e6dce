package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestPolicyRefusesNonPublicAddresses(t *testing.T) {
	for _, s := range []string{
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
		"203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "64:ff9b::808:808", "64:ff9b::7f00:1", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:0:4136:e378::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1", "fd00:ec2::254",
		"fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "4000::1", "2606:4700::1%eth0",
	} {
		if err := (Policy{}).Check(netip.MustParseAddr(s)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want refused", s, err)
		}
	}
	for _, s := range []string{"8.8.8.8", "172.32.0.1", "100.63.255.255", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "2001:4860:4860::8888"} {
		if err := (Policy{}).Check(netip.MustParseAddr(s)); err != nil {
			t.Errorf("%s: %v, want allowed", s, err)
		}
	}
}

func TestPolicyAllowsConfiguredNetworksAndLoopbackInDevelopment(t *testing.T) {
	allowed := Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	development := Policy{Development: true}
	for _, c := range []struct {
		policy Policy
		ip     string
		ok     bool
	}{
		{allowed, "10.1.2.3", true}, {allowed, "10.2.0.1", false}, {allowed, "::ffff:10.1.2.3", false}, {allowed, "127.0.0.1", false},
		{development, "127.0.0.1", true}, {development, "::1", true}, {development, "::ffff:127.0.0.1", false},
		{development, "10.1.2.3", false}, {development, "169.254.169.254", false},
	} {
		if err := c.policy.Check(netip.MustParseAddr(c.ip)); (err == nil) != c.ok {
			t.Errorf("%+v %s: %v", c.policy, c.ip, err)
		}
	}
}

// URL parsers disagree about some of these spellings of loopback. The check of the dialled address refuses all of them.
func TestClientRefusesEverySpellingOfLoopback(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	client := Policy{}.Client()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "2130706433", "0x7f000001", "127.1"} {
		answer, err := client.Get("https://" + host + ":" + port + "/")
		if err == nil {
			_ = answer.Body.Close()
			t.Errorf("%s: connected", host)
		}
		if !errors.Is(err, ErrRefused) && !errors.Is(err, HostNotFound) && !errors.Is(err, NameNotResolved) && !errors.Is(err, TimedOut) {
			t.Errorf("%s: %v, want refused or unknown", host, err)
		}
	}
}

func TestClientAllowsPlainHTTPOnlyToLoopbackInDevelopment(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer server.Close()
	if _, err := (Policy{Allowed: loopback()}).Client().Get(server.URL); !errors.Is(err, ErrRefused) {
		t.Errorf("plain http in production: %v", err)
	}
	answer, err := Policy{Development: true}.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	// An allowed network is still restricted to https.
	everywhere := Policy{Development: true, Allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	if _, err := everywhere.Client().Get("http://192.0.2.1/"); !errors.Is(err, ErrRefused) {
		t.Errorf("plain http elsewhere: %v", err)
	}
	for _, url := range []string{"ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/"} {
		if _, err := everywhere.Client().Get(url); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// Only some parsers treat an IPv4-mapped address as loopback, so every policy refuses it, for HTTP and for other protocols.
func TestIPv4MappedLoopbackIsRefusedByEveryPolicy(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, policy := range []Policy{{}, {Development: true}, {Development: true, Allowed: loopback()}} {
		for _, host := range []string{"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::1%25lo]"} {
			for _, scheme := range []string{"http://", "https://"} {
				answer, err := policy.Client().Get(scheme + host + ":" + port)
				if err == nil {
					_ = answer.Body.Close()
				}
				if !errors.Is(err, ErrRefused) {
					t.Errorf("%+v: %s%s: %v, want refused", policy, scheme, host, err)
				}
			}
			host = strings.ReplaceAll(strings.Trim(host, "[]"), "%25", "%")
			if conn, err := policy.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)); !errors.Is(err, ErrRefused) {
				t.Errorf("%+v: dialling %s: %v, %v, want refused", policy, host, conn, err)
			}
		}
	}
}

func TestIsLoopbackReadsTheSpellingAlone(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true,
		"::ffff:127.0.0.1": false, "::ffff:7f00:1": false, "0:0:0:0:0:ffff:127.0.0.1": false, "::ffff:8.8.8.8": false,
		"::1%lo": false, "127.1": false, "2130706433": false, "0x7f000001": false, "0177.0.0.1": false, "localhost.example.com": false, "8.8.8.8": false, "": false,
	} {
		if IsLoopback(host) != want {
			t.Errorf("%q: loopback %t, want %t", host, !want, want)
		}
	}
}

// net/http never uses the environment's proxy for loopback, so a request to a test server could not show that it is ignored.
func TestClientIgnoresProxyOfTheEnvironment(t *testing.T) {
	g := Policy{Development: true}.Client().Transport.(*policyTransport)
	if g.secure.Proxy != nil || g.plain.Proxy != nil {
		t.Error("a transport asks for a proxy")
	}
}

func TestClientFollowsNoRedirectAndBoundsBody(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	}))
	defer server.Close()
	get := func(limit int64, path string) (int, string, error) {
		answer, err := Policy{Development: true, MaxBody: limit}.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body), err
	}
	if status, _, _ := get(100, "/from"); status != http.StatusTemporaryRedirect || asked != 1 {
		t.Errorf("redirect: status %d after %d requests", status, asked)
	}
	if _, body, err := get(100, "/"); err != nil || len(body) != 100 {
		t.Errorf("body at the limit: %d octets, %v", len(body), err)
	}
	if _, body, err := get(99, "/"); !errors.Is(err, ErrTooLarge) || len(body) != 99 {
		t.Errorf("body above the limit: %d octets, %v", len(body), err)
	}
}

func TestDialContextAppliesPolicyToTCPOnly(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if _, err := (Policy{}).DialContext(context.Background(), "tcp", listener.Addr().String()); !errors.Is(err, ErrRefused) {
		t.Errorf("loopback: %v", err)
	}
	if _, err := (Policy{Allowed: loopback()}).DialContext(context.Background(), "udp", listener.Addr().String()); !errors.Is(err, ErrRefused) {
		t.Errorf("udp: %v", err)
	}
	conn, err := Policy{Allowed: loopback()}.DialContext(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
