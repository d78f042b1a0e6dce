package server

import (
	"crypto/sha256"
	"strings"
)

// A credential is what a key stands for.
type credential struct {
	app    *app
	scopes map[string]bool
}

// newCredential gives who may change factors without a proof also the right to do it with one.
func newCredential(a *app, scopes []string) credential {
	c := credential{app: a, scopes: map[string]bool{}}
	for _, s := range scopes {
		c.scopes[s] = true
		if s == ScopeFactorsAdmin {
			c.scopes[ScopeFactors] = true
		}
	}
	return c
}

// authorize finds the app whose key the request bears (RFC 6750 §2.1), and asks that it has the scope. Keys are looked
// up by digest, so the time that takes says nothing about how much of a guessed key is right.
func (x *exchange) authorize(scope string) (credential, error) {
	header := x.request.Header["Authorization"]
	if len(header) == 0 {
		return credential{}, refuseFor(codeUnauthorized, "The request has no key.")
	}
	if len(header) > 1 {
		return credential{}, refuseFor(codeUnauthorized, "The header Authorization is there twice.")
	}
	scheme, key, ok := strings.Cut(header[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return credential{}, refuseFor(codeUnauthorized, "The header Authorization is not of the form Bearer KEY.")
	}
	c, ok := x.server.keys[sha256.Sum256([]byte(key))]
	if !ok {
		return credential{}, refuseFor(codeUnauthorized, "The key is not one that this server knows.")
	}
	x.app = c.app
	if !c.scopes[scope] {
		return credential{}, refuseFor(codeForbidden, "The key has not the scope "+scope+", which this operation needs.")
	}
	return c, nil
}
