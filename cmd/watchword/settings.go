package main

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/keyfiles"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
)

// settings are a checked configuration, from which the service is built.
type settings struct {
	development    bool
	noLimits       bool
	listen         string
	metricsListen  string
	otlpEndpoint   string // empty: nothing is traced
	logLevel       slog.Level
	maxConnections int            // zero: defaultConnections
	shutdownDelay  time.Duration  // during which /readyz fails and requests are still accepted
	redis          watchword.Code // the URL
	waitReplicas   int
	database       watchword.Code // the URL; zero: nothing can be enrolled
	keys           []watchword.Key
	identity       watchword.Key
	identitySecret []byte // the secret bytes of identity
	signing        []receipt.Key
	keyDigests     map[string][sha256.Size]byte // of the keys in the file, by setting
	proxies        []netip.Prefix
	allowed        []netip.Prefix
	outgoingProxy  *delivery.Proxy // nil: none
	apps           []appSettings
	warnings       []string // about what is allowed but unsafe
}

// appSettings are the settings of one app.
type appSettings struct {
	id, name         string
	publicURL        string
	keys             []apiKey
	origins          []string
	purposes         []string                 // nil: every well-formed one
	lifetimes        map[string]time.Duration // of challenges, by purpose
	trustedDevices   watchword.TrustedDevices // the zero value: none
	addresses        delivery.Addresses
	templates        string                      // a folder; empty: the built-in ones
	send             map[string][]senderSettings // by channel
	noReportAfter    map[string]time.Duration    // by channel: how long a delivery report is awaited; nil: messages do not move
	events           []eventsSettings
	limits           []ratelimit.Rule
	paths            fieldPaths
	breaker          breakerConfig
	codes            codesConfig
	links            linksConfig
	pages            server.Pages
	mails            delivery.MailConfig
	rpID             string         // empty: no passkeys
	userHandleSecret watchword.Code // of which WebAuthn user handles are derived
	returnURLs       []string
	testAddresses    bool     // addresses with a public code, in development only
	devOrigins       []string // of the app's pages in development, where passkeys may be used
}

// senderSettings are the URL of a sender and the path of that setting in the file.
type senderSettings struct {
	path string
	url  watchword.Code
}

// eventsSettings are the settings of one event endpoint. Without types it gets all events.
type eventsSettings struct {
	url   watchword.Code
	types []string
}

// An apiKey is the SHA-256 digest of an API key, and the key's scopes.
type apiKey struct {
	sha256 [sha256.Size]byte
	scopes []string
}

const (
	defaultListen = "127.0.0.1:8080"
	devKey        = "dev"       // the API key of development mode, which is public
	devAdminKey   = "dev-admin" // the one with the scope factors:admin, also public
)

// resolvePath makes a relative path of the configuration file start from that file's folder.
func (c *checker) resolvePath(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.folder, p)
}

// checkCommon checks the settings that development and production share.
func (c *checker) checkCommon(cfg fileConfig, s *settings) {
	s.listen, s.metricsListen, s.otlpEndpoint = cfg.Listen, cfg.MetricsListen, cfg.OTLPEndpoint
	if s.otlpEndpoint != "" {
		c.addError("otlp_endpoint", checkOTLPEndpoint(s.otlpEndpoint))
	}
	if s.listen == "" {
		s.listen = defaultListen
	}
	errListen, errMetrics := hosts.CheckListen(s.listen), error(nil)
	if s.metricsListen != "" {
		errMetrics = hosts.CheckListen(s.metricsListen)
		c.addProblemIf(errListen == nil && errMetrics == nil && hosts.ListenConflict(s.listen, s.metricsListen), "metrics_listen: is the same address as listen")
	}
	c.addError("listen", errListen)
	c.addError("metrics_listen", errMetrics)
	if cfg.LogLevel != "" && (s.logLevel.UnmarshalText([]byte(cfg.LogLevel)) != nil || !slices.Contains(logLevels, cfg.LogLevel)) {
		c.addProblemIf(true, "log_level: must be debug, info, warn or error")
	}
	s.redis = c.readSecretURL("redis", cfg.Redis.secretURL)
	s.waitReplicas = cfg.Redis.WaitReplicas
	c.addProblemIf(s.waitReplicas > 0 && s.redis.Reveal() == memoryURL, "redis.wait_replicas: %q has no replicas; leave it out, or name a Redis", memoryURL)
	s.database = resolveDatabasePath(cfg.Database.folder, c.readSecretURL("database", cfg.Database))
	s.noLimits = cfg.DevNoLimits
	s.maxConnections, s.shutdownDelay = cfg.MaxConnections, cfg.ShutdownDelay
	c.addProblemIf(s.shutdownDelay > maxShutdownDelay, "shutdown_delay: must be at most %s", maxShutdownDelay)
	if proxy := c.readSecretURL("outgoing_proxy", cfg.OutgoingProxy); !proxy.IsZero() {
		var err error
		s.outgoingProxy, err = delivery.ParseProxy(proxy.Reveal())
		c.addError("outgoing_proxy", err)
	}
}

// maxShutdownDelay is far above what load balancers need to notice that a server is not ready.
const maxShutdownDelay = 5 * time.Minute

var logLevels = []string{"debug", "info", "warn", "error"}

// productionSettings checks a whole configuration. The settings are valid only if no problem was added.
func (c *checker) productionSettings(cfg fileConfig) settings {
	var s settings
	c.checkCommon(cfg, &s)
	c.addProblemIf(cfg.DevNoLimits, "dev_no_limits: is for development only")
	c.addProblemIf(s.redis.IsZero(), "redis: missing; without it each process would count failed attempts separately (\"memory:\", in quotes, is for a single process)")
	c.readKeys(cfg, &s)
	s.proxies = c.parseNetworks("trusted_proxies", cfg.TrustedProxies)
	s.allowed = c.parseNetworks("allowed_networks", cfg.AllowedNetworks)
	c.addProblemIf(len(cfg.Apps) == 0, "apps: at least one is needed")
	for i, a := range cfg.Apps {
		s.apps = append(s.apps, c.checkApp(fmt.Sprintf("apps[%d]", i), cfg, a))
	}
	c.checkUnique(s.apps)
	c.deriveUserHandleSecrets(&s)
	c.checkSecrets()
	s.warnings = c.warnings
	return s
}

// readSecretURL returns a URL, from the configuration or from the file that url_file names.
func (c *checker) readSecretURL(where string, u secretURL) watchword.Code {
	c.addProblemIf(u.URL != "" && u.File != "", "%s: has both url and url_file", where)
	text := u.URL
	if u.File != "" {
		var err error
		text, err = keyfiles.ReadText(c.resolvePath(u.File))
		c.addError(where+".url_file", err)
		c.checkFileMode(where+".url_file", c.resolvePath(u.File))
	}
	c.addSecrets(secretsOfURL(where, text)...)
	return watchword.NewCode(text)
}

// deriveUserHandleSecrets derives each app's secret of WebAuthn user handles.
func (c *checker) deriveUserHandleSecrets(s *settings) {
	for i := range s.apps {
		var err error
		s.apps[i].userHandleSecret, err = keyfiles.DeriveUserHandleSecret(s.identitySecret, s.apps[i].id)
		c.addError("identity_key_file", err)
	}
}

// parseNetworks parses addresses and CIDR prefixes.
func (c *checker) parseNetworks(where string, texts []string) (out []netip.Prefix) {
	for i, text := range texts {
		network, err := hosts.ParseNetwork(text)
		if err != nil {
			c.addProblemIf(true, "%s[%d]: %q %w", where, i, text, err)
			continue
		}
		out = append(out, network)
	}
	c.addError(where, hosts.CheckNetworks(out))
	return out
}

// checkUnique refuses ids, API keys and lists of related origins that two apps share.
func (c *checker) checkUnique(apps []appSettings) {
	ids, related, keys := map[string]bool{}, map[string]bool{}, map[[sha256.Size]byte]string{}
	for i, a := range apps {
		c.addProblemIf(ids[a.id] && a.id != "", "apps[%d].id: %q is used twice", i, a.id)
		ids[a.id] = true
		for n, k := range a.keys {
			where := fmt.Sprintf("apps[%d].keys[%d]", i, n)
			c.addProblemIf(keys[k.sha256] != "", "%s: is also the key of %s", where, keys[k.sha256])
			keys[k.sha256] = where
		}
		if a.rpID != "" && len(a.relatedOrigins()) > 0 {
			c.addProblemIf(related[a.rpID], "apps[%d].origins: another app has the same rp_id and origins outside of it; browsers read one list for both, so name them all in one app", i)
			related[a.rpID] = true
		}
	}
}

// channelNames returns the channels that an app can send by, sorted.
func channelNames(a appSettings) []string { return slices.Sorted(maps.Keys(a.send)) }
