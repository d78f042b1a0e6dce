package server

import "net/http"

// The documents that web pages of every origin may read (Fetch standard, CORS). They are public, and the same with and
// without credentials. Other origins can read nothing else of the server.
const (
	keySetPath   = "/.well-known/jwks.json"
	documentPath = "/openapi.json"
)

func isPublicDocument(path string) bool { return path == keySetPath || path == documentPath }

// preflightMaxAge is how long browsers may cache a preflight response, in seconds: one day.
const preflightMaxAge = "86400"

// servePreflight responds to the preflight request (OPTIONS) for a public document.
func servePreflight(x *exchange) {
	h := x.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Max-Age", preflightMaxAge)
	x.WriteHeader(http.StatusNoContent)
}
