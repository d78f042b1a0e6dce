package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"sync"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

const (
	devApp        = "dev"
	defaultDevDir = ".watchword"
)

// developmentSettings makes the settings of `serve --dev`: one app, embedded stores, and keys in the data directory.
func (c *checker) developmentSettings(cfg fileConfig) settings {
	s := settings{development: true}
	c.checkCommon(cfg, &s)
	c.addProblemIf(!isLoopback(s.listen), "listen: development mode listens on a loopback address only")
	c.addProblemIf(s.metricsListen != "" && !isLoopback(s.metricsListen), "metrics_listen: development mode listens on a loopback address only")
	if s.redis.IsZero() {
		s.redis = watchword.NewCode(memoryURL)
	}
	if cfg.PublicURL != "" {
		c.addError("public_url", hosts.CheckOrigin(cfg.PublicURL))
	}
	dir := cfg.DataDir
	if dir == "" {
		dir = defaultDevDir
	}
	if len(c.problems) == 0 { // a server that does not start must create no keys
		c.addError("data_dir", loadDataDir(dir, &s))
	}
	if s.database.IsZero() {
		s.database = sqliteURL(filepath.Join(dir, databaseFile))
	}
	s.apps = []appSettings{c.devAppSettings(cfg)}
	c.deriveUserHandleSecrets(&s)
	return s
}

func (c *checker) devAppSettings(cfg fileConfig) appSettings {
	a := appSettings{
		id: devApp, name: devApp, keys: devKeys(),
		publicURL: cfg.PublicURL, returnURLs: cfg.ReturnURLs, rpID: devRPID(cfg.PublicURL),
		paths:          fieldPaths{"Issuer": "public_url", "ReturnOrigins": "return_urls"},
		addresses:      delivery.Addresses{AllCountries: true},
		send:           c.mergeSenders("", devSenders(), cfg.Send),
		trustedDevices: watchword.TrustedDevices{Purposes: []string{watchword.PurposeMFA}},
		limits:         ratelimit.DefaultRules(), breaker: breakerConfig{Shadow: true}, testAddresses: true,
	}
	if a.returnURLs == nil {
		a.returnURLs = devReturnURLs()
	}
	for i, o := range a.returnURLs {
		c.addError(fmt.Sprintf("return_urls[%d]", i), hosts.CheckOrigin(o))
	}
	a.devOrigins = a.returnURLs
	return a
}

// devKeys are the public API keys of development mode. One has the scopes of a key of `keys new`, so that changes to factors need a
// proof as in production. The other has all scopes.
func devKeys() []apiKey {
	scopes := []string{server.ScopeChallenges, server.ScopeFactors}
	return []apiKey{{sha256.Sum256([]byte(devKey)), scopes}, {sha256.Sum256([]byte(devAdminKey)), append(slices.Clone(scopes), server.ScopeFactorsAdmin)}}
}

// logRefusedCountries wraps the policy of development mode, which refuses no country. It logs each country once that a production
// server would refuse by default. Only the first address of a country is evaluated a second time.
func logRefusedCountries(policy watchword.AddressPolicy, log *slog.Logger) (watchword.AddressPolicy, error) {
	production, err := delivery.NewAddressPolicy(delivery.Addresses{})
	var seen sync.Map // countries
	return func(channel, address string) (watchword.Address, error) {
		to, err := policy(channel, address)
		if err != nil || channel == "" {
			return to, err
		}
		if _, again := seen.LoadOrStore(to.Country, true); again {
			return to, nil
		}
		var refused *watchword.Error
		if _, err := production(channel, to.Value); errors.As(err, &refused) && refused.Reason == delivery.ReasonCountry {
			log.Warn("country is refused in production unless the app lists it in countries", "country", to.Country)
		}
		return to, nil
	}, err
}

// devLimitDetail is added to a limit's 429 in development mode.
const devLimitDetail = "Limits are as in production. To turn them off, for example in an end-to-end test, start the server with --dev-no-limits."

// devReturnURLs are origins at which apps in development often listen. setDevPublicURL adds the server's own.
func devReturnURLs() []string { return []string{"http://localhost:3000", "http://localhost:8000"} }

// devRPID returns the relying-party id: localhost, or the host of the public URL. It is empty if that is an IP address, because
// browsers accept only domains.
func devRPID(publicURL string) string {
	u, err := url.Parse(publicURL)
	switch {
	case err != nil || publicURL == "":
		return "localhost"
	case isIP(u.Hostname()):
		return ""
	}
	return u.Hostname()
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func devSenders() map[string][]sendURL {
	out := map[string][]sendURL{}
	for _, channel := range knownChannels() {
		out[channel] = []sendURL{{URL: devSenderURL}}
	}
	return out
}

// setDevPublicURL derives the development app's public URL from the address on which the server listens, if none is configured,
// and adds the public URL to the return URLs.
func (s *settings) setDevPublicURL(addr net.Addr) {
	for i := range s.apps {
		if s.development && s.apps[i].publicURL == "" {
			_, port, _ := net.SplitHostPort(addr.String())
			s.apps[i].publicURL = "http://localhost:" + port
		}
		if s.development {
			s.apps[i].returnURLs = append(s.apps[i].returnURLs, s.apps[i].publicURL)
		}
	}
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // hosts.CheckListen has reported it
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
