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

// urlCharactersPattern are those of RFC 3986 §2 without the backslash, which browsers read as a slash.
var urlCharactersPattern = regexp.MustCompile(`^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*$`)

// OriginOf is a URL's origin (RFC 6454 §4) if it has one that nothing could mistake for another: https, or http to a
// loopback host; no user, no needless port, the host as CheckHost wants it. The error completes a sentence that names the
// value.
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
		return "", errors.New("has a port that its scheme has anyway: leave it out")
	case !strings.HasPrefix(text, u.Scheme+"://"+u.Host):
		return "", errors.New("is written in an unusual way")
	}
	return u.Scheme + "://" + u.Host, nil
}

// CheckOrigin accepts an origin and nothing more.
func CheckOrigin(text string) error {
	origin, err := OriginOf(text)
	if err == nil && origin != text {
		err = errors.New("must be scheme and host only, as in https://verify.example.com, without a slash at the end")
	}
	return err
}

// CheckTargetURL accepts host and port of a URL to connect to; a port need not be there. The error is a sentence for each of
// both.
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

// CheckHostPort accepts an address to connect to that has both.
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

// CheckListen accepts an address to listen on: an IP address, a host name, or nothing for all of this machine's addresses,
// and a port, 0 for a free one.
func CheckListen(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("must be of the form HOST:PORT, as in 127.0.0.1:8080 or [::]:8080")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() != "" { // a link-local address needs one
		host, _, _ = strings.Cut(host, "%")
	}
	if host != "" {
		if err := CheckHost(host); err != nil {
			return err
		}
	}
	return CheckPort(port, 0)
}

// ListenConflict reports whether two addresses that CheckListen accepted cannot be listened on at the same time.
func ListenConflict(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	every := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}
