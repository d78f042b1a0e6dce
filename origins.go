package watchword

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// urlCharacters are those of RFC 3986 §2 without the backslash, which browsers read as a slash, and without anything that
// is not ASCII.
var (
	urlCharacters = regexp.MustCompile(`^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*$`)
	hostPattern   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// originOf is a URL's origin (RFC 6454 §4) if it has one that nothing could mistake for another: https, or http to a
// loopback host; no user, no empty or odd port, a lower-case host. Anything else is an error.
func originOf(text string) (string, error) {
	if !urlCharacters.MatchString(text) {
		return "", errors.New("holds characters that a URL does not")
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.User != nil || u.Host == "" {
		return "", errors.New("is no absolute URL of a host")
	}
	host := u.Hostname()
	_, err = netip.ParseAddr(host)
	switch {
	case !strings.HasPrefix(text, u.Scheme+"://"+u.Host):
		return "", errors.New("is spelled in an unusual way")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(host)):
		return "", errors.New("is not https")
	case err != nil && !hostPattern.MatchString(host):
		return "", errors.New("has an unusual host")
	case strings.HasSuffix(u.Host, ":"), u.Port() == "443" && u.Scheme == "https", u.Port() == "80" && u.Scheme == "http", strings.HasPrefix(u.Port(), "0"):
		return "", errors.New("has a port that need not be there")
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// returnOrigins checks the app's list: each entry is an origin and nothing more.
func returnOrigins(list []string) (map[string]bool, error) {
	out := map[string]bool{}
	var problems []error
	for _, text := range list {
		origin, err := originOf(text)
		if err == nil && origin != strings.TrimSuffix(text, "/") {
			err = errors.New("is more than an origin")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("ReturnOrigins: %q %w", text, err))
		}
		out[origin] = true
	}
	return out, errors.Join(problems...)
}
