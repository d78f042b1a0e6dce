package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
)

// keySecret is what user handles of passkeys and decoys are made with, for one app: derived from the identity key, since
// it must not rotate either.
func keySecret(identity []byte, app string) (watchword.Code, error) {
	secret, err := hkdf.Key(sha256.New, identity, nil, "watchword/1 user handles "+app, sha256.Size)
	return watchword.NewCode(string(secret)), err
}

// ownOrigins are the origins of pages at the RP id or below it, the hosted pages among them; relatedOrigins are the
// app's other ones.
func (a appSettings) ownOrigins() []string     { return a.originsBelow(true) }
func (a appSettings) relatedOrigins() []string { return a.originsBelow(false) }

func (a appSettings) originsBelow(below bool) (found []string) {
	for i, origin := range slices.Concat([]string{a.publicURL}, a.origins, a.devOrigins) {
		u, err := url.Parse(origin)
		if err != nil {
			continue
		}
		host := u.Hostname()
		own := host == a.rpID || strings.HasSuffix(host, "."+a.rpID)
		if own == below && (own || 0 < i && i <= len(a.origins)) { // hosted pages elsewhere are no site of the app's
			found = append(found, origin)
		}
	}
	return found
}

// keySites serves /.well-known/webauthn of each RP id at its own host.
func keySites(byHost map[string]http.Handler) http.Handler {
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
