package outbound

import (
	"net/netip"
	"slices"
	"strings"
)

// publicIPv6 is the space of public addresses (IANA IPv6 address space). Addresses outside are unique local, link-local, multicast,
// mapped (::ffff:0:0/96), translated (NAT64, 64:ff9b::/96 and 64:ff9b:1::/48) or unassigned.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

// specialPurpose lists networks that are not public: the IANA special-purpose registries (RFC 6890 and its successors), former
// transition mechanisms that contain an IPv4 address, and a cloud's metadata service.
var specialPurpose = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network, RFC 791
	netip.MustParsePrefix("10.0.0.0/8"),       // private, RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local, RFC 3927; metadata services
	netip.MustParsePrefix("172.16.0.0/12"),    // private, RFC 1918
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments, RFC 6890; a metadata service
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation, RFC 5737
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays, RFC 7526
	netip.MustParsePrefix("192.168.0.0/16"),   // private, RFC 1918
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarking, RFC 2544
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation, RFC 5737
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation, RFC 5737
	netip.MustParsePrefix("224.0.0.0/3"),      // multicast, reserved, broadcast
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's host agent, at a public address
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, RFC 2928; Teredo
	netip.MustParsePrefix("2001:db8::/32"),    // documentation, RFC 3849
	netip.MustParsePrefix("2002::/16"),        // 6to4, RFC 3056
	netip.MustParsePrefix("3fff::/20"),        // documentation, RFC 9637
}

// Check returns nil if the policy allows an address, and else an ErrRefused that names the address.
func (p Policy) Check(ip netip.Addr) error {
	contains := func(n netip.Prefix) bool { return n.Contains(ip) }
	switch {
	case ip.Zone() != "": // only link-local addresses have zones
	case slices.ContainsFunc(p.Allowed, contains), p.Development && isLoopback(ip):
		return nil
	case ip.Is6() && !publicIPv6.Contains(ip):
	case slices.ContainsFunc(specialPurpose, contains):
	default:
		return nil
	}
	return &refusedError{ip.String() + " is not a public address and not allowed by configuration"}
}

// isDirect reports whether an address that the policy allows is reached without the proxy: only public addresses are reached by it.
func (p Policy) isDirect(ip netip.Addr) bool {
	return isLoopback(ip) || slices.ContainsFunc(p.Allowed, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// checkLoopback is the policy of plain http: it allows loopback addresses only.
func checkLoopback(ip netip.Addr) error {
	if isLoopback(ip) {
		return nil
	}
	return &refusedError{"plain http to " + ip.String() + ", which is not a loopback address"}
}

// isLoopback reports whether all parsers agree that an address is loopback, so it excludes IPv4-mapped addresses and zones.
func isLoopback(ip netip.Addr) bool { return ip.IsLoopback() && !ip.Is4In6() && ip.Zone() == "" }

// IsLoopback reports whether the host of a configured URL is localhost or a loopback address. It resolves no names.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && isLoopback(ip)
}
