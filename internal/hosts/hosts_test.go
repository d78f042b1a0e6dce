package hosts_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/hosts"
)

// requireParse checks the values that a parser must accept, and those that it must refuse with an error that contains the given text.
func requireParse(t *testing.T, parse func(string) error, accepted []string, refused map[string]string) {
	t.Helper()
	for _, text := range accepted {
		if err := parse(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, why := range refused {
		err := parse(text)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", text, err, why)
		}
	}
}

func TestCheckOriginAcceptsOneSpelling(t *testing.T) {
	requireParse(t, hosts.CheckOrigin, []string{
		"https://verify.example.com", "https://verify.example.com:8443", "https://xn--bcher-kva.example", "https://192.0.2.1", "https://[2001:db8::1]",
		"https://[2001:db8::1]:8443", "https://localhost", "http://localhost", "http://localhost:3000", "http://app.localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000",
		"https://1password.example", "https://4.example", "https://a--b.example", "https://example.c0",
	}, map[string]string{
		"": "missing", "https://verify.bücher.example": "xn--", "https://VERIFY.example.com": "lower-case", "https://verify.example.com.": "neither a name",
		"https://verify.example.com:0": "port", "https://verify.example.com:99999": "port", "https://verify.example.com:": "port", "https://verify.example.com:08443": "port",
		"https://verify.example.com:443": "leave it out", "http://localhost:80": "leave it out", "https://verify.example.com/": "slash", "https://verify.example.com/x": "scheme and host only",
		"https://verify.example.com?": "scheme and host only", "https://verify.example.com#": "scheme and host only", "http://verify.example.com": "must be https", "ftp://verify.example.com": "must be https",
		"HTTPS://verify.example.com": "unusual", "verify.example.com": "form", "https:verify.example.com": "form", "https://": "form", "https://ann@verify.example.com": "user",
		"https://[::ffff:192.0.2.1]": "IPv4-mapped", "https://[2001:db8:0::1]": "unusual", "https://[2001:DB8::1]": "unusual", "https://[fe80::1%25eth0]": "unusual",
		"https://192.0.2": "unusual", "https://192.0.2.1.": "neither", "https://192.0.2.256": "unusual", "https://0x7f.1": "unusual", "https://example.0x7f": "unusual", "https://192.0.2.01": "unusual",
		"https://a_b.example": "neither", "https://-a.example": "neither", "https://*.example.com": "neither", "https://a..example": "neither",
		"https://" + strings.Repeat("a", 64) + ".example": "neither", "https://" + strings.Repeat("a.", 126) + "example": "neither", "https://a.example:x": "port", "https://a.example b": "characters",
		`https:\\a.example`: "characters", "https://a.example\n": "characters", "https://a%2eexample": "form",
	})
}

func TestCheckListenAcceptsHostAndPort(t *testing.T) {
	requireParse(t, hosts.CheckListen, []string{
		"127.0.0.1:8080", ":8080", "0.0.0.0:8080", "[::]:8080", "[::1]:8080", "localhost:8080", "node-1.internal:8080", "127.0.0.1:0", "[fe80::1%eth0]:8080",
	}, map[string]string{
		"": "HOST:PORT", "8080": "HOST:PORT", "127.0.0.1": "HOST:PORT", "::1:8080": "HOST:PORT", "127.0.0.1:": "port", "127.0.0.1:65536": "port", "127.0.0.1:-1": "port",
		"127.0.0.1:http": "port", "127.0.0.1:08080": "port", "127.1:8080": "unusual", "127.0.0.01:8080": "unusual", "[::ffff:127.0.0.1]:8080": "IPv4-mapped", "here it is:8080": "neither",
		"http://127.0.0.1:8080": "HOST:PORT", "[0::1]:8080": "unusual", "bücher:8080": "xn--",
	})
}

func TestListenConflictFindsAddressesThatExcludeEachOther(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		twice bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true}, {":8080", "127.0.0.1:8080", true}, {"127.0.0.1:8080", "[::]:8080", true}, {"0.0.0.0:8080", ":8080", true},
		{"127.0.0.1:8080", "127.0.0.1:9090", false}, {"127.0.0.1:8080", "[::1]:8080", false}, {"localhost:8080", "127.0.0.1:8080", true}, {"[::1]:8080", "localhost:8080", true}, {"[::1]:8080", "[0::1]:8080", true}, {"localhost:8080", "10.0.0.1:8080", false}, {"127.0.0.1:0", "127.0.0.1:0", false}, {":0", ":0", false},
	} {
		if hosts.ListenConflict(c.a, c.b) != c.twice {
			t.Errorf("%s and %s: twice %t, want %t", c.a, c.b, !c.twice, c.twice)
		}
	}
}

func TestCheckTargetURLAcceptsHostsThatCanBeDialled(t *testing.T) {
	target := func(host string) error { return hosts.CheckTargetURL(&url.URL{Host: host}) }
	requireParse(t, target, []string{"smtp.example.com", "SMTP.example.com:25", "mail_relay:25", "10.0.0.1:25", "[2001:db8::1]:25", "localhost:1025"},
		map[string]string{"": "no host", ":25": "no host", "smtp.example.com:0": "port", "smtp.example.com:70000": "port", "smtp.example.com:": "port", "bücher.example": "xn--",
			"[::ffff:10.0.0.1]:25": "IPv4-mapped", "smtp.example.com.": "neither", "10.0.0.256": "unusual"})
	requireParse(t, hosts.CheckHostPort, []string{"redis:6379", "[::1]:6379", "10.0.0.1:26379"},
		map[string]string{"redis": "host:port", "redis:0": "port", "redis:99999": "port", ":6379": "no host", "::1:6379": "host:port"})
}

func TestParseNetworkAcceptsOneSpelling(t *testing.T) {
	parse := func(text string) error { _, err := hosts.ParseNetwork(text); return err }
	requireParse(t, parse, []string{"10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "fd00::/8", "2001:db8::1", "0.0.0.0/0"}, map[string]string{
		"": "neither", "10.0.0.0/33": "neither", "10.0.0/8": "neither", "10.0.0.0/08": "neither", "proxy.example.com": "neither", "fe80::1%eth0": "neither", "fe80::%eth0/10": "neither",
		"::ffff:10.0.0.1": "as IPv4", "::ffff:10.0.0.0/104": "as IPv4", "::ffff:a00:0/104": "as IPv4", "10.0.0.5/8": "10.0.0.0/8 or the address 10.0.0.5", "fd00::1/8": "fd00::/8",
	})
}

// The lists cover nearly all addresses: as one prefix, as two, as all but one address, with overlaps.
func TestCheckNetworksRefusesListsOfNearlyAllAddresses(t *testing.T) {
	sliver := func(first string, bits int) (out []string) { // all but the last address
		p := netip.MustParsePrefix(first)
		ip := p.Addr()
		for n := p.Bits() + 1; n <= bits; n++ {
			out = append(out, netip.PrefixFrom(ip, n).String())
			raw := ip.AsSlice()
			raw[(n-1)/8] |= 1 << (7 - (n-1)%8)
			ip, _ = netip.AddrFromSlice(raw)
		}
		return out
	}
	var small []string // a quarter, as 64 networks
	for i := range 64 {
		small = append(small, fmt.Sprintf("%d.0.0.0/8", i))
	}
	for name, texts := range map[string][]string{
		"IPv4": {"0.0.0.0/0"}, "IPv6": {"::/0"}, "halves": {"0.0.0.0/1", "128.0.0.0/1"}, "one half": {"128.0.0.0/1"}, "halves of IPv6": {"::/1", "8000::/1"}, "public IPv6": {"2000::/3"},
		"all but an address": sliver("0.0.0.0/0", 32), "all of IPv6 but an address": sliver("2000::/3", 128), "small ones": small,
		"overlapping": {"0.0.0.0/3", "0.0.0.0/4", "10.0.0.0/8"}, "mixed": {"10.0.0.0/8", "fd00::/8", "::/2"},
	} {
		if hosts.CheckNetworks(parseNetworks(t, texts)) == nil {
			t.Errorf("%s: %v is a list of networks", name, texts)
		}
	}
}

func TestCheckNetworksAcceptsRealisticNetworks(t *testing.T) {
	for name, texts := range map[string][]string{
		"none": nil, "private": {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1"},
		"a CDN": {"103.21.244.0/22", "104.16.0.0/13", "172.64.0.0/13", "2400:cb00::/32", "2606:4700::/32"}, "overlapping": {"10.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"},
	} {
		if err := hosts.CheckNetworks(parseNetworks(t, texts)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckNetworksRefusesInvalidNetworks(t *testing.T) {
	for _, n := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:0:0/96")} {
		if hosts.CheckNetworks([]netip.Prefix{n}) == nil {
			t.Errorf("%v is a network", n)
		}
	}
}

func parseNetworks(t *testing.T, texts []string) (out []netip.Prefix) {
	t.Helper()
	for _, text := range texts {
		n, err := hosts.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}
