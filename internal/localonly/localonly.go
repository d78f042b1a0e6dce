// Package localonly protects the tools of development mode, which show secrets in clear, from web pages of other origins.
package localonly

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/hosts"
)

// Handler returns a handler that passes on only requests of this machine's own pages and of programs. It refuses with 403:
//
//   - a Host (RFC 9110 §7.2) that is no loopback name, so that no page reads the tools under a name that it has made resolve to this
//     machine (DNS rebinding);
//   - a request that a page of another origin makes, by Sec-Fetch-Site (Fetch Metadata) or, in browsers without it, by Origin (RFC 6454
//     §7); but a person may follow a link to the tools.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "only pages of this machine may ask for this", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLocal(r *http.Request) bool {
	if !hosts.IsLoopback(hostname(r.Host)) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "same-site", "cross-site":
		return isNavigation(r)
	}
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin == "" || err == nil && strings.EqualFold(u.Host, r.Host)
}

// isNavigation reports whether a person follows a link or types an address. A frame is no such navigation.
func isNavigation(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// hostname returns a Host without its port, in lower case.
func hostname(host string) string {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	return strings.ToLower(strings.Trim(name, "[]"))
}
