// Package hosts validates hosts, ports, origins, listen addresses and networks in configurations. Each kind has one strict parser
// that accepts a single spelling of each value, because other programs may parse other spellings differently.
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
	// namePattern matches domain names as browsers compare them: lower-case A-labels without a dot at the end.
	namePattern = regexp.MustCompile(`^(` + labelPattern + `\.)*` + labelPattern + `$`)
	// numericLabelPattern matches hosts that browsers parse as IPv4 addresses (WHATWG URL, "ends in a number").
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

// CheckHost accepts a domain name, or an IP address without brackets, in the spelling that browsers use. The error is the predicate
// of a sentence whose subject is the value, such as "has no host". It does not contain the value.
func CheckHost(host string) error {
	switch ip, err := netip.ParseAddr(host); {
	case host == "":
		return errNoHost
	case strings.ContainsFunc(host, func(r rune) bool { return r > '~' }):
		return errNotASCII
	case err == nil && ip.Is4In6(): // programs disagree whether it is IPv4 or IPv6 (RFC 4291 §2.5.5.2)
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

// CheckPeer is CheckHost for a host to connect to. Only this program parses it, so upper-case letters are allowed, and underscores,
// which occur in container networks.
func CheckPeer(host string) error {
	return CheckHost(strings.ReplaceAll(strings.ToLower(host), "_", "x"))
}

// CheckPort accepts a port from least to 65535. Port 0 lets the system choose a free one.
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

// IsLoopback reports whether browsers treat a host as this machine: localhost, a name below it (RFC 6761 §6.3), or a loopback
// address. It resolves no names.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback() && !ip.Is4In6() && ip.Zone() == ""
}
