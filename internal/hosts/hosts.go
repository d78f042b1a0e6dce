// Package hosts reads the names of machines in configurations: hosts, ports, origins, addresses to listen on, networks.
// Each kind has one strict parser, because what only some programs read as the same is accepted here and refused, or
// believed, elsewhere.
package hosts

import (
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// maxName is the longest domain name in octets, without the dot at its end (RFC 1035 §2.3.4).
const maxName = 253

var (
	labelPattern = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	// namePattern is a domain name in the form in which browsers compare it: lower-case A-labels, no dot at the end.
	namePattern = regexp.MustCompile(`^(` + labelPattern + `\.)*` + labelPattern + `$`)
	// numericLabelPattern is a last label by which browsers take a host for an IPv4 address (WHATWG URL, "ends in a number").
	numericLabelPattern = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

var (
	errNoHost   = errors.New("has no host")
	errNotASCII = errors.New("has a host that is not ASCII: write an international name as browsers send it, xn--...")
	errHost     = errors.New("has a host that is neither a name of lower-case letters, digits, dots and hyphens nor an IP address")
	errAddress  = errors.New("has a host that is an IP address in an unusual spelling")
	errMapped   = errors.New("has a host that is an IPv4-mapped IPv6 address: write it as an IPv4 address")
	errPort     = errors.New("has a port that is not between 1 and 65535")
	errPortText = errors.New("has a port in an unusual spelling")
)

// CheckHost accepts a domain name or an IP address in the one spelling that browsers give it; an IPv6 address comes without
// its brackets. The error completes a sentence that names the value, and does not repeat it.
func CheckHost(host string) error {
	switch ip, err := netip.ParseAddr(host); {
	case host == "":
		return errNoHost
	case strings.ContainsFunc(host, func(r rune) bool { return r > '~' }):
		return errNotASCII
	case err == nil && ip.Is4In6(): // programs disagree about which of the two it is (RFC 4291 §2.5.5.2)
		return errMapped
	case err == nil && (ip.Zone() != "" || ip.String() != host):
		return errAddress
	case err == nil:
		return nil
	case len(host) > maxName || !namePattern.MatchString(host):
		return errHost
	case numericLabelPattern.MatchString(host):
		return errAddress
	}
	return nil
}

// CheckPeer does the same for a machine to connect to, which only this program reads: upper-case letters and the
// underscores that container networks have in names are fine.
func CheckPeer(host string) error {
	return CheckHost(strings.ReplaceAll(strings.ToLower(host), "_", "x"))
}

// CheckPort accepts a port from 1 to 65535, or from 0 where the system may choose a free one.
func CheckPort(port string, least uint64) error {
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || n < least:
		return errPort
	case strconv.FormatUint(n, 10) != port:
		return errPortText
	}
	return nil
}

// IsLoopback reports whether a host is this machine by its spelling alone, for browsers too: localhost, a name below it
// (RFC 6761 §6.3), or a loopback address.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback() && !ip.Is4In6() && ip.Zone() == ""
}
