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

// devChannels are those that work without being configured.
func devChannels() []string { return []string{"email", "sms", "voice", "whatsapp"} }

// development makes the settings of `serve --dev`: one app, everything embedded, keys that the data directory keeps.
func (c *checker) development(cfg fileConfig) settings {
	s := settings{development: true}
	c.common(cfg, &s)
	c.refuse(!isLoopback(s.listen), "listen: development mode listens on a loopback address only")
	c.refuse(s.metricsListen != "" && !isLoopback(s.metricsListen), "metrics_listen: development mode listens on a loopback address only")
	if s.redis.IsZero() {
		s.redis = watchword.NewCode(memoryURL)
	}
	if cfg.PublicURL != "" {
		c.note("public_url", hosts.CheckOrigin(cfg.PublicURL))
	}
	dir := cfg.DataDir
	if dir == "" {
		dir = defaultDevDir
	}
	if len(c.problems) == 0 { // leave no keys behind for a server that does not start
		c.note("data_dir", loadDataDir(dir, &s))
	}
	if s.database.IsZero() {
		s.database = embeddedDatabase(filepath.Join(dir, databaseFile))
	}
	app := appSettings{id: devApp, name: devApp, rpID: devRPID(cfg.PublicURL), publicURL: cfg.PublicURL, returnURLs: cfg.ReturnURLs, limits: ratelimit.DefaultRules(), breaker: breakerConfig{Shadow: true},
		addresses: delivery.Addresses{AllCountries: true}, send: c.senders("", devSenders(), cfg.Send), paths: fieldPaths{"Issuer": "public_url", "ReturnOrigins": "return_urls"},
		keys: devKeys()}
	if app.returnURLs == nil {
		app.returnURLs = devReturnURLs()
	}
	for i, o := range app.returnURLs {
		c.note(fmt.Sprintf("return_urls[%d]", i), hosts.CheckOrigin(o))
	}
	app.devOrigins = app.returnURLs
	s.apps = []appSettings{app}
	c.keySecrets(&s)
	return s
}

// devKeys are the keys that everybody knows: one with the scopes that `keys new` gives, so that what needs a proof in
// production needs it in development too, and one with all.
func devKeys() []apiKey {
	scopes := []string{server.ScopeChallenges, server.ScopeFactors}
	return []apiKey{{sha256.Sum256([]byte(devKey)), scopes}, {sha256.Sum256([]byte(devAdminKey)), append(slices.Clone(scopes), server.ScopeFactorsAdmin)}}
}

// noteCountries is the policy of development, which refuses no country, with a line in the log for each country that a
// production server refuses as long as it is not listed.
func noteCountries(policy watchword.AddressPolicy, log *slog.Logger) (watchword.AddressPolicy, error) {
	production, err := delivery.NewAddressPolicy(delivery.Addresses{})
	var noted sync.Map
	return func(channel, address string) (watchword.Address, error) {
		to, err := policy(channel, address)
		if err != nil {
			return to, err
		}
		var refused *watchword.Error
		if _, err := production(channel, to.Value); errors.As(err, &refused) && refused.Reason == delivery.ReasonCountry {
			if _, before := noted.LoadOrStore(to.Country, true); !before {
				log.Warn("a production server refuses this country until the app lists it in countries", "country", to.Country)
			}
		}
		return to, nil
	}, err
}

// devLimitDetail is what development adds to a 429 of a limit.
const devLimitDetail = "Limits are as in production. To lift them, for an end-to-end test say, start the server with --dev-no-limits."

// devReturnURLs are where an app in development usually listens; nameAfter adds the server itself.
func devReturnURLs() []string { return []string{"http://localhost:3000", "http://localhost:8000"} }

// devRPID is the domain that keys belong to: localhost, or the host under which the server is shown to the world. An
// address has no keys, since a browser takes a domain only.
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
	for _, channel := range devChannels() {
		out[channel] = []sendURL{{URL: devSender}}
	}
	return out
}

// nameAfter gives the development app the public URL that follows from the address it listens on, and lets it send
// people back there.
func (s *settings) nameAfter(addr net.Addr) {
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
		return true // reported already
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
