package server

import "net/http"

// The documents that pages of every origin may read (Fetch standard, CORS). They hold nothing that is not public, and are the
// same with and without credentials. Nothing else of the server may be read by other origins.
const (
	keySetPath   = "/.well-known/jwks.json"
	documentPath = "/openapi.json"
)

func isPublic(path string) bool { return path == keySetPath || path == documentPath }

// preflightTime is how long browsers may remember an answer to OPTIONS, in seconds: a day.
const preflightTime = "86400"

// answerPreflight answers OPTIONS for a public document, where a page sends headers of its own along.
func answerPreflight(x *exchange) {
	h := x.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Max-Age", preflightTime)
	x.WriteHeader(http.StatusNoContent)
}
