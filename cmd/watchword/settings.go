package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
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
	templates  string // a folder; empty: the embedded ones
	send       map[string][]watchword.Code
	events     []eventsSettings
	limits     []ratelimit.Rule
	breaker    breakerConfig
	codes      codesConfig
	links      linksConfig
	pages      server.Pages
	rpID       string         // empty: no keys
	keySecret  watchword.Code // of user handles
	returnURLs []string
	devOrigins []string // of the app's pages in development, where keys may be used
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

// A checker collects everything that is missing or unsafe, so that it is reported at once.
type checker struct {
	base     string // folder that relative paths in the file start from
	rotating bool   // older keys of the keyring are only there to be replaced
	problems []error
	warnings []string
	secrets  []usedSecret
}

func (c *checker) refuse(bad bool, format string, args ...any) {
	if bad {
		c.problems = append(c.problems, fmt.Errorf(format, args...))
	}
}

// note keeps each of the errors that err joins as a problem of its own, with whatever was written before them.
func (c *checker) note(where string, err error) {
	var joined interface {
		error
		Unwrap() []error
	}
	switch {
	case err == nil:
	case errors.As(err, &joined):
		before := strings.TrimSuffix(err.Error(), joined.Error())
		if before != "" {
			where += ": " + strings.TrimSuffix(before, ": ")
		}
		for _, e := range joined.Unwrap() {
			c.note(where, e)
		}
	default:
		c.problems = append(c.problems, fmt.Errorf("%s: %w", where, err))
	}
}

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
	c.refuse(!isAddress(s.listen), "listen: must be of the form HOST:PORT")
	c.refuse(s.metricsListen != "" && !isAddress(s.metricsListen), "metrics_listen: must be of the form HOST:PORT")
	if cfg.LogLevel != "" && s.logLevel.UnmarshalText([]byte(cfg.LogLevel)) != nil {
		c.refuse(true, "log_level: must be debug, info, warn or error")
	}
	s.redis = c.secret("redis", cfg.Redis.secretURL)
	s.waitReplicas = cfg.Redis.WaitReplicas
	c.refuse(s.waitReplicas < 0, "redis: wait_replicas must not be negative")
	c.refuse(s.waitReplicas > 0 && s.redis.Reveal() == memoryURL, "redis: wait_replicas: %q has no replicas; leave it out, or name a Redis", memoryURL)
	s.database = c.secret("database", cfg.Database)
	s.noLimits = cfg.DevNoLimits
}

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
		where := "apps[" + strconv.Itoa(i) + "]"
		if a.ID != "" {
			where = "app " + strconv.Quote(a.ID)
		}
		s.apps = append(s.apps, c.app(where, cfg, a))
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
		c.note(where, err)
		c.checkMode(where, c.path(u.File))
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
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				prefix = netip.PrefixFrom(a, a.BitLen())
			}
		}
		c.refuse(err != nil, "%s: %q is neither an address nor a network such as 10.0.0.0/8", where, text)
		// No connection's address is IPv4-mapped, so the network would hold none.
		c.refuse(err == nil && prefix.Addr().Is4In6(), "%s: %q is an IPv4 network written as an IPv6 one: write it as IPv4", where, text)
		out = append(out, prefix)
	}
	return out
}

// unique refuses what would let one app act for another.
func (c *checker) unique(apps []appSettings) {
	ids, keys := map[string]bool{}, map[[sha256.Size]byte]string{}
	for _, a := range apps {
		c.refuse(ids[a.id] && a.id != "", "apps: %q is there twice", a.id)
		ids[a.id] = true
		for _, k := range a.keys {
			c.refuse(keys[k.sha256] != "", "apps: %q and %q have the same key", keys[k.sha256], a.id)
			keys[k.sha256] = a.id
		}
	}
}

func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// A configError says everything that keeps a server from starting.
type configError struct{ problems []error }

func (e configError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d problem(s) in the configuration; the server does not start:", len(e.problems))
	for _, p := range e.problems {
		b.WriteString("\n  - " + p.Error())
	}
	return b.String()
}

// channelsOf are the channels that an app can send by, sorted.
func channelsOf(a appSettings) []string { return slices.Sorted(maps.Keys(a.send)) }
