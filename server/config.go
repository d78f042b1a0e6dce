package server

import (
	"context"
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

// Config holds the settings of a Server.
type Config struct {
	// Apps are the tenants; at least one is required. Problems that belong to no app link to the first one's public URL.
	Apps []App
	// Development accepts only requests whose Host is a loopback name (localhost, 127.0.0.0/8, [::1]), so that a web page
	// in the developer's browser cannot reach the server through DNS rebinding. The keys "dev" and "dev-admin" are allowed
	// in development only.
	Development bool
	// LimitDetail is the detail of rate_limited problems, for example how to lift limits in development. It may be empty.
	LimitDetail string
	// TrustedProxies are the networks of the proxies in front of the server, including those of a CDN. The client is the
	// right-most address in X-Forwarded-For that is in none of them. If there are none, the header is ignored.
	TrustedProxies []netip.Prefix
	// Mount adds handlers, by ServeMux pattern ("GET /inbox"). The server sets its common headers, checks the host, logs the
	// request and recovers panics; the handler does everything else.
	Mount map[string]http.Handler
	// Metrics observes every request. It may be nil.
	Metrics Metrics
	// Logger gets one line for each request: status 5xx at level error; 401, 403 and 429 at level info; all others, and
	// readiness checks, at level debug. A line contains no body, key, id or address. If Logger is nil, nothing is logged.
	Logger *slog.Logger
	// Clock measures the durations in log and metrics. The default is time.Now.
	Clock func() time.Time
}

// App is one tenant of the server.
type App struct {
	Engine    *watchword.Engine // required
	Signer    watchword.Signer  // signs its receipts; required by New. Apps may share a Signer
	Keys      []APIKey          // at least one for New; two while one replaces the other
	PublicURL string            // the base of links and the engine's Issuer: https, without a slash at the end
	Pages     Pages             // settings of its hosted pages
	// Origins are those of the app's own pages that may show the element, such as https://app.example.com: exactly as browsers send
	// them, https, or http with a loopback host. Pages of every other origin can neither read nor send anything.
	Origins []string
}

// APIKey lets its bearer act for an app. The server holds the digest of a key, never the key.
type APIKey struct {
	SHA256 [sha256.Size]byte // of the key's bytes
	Scopes []string          // at least one
}

// The scopes of API keys.
const (
	ScopeChallenges   = "challenges"    // start, read, check, redeem, resend, cancel; redeem receipts
	ScopeFactors      = "factors"       // read factors; change them with a proof (see watchword.Authority)
	ScopeFactorsAdmin = "factors:admin" // read factors; change them without a proof
)

// Scopes returns all scopes.
func Scopes() []string { return []string{ScopeChallenges, ScopeFactors, ScopeFactorsAdmin} }

// Metrics observes requests. The labels have a bounded number of values.
type Metrics interface {
	// AddRoute is called by New for each route: a pattern of the server or of Config.Mount without its method.
	AddRoute(route string)
	// ObserveRequest is called after each response, with the context of the request. The method is one that RFC 9110 defines, or "other". Method and route are
	// empty if the path has no handler, or the path's handlers have other methods.
	ObserveRequest(ctx context.Context, method, route string, status int, took time.Duration)
}

// developmentKeys are the documented, public keys of development mode.
var developmentKeys = []string{"dev", "dev-admin"}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
}

func (c *Config) findErrors(hasAPI bool) (out []error) {
	if len(c.Apps) == 0 {
		out = append(out, errors.New("Apps: at least one is needed"))
	}
	ids, keys := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for n, a := range c.Apps {
		name := fmt.Sprintf("Apps[%d]", n)
		if a.Engine != nil {
			name = fmt.Sprintf("app %q", a.Engine.App())
			if ids[a.Engine.App()] {
				out = append(out, fmt.Errorf("%s: is listed twice", name))
			}
			ids[a.Engine.App()] = true
		}
		for _, err := range a.findErrors(hasAPI, c.Development, keys) {
			out = append(out, fmt.Errorf("%s: %w", name, err))
		}
	}
	if err := hosts.CheckNetworks(c.TrustedProxies); err != nil {
		out = append(out, setting.Errorf("TrustedProxies", "%w", err))
	}
	return out
}

// findErrors also adds the app's keys to seen, so that no key belongs to two apps.
func (a *App) findErrors(hasAPI, development bool, seen map[[sha256.Size]byte]bool) (out []error) {
	report := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Errorf(format, args...))
		}
	}
	report(a.Engine == nil, "Engine: missing")
	report(hasAPI && a.Signer == nil, "Signer: missing")
	report(hasAPI && len(a.Keys) == 0, "Keys: at least one is needed")
	if err := checkPublicURL(a.PublicURL); err != nil {
		out = append(out, err)
	}
	if err := a.Pages.Check(); err != nil {
		out = append(out, err)
	}
	for n, origin := range a.Origins {
		if err := hosts.CheckOrigin(origin); err != nil {
			out = append(out, setting.Errorf(fmt.Sprintf("Origins[%d]", n), "%w", err))
		}
	}
	for n, k := range a.Keys {
		report(k.SHA256 == [sha256.Size]byte{}, "Keys[%d]: SHA256 is missing", n)
		report(k.SHA256 == sha256.Sum256(nil), "Keys[%d]: SHA256 is that of an empty key", n)
		for _, devKey := range developmentKeys {
			report(k.SHA256 == sha256.Sum256([]byte(devKey)) && !development, "Keys[%d]: the key %q is for development only", n, devKey)
		}
		report(seen[k.SHA256], "Keys[%d]: the key is listed twice", n)
		seen[k.SHA256] = true
		report(len(k.Scopes) == 0, "Keys[%d]: Scopes: at least one is needed", n)
		for _, s := range k.Scopes {
			report(!slices.Contains(Scopes(), s), "Keys[%d]: Scopes: unknown scope %q", n, s)
		}
	}
	return out
}

// checkPublicURL requires https, except for a loopback name. Links, problems and receipts contain the URL.
func checkPublicURL(text string) error {
	_, err := hosts.OriginOf(text)
	if err == nil && (strings.ContainsAny(text, "?#") || strings.HasSuffix(text, "/")) {
		err = hosts.CheckOrigin(text)
	}
	if u, _ := url.Parse(text); err == nil && u.Scheme == "http" && !isLoopbackHost(u.Host) {
		err = errors.New("must be https, or http with a loopback host")
	}
	if err != nil {
		return setting.Errorf("PublicURL", "%w", err)
	}
	return nil
}
