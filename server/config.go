package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/setting"
)

// A Config is what a Server is made of. New reports everything that is missing or unsafe at once.
type Config struct {
	// Apps are the tenants; at least one. Problems that concern no app in particular have links to the first one's
	// public URL.
	Apps []App
	// Development answers only requests whose Host is a loopback name (localhost, 127.0.0.0/8, [::1]), so that a page
	// in the developer's browser cannot reach the server under a name of its own (DNS rebinding). The keys "dev" and
	// "dev-admin" are allowed in development only.
	Development bool
	// LimitDetail is the detail of a rate_limited problem, how to lift limits in development say; empty: it has none.
	LimitDetail string
	// TrustedProxies are the addresses of the proxies in front of the server, those of a CDN included. What they say in
	// X-Forwarded-For is believed, from the right, up to the first address that is none of them. None: the header is
	// ignored.
	TrustedProxies []netip.Prefix
	// Mount adds handlers behind the server's door, by ServeMux pattern ("GET /inbox"). They get its headers, its host
	// check, its log and its recovery; everything else is theirs.
	Mount map[string]http.Handler
	// Metrics hears of every request; nil: nobody does.
	Metrics Metrics
	// Logger gets a line for each request: internal errors and unreachable stores at error, what was refused at the
	// door (no key, no right, too much) at info, everything else at debug. Lines hold no body, key, id or address.
	// Nil: nothing is logged.
	Logger *slog.Logger
	// Clock is for the durations in log and metrics; nil: time.Now.
	Clock func() time.Time
}

// An App is one tenant of the server.
type App struct {
	Engine    *watchword.Engine // required
	Signer    watchword.Signer  // of its receipts; required. Apps may share one
	Keys      []APIKey          // at least one; two, while one replaces the other
	PublicURL string            // as people and receipts see the server: https, no slash at the end; the engine's Issuer
	Pages     Pages             // how its hosted pages look
}

// An APIKey lets its bearer act for an app. The server keeps no key, only its digest.
type APIKey struct {
	SHA256 [sha256.Size]byte // of the key's bytes
	Scopes []string          // what it is for; at least one
}

// The scopes of keys.
const (
	ScopeChallenges   = "challenges"    // start, read, check, redeem, resend, cancel; redeem receipts
	ScopeFactors      = "factors"       // read factors; change them with a proof
	ScopeFactorsAdmin = "factors:admin" // change factors without a proof
)

// Metrics counts requests. Labels are bounded: the route is a pattern of the server's or of Config.Mount, or empty for
// paths that nobody serves; the method is one that RFC 9110 defines, or "other".
type Metrics interface {
	Request(method, route string, status int, took time.Duration)
}

// developmentKeys are the keys of development mode, which everybody knows.
var developmentKeys = []string{"dev", "dev-admin"}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
}

func (c *Config) problems() (out []error) {
	if len(c.Apps) == 0 {
		out = append(out, errors.New("Apps: at least one is needed"))
	}
	ids, keys := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for n, a := range c.Apps {
		name := fmt.Sprintf("Apps[%d]", n)
		if a.Engine != nil {
			name = fmt.Sprintf("app %q", a.Engine.App())
			if ids[a.Engine.App()] {
				out = append(out, fmt.Errorf("%s: is there twice", name))
			}
			ids[a.Engine.App()] = true
		}
		for _, err := range a.problems(c.Development, keys) {
			out = append(out, fmt.Errorf("%s: %w", name, err))
		}
	}
	if err := hosts.CheckNetworks(c.TrustedProxies); err != nil {
		out = append(out, setting.Errorf("TrustedProxies", "%w", err))
	}
	return out
}

// problems also notes the app's keys in seen, so that no key belongs to two apps.
func (a *App) problems(development bool, seen map[[sha256.Size]byte]bool) (out []error) {
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Errorf(format, args...))
		}
	}
	refuse(a.Engine == nil, "Engine: missing")
	refuse(a.Signer == nil, "Signer: missing")
	refuse(len(a.Keys) == 0, "Keys: at least one is needed")
	if err := checkPublicURL(a.PublicURL); err != nil {
		out = append(out, err)
	}
	if err := a.Pages.Check(); err != nil {
		out = append(out, err)
	}
	for n, k := range a.Keys {
		refuse(k.SHA256 == [sha256.Size]byte{}, "Keys[%d]: SHA256 is missing", n)
		refuse(k.SHA256 == sha256.Sum256(nil), "Keys[%d]: SHA256 is that of an empty key", n)
		for _, known := range developmentKeys {
			refuse(k.SHA256 == sha256.Sum256([]byte(known)) && !development, "Keys[%d]: the key %q is for development only", n, known)
		}
		refuse(seen[k.SHA256], "Keys[%d]: the key is there twice", n)
		seen[k.SHA256] = true
		refuse(len(k.Scopes) == 0, "Keys[%d]: Scopes: at least one is needed", n)
		for _, s := range k.Scopes {
			refuse(!slices.Contains([]string{ScopeChallenges, ScopeFactors, ScopeFactorsAdmin}, s), "Keys[%d]: Scopes: %q is none", n, s)
		}
	}
	return out
}

// checkPublicURL wants https, except for a loopback name: links, problems and receipts are made of it.
func checkPublicURL(text string) error {
	_, err := hosts.OriginOf(text)
	if err == nil && (strings.ContainsAny(text, "?#") || strings.HasSuffix(text, "/")) {
		err = hosts.CheckOrigin(text)
	}
	if u, _ := url.Parse(text); err == nil && u.Scheme == "http" && !loopbackHost(u.Host) {
		err = errors.New("must be https, or http at a name that the server answers in development")
	}
	if err != nil {
		return setting.Errorf("PublicURL", "%w", err)
	}
	return nil
}
