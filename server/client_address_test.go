package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/watchword-auth/watchword/server"
)

func TestClientAddressTrustsConfiguredProxiesOnly(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("2001:db8:ffff::/48"), netip.MustParsePrefix("198.51.100.1/32")}
	ts := newTestServer(t, serverOptions{configure: func(c *server.Config) { c.TrustedProxies = proxies }})
	direct := newTestServer(t, serverOptions{})
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"203.0.113.7:1", nil, "203.0.113.7"},
		{"203.0.113.7:1", []string{"192.0.2.1"}, "203.0.113.7"}, // not a trusted proxy
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"192.0.2.66, 203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"192.0.2.66", "203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"192.0.2.66, 203.0.113.7, 198.51.100.1, 10.9.9.9"}, "203.0.113.7"},
		{"[2001:db8:ffff::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"203.0.113.7, nonsense"}, "10.0.0.1"}, // a proxy that sends no valid address
		{"10.0.0.1:1", []string{"203.0.113.7, "}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.1"},
		{"nonsense", []string{"203.0.113.7"}, ""},
		{"", nil, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		r.Header.Set("Forwarded", "for=192.0.2.99")
		r.Header.Set("X-Real-IP", "192.0.2.98")
		want, _ := netip.ParseAddr(c.want)
		if got := ts.server.ClientAddress(r); got != want {
			t.Errorf("%s with %q: %v, want %v", c.remote, c.forwarded, got, want)
		}
		if socket, err := netip.ParseAddrPort(c.remote); err == nil {
			if got := direct.server.ClientAddress(r); got != socket.Addr().Unmap() {
				t.Errorf("without proxies, %s with %q: %v", c.remote, c.forwarded, got)
			}
		}
	}
}

func TestNewRejectsTrustedProxiesThatCoverAllAddresses(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	for _, proxies := range [][]netip.Prefix{{{}}, {netip.MustParsePrefix("0.0.0.0/0")}, {netip.MustParsePrefix("::/0")}, {netip.MustParsePrefix("::ffff:10.0.0.0/104")},
		{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")}} {
		if _, err := server.New(server.Config{Apps: validApps(t, ts), TrustedProxies: proxies}); err == nil {
			t.Errorf("%v is accepted", proxies)
		}
	}
}
