package server

import (
	"crypto/sha256"
	"strings"
)

// An authorizedKey is the app and the scopes of an API key.
type authorizedKey struct {
	app    *app
	scopes map[string]bool
}

// newAuthorizedKey returns the key with its scopes; factors:admin includes factors.
func newAuthorizedKey(a *app, scopes []string) authorizedKey {
	k := authorizedKey{app: a, scopes: map[string]bool{}}
	for _, s := range scopes {
		k.scopes[s] = true
		if s == ScopeFactorsAdmin {
			k.scopes[ScopeFactors] = true
		}
	}
	return k
}

// authorize finds the API key of the request (RFC 6750 §2.1) and checks its scope. Keys are looked up by digest, so the
// time of the lookup reveals nothing about a guessed key.
func (x *exchange) authorize(scope string) (authorizedKey, error) {
	header := x.request.Header["Authorization"]
	if len(header) == 0 {
		return authorizedKey{}, newDetailedError(codeUnauthorized, "The request has no API key.")
	}
	if len(header) > 1 {
		return authorizedKey{}, newDetailedError(codeUnauthorized, "The Authorization header appears more than once.")
	}
	scheme, key, ok := strings.Cut(header[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return authorizedKey{}, newDetailedError(codeUnauthorized, "The Authorization header is not of the form Bearer KEY.")
	}
	k, ok := x.server.keys[sha256.Sum256([]byte(key))]
	if !ok {
		return authorizedKey{}, newDetailedError(codeUnauthorized, "The API key is unknown to this server.")
	}
	x.app = k.app
	connectionOf(x.request).join(k.app.engine.App())
	if !k.scopes[scope] {
		return authorizedKey{}, newDetailedError(codeForbidden, "The API key does not have the scope "+scope+", which this operation requires.")
	}
	return k, nil
}
