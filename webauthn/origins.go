package webauthn

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"golang.org/x/net/publicsuffix"
)

// localhost is the one RP id that needs no https.
const localhost = "localhost"

// originProblems holds the RP id and the origins against each other.
func (c *Config) originProblems() (problems []error) {
	refuse := func(field, value string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %q %w", field, value, err))
		}
	}
	refuse("RPID", c.RPID, checkRPID(c.RPID))
	for _, o := range c.Origins {
		host, err := originHost(o)
		if err == nil && !within(host, c.RPID) {
			err = errors.New("is not at the RP id or below it; list other sites as RelatedOrigins")
		}
		refuse("Origins", o, err)
	}
	for _, o := range c.RelatedOrigins {
		host, err := originHost(o)
		if err == nil && within(host, c.RPID) {
			err = errors.New("is at the RP id or below it; list it in Origins")
		}
		refuse("RelatedOrigins", o, err)
	}
	for _, o := range c.TopOrigins {
		_, err := originHost(o)
		refuse("TopOrigins", o, err)
	}
	for _, o := range c.NativeOrigins {
		if !protocol.IsKnownOpaqueOrigin(o) {
			refuse("NativeOrigins", o, errors.New("is no origin of a native app, such as android:apk-key-hash:..."))
		}
	}
	if len(problems) == 0 {
		_, err := c.relatedOrigins()
		refuse("RelatedOrigins", strings.Join(c.RelatedOrigins, " "), err)
	}
	return problems
}

// checkRPID wants a domain that somebody can own: browsers refuse public suffixes (Level 3 §5.1.2).
func checkRPID(id string) error {
	if err := protocol.ValidateRPID(id); err != nil {
		return fmt.Errorf("is no RP id: %w", err)
	}
	if id != strings.ToLower(id) {
		return errors.New("is not in lower case")
	}
	if suffix, _ := publicsuffix.PublicSuffix(id); suffix == id && id != localhost {
		return errors.New("is a public suffix: keys would be everybody's below it")
	}
	return nil
}

// originHost returns the host of a web origin, if it is spelled as browsers spell it: anything else would never match.
func originHost(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin) {
		return "", errors.New("is no origin of the form https://login.example.com")
	}
	host := u.Hostname()
	if strings.Trim(host, hostCharacters) != "" {
		return "", errors.New("names no host; there are no wildcards")
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !within(host, localhost)):
		return "", errors.New("must be https, or http at localhost")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return "", errors.New("names its scheme's own port, which browsers leave out")
	}
	return host, nil
}

// hostCharacters are those of a domain in the form that browsers write it (A-labels).
const hostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-."

// within reports whether a host is a domain or below it.
func within(host, domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }

// relatedOrigins is the document of Level 3 §5.11, if there is one. Browsers read at most five registrable labels of it.
func (c *Config) relatedOrigins() (http.Handler, error) {
	if len(c.RelatedOrigins) == 0 {
		return http.NotFoundHandler(), nil
	}
	return protocol.NewRelatedOriginsWithLabeler(registrableLabel, c.RelatedOrigins...)
}

// registrableLabel is what browsers count related origins by: the label before the public suffix.
func registrableLabel(origin string) (string, error) {
	host, err := originHost(origin)
	if err != nil {
		return "", err
	}
	if within(host, localhost) {
		return localhost, nil
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	label, _, _ := strings.Cut(domain, ".")
	return label, err
}

// RelatedOrigins serves /.well-known/webauthn of the RP id's own host: the other sites whose pages may use the keys
// (Level 3 §5.11). It is not found where there are none.
func (s *Strategy) RelatedOrigins() http.Handler { return s.related }
