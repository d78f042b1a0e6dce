package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/realclientip/realclientip-go"
)

// isLoopbackHost reports whether a Host (RFC 9110 §7.2), with or without a port, is a loopback name.
func isLoopbackHost(host string) bool {
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

// An addressResolver determines the address of a request's client behind trusted proxies.
type addressResolver struct {
	proxies []netip.Prefix
	chain   realclientip.RightmostTrustedRangeStrategy
}

func newAddressResolver(proxies []netip.Prefix) (addressResolver, error) {
	c := addressResolver{}
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

// resolve returns the peer of the connection or, if the peer is a trusted proxy, the right-most address in X-Forwarded-For
// that is not a trusted proxy. If the header has no such address, it returns the proxy's own. It returns the zero Addr if
// the connection has no address.
func (c *addressResolver) resolve(r *http.Request) netip.Addr {
	peer := peerAddress(r)
	if !c.isTrusted(peer) {
		return peer
	}
	a, err := netip.ParseAddr(c.chain.ClientIP(r.Header, r.RemoteAddr))
	if err != nil {
		return peer
	}
	return a.Unmap().WithZone("")
}

// comesThroughProxy reports whether the peer of the connection is a trusted proxy.
func (c *addressResolver) comesThroughProxy(r *http.Request) bool {
	return len(c.proxies) > 0 && c.isTrusted(peerAddress(r))
}

// peerAddress returns the address of the connection's peer, or the zero Addr if there is none.
func peerAddress(r *http.Request) netip.Addr {
	socket, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return socket.Addr().Unmap().WithZone("")
}

func (c *addressResolver) isTrusted(a netip.Addr) bool {
	for _, p := range c.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
