package webauthn

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"golang.org/x/net/publicsuffix"

	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/setting"
)

// localhost is the only RP id whose origins need no https.
const localhost = "localhost"

// originProblems returns what is wrong with the RP id and the origins.
func (c *Config) originProblems() (problems []error) {
	refuse := func(field, value string, err error) {
		if err != nil {
			problems = append(problems, setting.Errorf(field, "%q %w", value, err))
		}
	}
	refuse("RPID", c.RPID, checkRPID(c.RPID))
	for _, o := range c.Origins {
		host, err := originHost(o)
		if err == nil && !isWithinDomain(host, c.RPID) {
			err = errors.New("is not at the RP id or below it; list other sites as RelatedOrigins")
		}
		refuse("Origins", o, err)
	}
	for _, o := range c.RelatedOrigins {
		host, err := originHost(o)
		if err == nil && isWithinDomain(host, c.RPID) {
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

// checkRPID reports whether an RP id is a domain that can be registered: browsers refuse public suffixes (Level 3 §5.1.2).
func checkRPID(id string) error {
	if err := protocol.ValidateRPID(id); err != nil {
		return fmt.Errorf("is no RP id: %w", err)
	}
	if id != strings.ToLower(id) {
		return errors.New("is not in lower case")
	}
	if suffix, _ := publicsuffix.PublicSuffix(id); suffix == id && id != localhost {
		return errors.New("is a public suffix: every site below it could use the keys")
	}
	return nil
}

// originHost returns the host of a web origin. An origin in another form than browsers send is an error, because it would
// never match.
func originHost(origin string) (string, error) {
	if err := hosts.CheckOrigin(origin); err != nil {
		return "", err
	}
	u, err := url.Parse(origin)
	if err != nil || net.ParseIP(u.Hostname()) != nil {
		return "", errors.New("has an address instead of a domain")
	}
	return u.Hostname(), nil
}

// isWithinDomain reports whether a host is the domain or a subdomain of it.
func isWithinDomain(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// relatedOrigins returns a handler for the document of Level 3 §5.11. More than five registrable labels are an error, because
// browsers ignore the rest.
func (c *Config) relatedOrigins() (http.Handler, error) {
	if len(c.RelatedOrigins) == 0 {
		return http.NotFoundHandler(), nil
	}
	return protocol.NewRelatedOriginsWithLabeler(registrableLabel, c.RelatedOrigins...)
}

// registrableLabel returns the label before the public suffix, by which browsers count related origins.
func registrableLabel(origin string) (string, error) {
	host, err := originHost(origin)
	if err != nil {
		return "", err
	}
	if isWithinDomain(host, localhost) {
		return localhost, nil
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	label, _, _ := strings.Cut(domain, ".")
	return label, err
}

// RelatedOrigins returns a handler for /.well-known/webauthn at the RP id's host, which lists Config.RelatedOrigins (Level 3
// §5.11). Without related origins the handler replies 404.
func (s *Strategy) RelatedOrigins() http.Handler { return s.relatedOrigins }
