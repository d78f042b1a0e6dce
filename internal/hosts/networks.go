package hosts

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// ParseNetwork reads an address, or a network by its first address and the length of its prefix. The error completes a
// sentence that names the value.
func ParseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, errors.New("is neither an address nor a network such as 10.0.0.0/8")
		}
		network = netip.PrefixFrom(ip, ip.BitLen())
	}
	switch {
	case network.Addr().Is4In6(): // no connection's address is IPv4-mapped, so the network would hold none
		return netip.Prefix{}, errors.New("is an IPv4 network written as an IPv6 one: write it as IPv4")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("has bits behind its prefix: write the network %s or the address %s", network.Masked(), network.Addr())
	}
	return network, nil
}

// maxShare is how much of the addresses of the public network a list of networks may hold. The largest operators have less
// than a fortieth.
const maxShare = 1.0 / 8

// publicIPv6 is all that is handed out for the public network (IANA IPv6 address space).
var publicIPv6 = netip.MustParsePrefix("2000::/3")

// CheckNetworks refuses networks that together hold so many addresses that a list of them excludes hardly anybody,
// whatever prefixes they are written with, and those that hold nobody's.
func CheckNetworks(networks []netip.Prefix) error {
	for _, n := range networks {
		if !n.IsValid() || n.Addr().Is4In6() {
			return fmt.Errorf("%s is no network", n)
		}
	}
	if share := coveredShare(networks, netip.PrefixFrom(netip.IPv4Unspecified(), 0)); share >= maxShare {
		return fmt.Errorf("the networks together hold %.0f %% of all IPv4 addresses: name those only that you mean", 100*share)
	}
	if share := coveredShare(networks, publicIPv6); share >= maxShare {
		return fmt.Errorf("the networks together hold %.0f %% of all public IPv6 addresses: name those only that you mean", 100*share)
	}
	return nil
}

// coveredShare is the part of a space that networks cover together, from 0 to 1.
func coveredShare(networks []netip.Prefix, space netip.Prefix) (share float64) {
	wide := slices.SortedFunc(slices.Values(networks), func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	var counted []netip.Prefix
	for _, n := range wide {
		if !n.Overlaps(space) || slices.ContainsFunc(counted, n.Overlaps) { // of two that overlap one holds the other
			continue
		}
		counted = append(counted, n)
		share += math.Exp2(-float64(max(n.Bits()-space.Bits(), 0)))
	}
	return share
}
