package hosts

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// ParseNetwork parses an IP address, or a network such as 10.0.0.0/8. The error is the predicate of a sentence whose subject is the
// value.
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
	case network.Addr().Is4In6(): // it would match nothing, because addresses of connections are never IPv4-mapped
		return netip.Prefix{}, errors.New("is an IPv4 network written as an IPv6 one: write it as IPv4")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("has bits behind its prefix: write the network %s or the address %s", network.Masked(), network.Addr())
	}
	return network, nil
}

// maxShare is the largest share of all public addresses in a list of networks. The largest operators have less than a fortieth.
const maxShare = 1.0 / 8

// publicIPv6 is the space of public addresses (IANA IPv6 address space).
var publicIPv6 = netip.MustParsePrefix("2000::/3")

// CheckNetworks rejects a list of networks that covers an eighth or more of all public addresses, in whatever prefixes, because such
// a list excludes too few. It also rejects invalid and IPv4-mapped networks.
func CheckNetworks(networks []netip.Prefix) error {
	for _, n := range networks {
		if !n.IsValid() || n.Addr().Is4In6() {
			return fmt.Errorf("%s is not a network", n)
		}
	}
	if share := coveredShare(networks, netip.PrefixFrom(netip.IPv4Unspecified(), 0)); share >= maxShare {
		return fmt.Errorf("the networks together contain %.0f %% of all IPv4 addresses: list only those that you need", 100*share)
	}
	if share := coveredShare(networks, publicIPv6); share >= maxShare {
		return fmt.Errorf("the networks together contain %.0f %% of all public IPv6 addresses: list only those that you need", 100*share)
	}
	return nil
}

// coveredShare returns the share of a space that the networks cover, from 0 to 1.
func coveredShare(networks []netip.Prefix, space netip.Prefix) (share float64) {
	widestFirst := slices.SortedFunc(slices.Values(networks), func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	var counted []netip.Prefix
	for _, n := range widestFirst {
		if !n.Overlaps(space) || slices.ContainsFunc(counted, n.Overlaps) { // of two overlapping networks one contains the other
			continue
		}
		counted = append(counted, n)
		share += math.Exp2(-float64(max(n.Bits()-space.Bits(), 0)))
	}
	return share
}
