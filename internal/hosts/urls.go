package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// urlCharactersPattern matches the characters of RFC 3986 §2. It excludes the backslash, which browsers treat as a slash.
var urlCharactersPattern = regexp.MustCompile(`^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*$`)

// OriginOf returns the origin of a URL (RFC 6454 §4). It accepts only unambiguous URLs: https, or http to a loopback host, without a
// user or a default port, with a host that CheckHost accepts. The error is the predicate of a sentence whose subject is the value.
func OriginOf(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("is missing")
	case strings.ContainsFunc(text, func(r rune) bool { return r > '~' }):
		return "", errors.New("has characters that are not ASCII: write an international host name as browsers send it, xn--...")
	case !urlCharactersPattern.MatchString(text):
		return "", errors.New("has characters that a URL does not have")
	}
	u, err := url.Parse(text)
	if err != nil && strings.Contains(err.Error(), "invalid port") {
		return "", errPort
	}
	if err != nil || u.Opaque != "" || u.Host == "" {
		return "", errors.New("is not a URL of the form https://verify.example.com")
	}
	return originOf(text, u)
}

func originOf(text string, u *url.URL) (string, error) {
	host := u.Hostname()
	if err := CheckHost(host); err != nil {
		return "", err
	}
	if u.Port() != "" || strings.HasSuffix(u.Host, ":") {
		if err := CheckPort(u.Port(), 1); err != nil {
			return "", err
		}
	}
	switch {
	case u.User != nil:
		return "", errors.New("has a user")
	case u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(host)):
		return "", errors.New("must be https")
	case u.Port() == "443" && u.Scheme == "https", u.Port() == "80" && u.Scheme == "http":
		return "", errors.New("has the default port of its scheme: leave it out")
	case !strings.HasPrefix(text, u.Scheme+"://"+u.Host):
		return "", errors.New("is written in an unusual way")
	}
	return u.Scheme + "://" + u.Host, nil
}

// CheckOrigin accepts a URL that is an origin, without a path, query or fragment.
func CheckOrigin(text string) error {
	origin, err := OriginOf(text)
	if err == nil && origin != text {
		err = errors.New("must be scheme and host only, as in https://verify.example.com, without a slash at the end")
	}
	return err
}

// CheckTargetURL checks the host and the optional port of a URL to connect to. The error has a sentence for each problem.
func CheckTargetURL(u *url.URL) error {
	var problems []error
	if err := CheckPeer(u.Hostname()); err != nil {
		problems = append(problems, fmt.Errorf("the URL %w", err))
	}
	if u.Port() != "" || strings.HasSuffix(u.Host, ":") {
		if err := CheckPort(u.Port(), 1); err != nil {
			problems = append(problems, fmt.Errorf("the URL %w", err))
		}
	}
	return errors.Join(problems...)
}

// CheckHostPort accepts an address host:port to connect to.
func CheckHostPort(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("is not of the form host:port")
	}
	if err := CheckPeer(host); err != nil {
		return err
	}
	return CheckPort(port, 1)
}

// CheckListen accepts an address HOST:PORT to listen on. An empty host means all addresses of this machine, port 0 a free port.
func CheckListen(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("must be of the form HOST:PORT, as in 127.0.0.1:8080 or [::]:8080")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() != "" { // link-local addresses need a zone
		host, _, _ = strings.Cut(host, "%")
	}
	if host != "" {
		if err := CheckHost(host); err != nil {
			return err
		}
	}
	return CheckPort(port, 0)
}

// ListenConflict reports whether two addresses that CheckListen accepts cannot be listened on at the same time.
func ListenConflict(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	isUnspecified := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return portA == portB && portA != "0" && (sameHost(hostA, hostB) || isUnspecified(hostA) || isUnspecified(hostB))
}

// sameHost reports whether two hosts are the same address. localhost is both loopback addresses.
func sameHost(a, b string) bool {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	switch {
	case errA == nil && errB == nil:
		return ipA == ipB
	case errA == nil:
		return b == "localhost" && (ipA == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ipA == netip.IPv6Loopback())
	case errB == nil:
		return sameHost(b, a)
	}
	return a == b
}
