package main

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/hosts"
)

// ownOrigins returns the origins of pages at the relying-party id or below it, including the hosted pages. relatedOrigins returns
// the app's other origins.
func (a appSettings) ownOrigins() []string     { return a.filterOrigins(true) }
func (a appSettings) relatedOrigins() []string { return a.filterOrigins(false) }

func (a appSettings) filterOrigins(own bool) (found []string) {
	for i, origin := range slices.Concat([]string{a.publicURL}, a.origins, a.devOrigins) {
		u, err := url.Parse(origin)
		if err != nil || i == 0 && hosts.CheckOrigin(origin) != nil { // a wrong public URL is reported as that
			continue
		}
		host := u.Hostname()
		isOwn := host == a.rpID || strings.HasSuffix(host, "."+a.rpID)
		isListed := 0 < i && i <= len(a.origins) // the public URL and development's origins are never related
		if isOwn == own && (isOwn || isListed) {
			found = append(found, origin)
		}
	}
	return found
}

// serveRelatedOrigins serves each relying-party id's /.well-known/webauthn at its own host.
func serveRelatedOrigins(byHost map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if h := byHost[strings.ToLower(host)]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
}
