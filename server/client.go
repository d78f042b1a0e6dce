package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/realclientip/realclientip-go"
)

// loopbackHost reports whether a Host (RFC 9110 §7.2), with or without a port, is a loopback name.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		name = host[1 : len(host)-1]
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	if err != nil || a.Zone() != "" {
		return false
	}
	return a.Is4() && a.IsLoopback() || a == netip.IPv6Loopback()
}

// clients finds out who is at the other end, behind proxies that are trusted.
type clients struct {
	proxies []netip.Prefix
	chain   realclientip.RightmostTrustedRangeStrategy
}

func newClients(proxies []netip.Prefix) (clients, error) {
	c := clients{}
	ranges := make([]net.IPNet, len(proxies))
	for n, p := range proxies {
		p = p.Masked()
		c.proxies = append(c.proxies, p)
		ranges[n] = net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	}
	var err error
	c.chain, err = realclientip.NewRightmostTrustedRangeStrategy("X-Forwarded-For", ranges)
	return c, err
}

// address is the socket's other end or, if that is a trusted proxy, the right-most address in X-Forwarded-For that is
// none. A header that does not tell is ignored: then it is the proxy's own. Invalid if there is no address at all.
func (c *clients) address(r *http.Request) netip.Addr {
	socket, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := socket.Addr().Unmap().WithZone("")
	if !c.trusts(peer) {
		return peer
	}
	a, err := netip.ParseAddr(c.chain.ClientIP(r.Header, r.RemoteAddr))
	if err != nil {
		return peer
	}
	return a.Unmap().WithZone("")
}

func (c *clients) trusts(a netip.Addr) bool {
	for _, p := range c.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
