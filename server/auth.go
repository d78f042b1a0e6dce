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

// authorize finds the app whose key the request bears (RFC 6750 §2.1), and asks that it has the scope. Keys are looked
// up by digest, so the time that takes says nothing about how much of a guessed key is right.
func (x *exchange) authorize(scope string) error {
	header := x.request.Header["Authorization"]
	if len(header) != 1 {
		return refuse(codeUnauthorized)
	}
	scheme, key, ok := strings.Cut(header[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return refuse(codeUnauthorized)
	}
	c, ok := x.server.keys[sha256.Sum256([]byte(key))]
	if !ok {
		return refuse(codeUnauthorized)
	}
	x.app = c.app
	if !c.scopes[scope] {
		return refuse(codeForbidden)
	}
	return nil
}
