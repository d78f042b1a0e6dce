package main

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
)

// settings are a configuration that was read and checked: what the house is built from.
type settings struct {
	development   bool
	noLimits      bool
	listen        string
	metricsListen string
	logLevel      slog.Level
	redis         watchword.Code // the URL
	waitReplicas  int
	database      watchword.Code // the URL; zero: nothing can be enrolled
	keys          []watchword.Key
	identity      watchword.Key
	identityBytes []byte // of the same secret
	signing       []receipt.Key
	proxies       []netip.Prefix
	allowed       []netip.Prefix
	apps          []appSettings
	warnings      []string // of what is allowed and leaves something open
}

// appSettings are those of one tenant.
type appSettings struct {
	id, name   string
	publicURL  string
	keys       []apiKey
	origins    []string
	purposes   []string
	addresses  delivery.Addresses
	templates  string                      // a folder; empty: the embedded ones
	send       map[string][]senderSettings // by channel
	events     []eventsSettings
	limits     []ratelimit.Rule
	paths      fieldPaths
	breaker    breakerConfig
	codes      codesConfig
	links      linksConfig
	pages      server.Pages
	rpID       string         // empty: no keys
	keySecret  watchword.Code // of user handles
	returnURLs []string
	devOrigins []string // of the app's pages in development, where keys may be used
}

// senderSettings are the URL of a sender and its path in the file.
type senderSettings struct {
	path string
	url  watchword.Code
}

// eventsSettings are those of one endpoint that wants events.
type eventsSettings struct {
	url   watchword.Code
	types []string
}

// apiKey is the digest of an API key and what it may be used for.
type apiKey struct {
	sha256 [sha256.Size]byte
	scopes []string
}

const (
	defaultListen = "127.0.0.1:8080"
	devKey        = "dev"       // the API key of development mode, which everybody knows
	devAdminKey   = "dev-admin" // the one that has factors:admin too
)

// path makes a relative path of the file start from the file's own folder.
func (c *checker) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.base, p)
}

// common checks what development and production share.
func (c *checker) common(cfg fileConfig, s *settings) {
	s.listen, s.metricsListen = cfg.Listen, cfg.MetricsListen
	if s.listen == "" {
		s.listen = defaultListen
	}
	errListen, errMetrics := hosts.CheckListen(s.listen), error(nil)
	if s.metricsListen != "" {
		errMetrics = hosts.CheckListen(s.metricsListen)
		c.refuse(errListen == nil && errMetrics == nil && hosts.ListenConflict(s.listen, s.metricsListen), "metrics_listen: is where listen is already")
	}
	c.note("listen", errListen)
	c.note("metrics_listen", errMetrics)
	if cfg.LogLevel != "" && (s.logLevel.UnmarshalText([]byte(cfg.LogLevel)) != nil || !slices.Contains(logLevels, cfg.LogLevel)) {
		c.refuse(true, "log_level: must be debug, info, warn or error")
	}
	s.redis = c.secret("redis", cfg.Redis.secretURL)
	s.waitReplicas = cfg.Redis.WaitReplicas
	c.refuse(s.waitReplicas > 0 && s.redis.Reveal() == memoryURL, "redis.wait_replicas: %q has no replicas; leave it out, or name a Redis", memoryURL)
	s.database = databaseFrom(cfg.Database.folder, c.secret("database", cfg.Database))
	s.noLimits = cfg.DevNoLimits
}

var logLevels = []string{"debug", "info", "warn", "error"}

// production checks a whole configuration. The settings are of use only if no problem was found.
func (c *checker) production(cfg fileConfig) settings {
	var s settings
	c.common(cfg, &s)
	c.refuse(cfg.DevNoLimits, "dev_no_limits: is for development only")
	c.refuse(s.redis.IsZero(), "redis: missing; without it each process would have guess budgets of its own (\"memory:\", quoted, says that there will only be one process)")
	c.keys(cfg, &s)
	s.proxies = c.networks("trusted_proxies", cfg.TrustedProxies)
	s.allowed = c.networks("allowed_networks", cfg.AllowedNetworks)
	c.refuse(len(cfg.Apps) == 0, "apps: at least one is needed")
	for i, a := range cfg.Apps {
		s.apps = append(s.apps, c.app(fmt.Sprintf("apps[%d]", i), cfg, a))
	}
	c.unique(s.apps)
	c.keySecrets(&s)
	c.checkSecrets()
	s.warnings = c.warnings
	return s
}

// secret reads a URL that may stand in a file of its own.
func (c *checker) secret(where string, u secretURL) watchword.Code {
	c.refuse(u.URL != "" && u.File != "", "%s: url and url_file are both there", where)
	text := u.URL
	if u.File != "" {
		var err error
		text, err = readSecret(c.path(u.File))
		c.note(where+".url_file", err)
		c.checkMode(where+".url_file", c.path(u.File))
	}
	c.uses(secretsOfURL(where, text)...)
	return watchword.NewCode(text)
}

// keySecrets derives each app's secret of user handles.
func (c *checker) keySecrets(s *settings) {
	for i := range s.apps {
		var err error
		s.apps[i].keySecret, err = keySecret(s.identityBytes, s.apps[i].id)
		c.note("identity_key_file", err)
	}
}

// networks reads addresses and CIDR prefixes.
func (c *checker) networks(where string, texts []string) (out []netip.Prefix) {
	for i, text := range texts {
		network, err := hosts.ParseNetwork(text)
		if err != nil {
			c.refuse(true, "%s[%d]: %q %w", where, i, text, err)
			continue
		}
		out = append(out, network)
	}
	c.note(where, hosts.CheckNetworks(out))
	return out
}

// unique refuses what would let one app act for another, and what only one of them can have.
func (c *checker) unique(apps []appSettings) {
	ids, related, keys := map[string]bool{}, map[string]bool{}, map[[sha256.Size]byte]string{}
	for i, a := range apps {
		c.refuse(ids[a.id] && a.id != "", "apps[%d].id: %q is there twice", i, a.id)
		ids[a.id] = true
		for n, k := range a.keys {
			where := fmt.Sprintf("apps[%d].keys[%d]", i, n)
			c.refuse(keys[k.sha256] != "", "%s: is the key of %s already", where, keys[k.sha256])
			keys[k.sha256] = where
		}
		if a.rpID != "" && len(a.relatedOrigins()) > 0 {
			c.refuse(related[a.rpID], "apps[%d].origins: another app has the same rp_id and origins outside of it; browsers read one list for both, so name them all in one app", i)
			related[a.rpID] = true
		}
	}
}

// channelsOf are the channels that an app can send by, sorted.
func channelsOf(a appSettings) []string { return slices.Sorted(maps.Keys(a.send)) }
