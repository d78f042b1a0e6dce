package webauthn

import (
	"bytes"
	_ "embed"
	"net/http"
	"time"
)

//go:embed webauthn.js
var scriptSource []byte

// Script serves the ES module for browsers, of a few dozen lines: register, authenticate, autofill, available and signal.
// It takes what Begin returns as Prompt.Public, and returns answers; it loads nothing and talks to no server. Pages of every
// origin may import it (CORS); serve OPTIONS by it too, for those that send headers of their own.
func Script() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD")
			w.Header().Set("Access-Control-Allow-Headers", "*")
			w.Header().Set("Access-Control-Max-Age", "86400") // seconds
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(scriptSource))
	})
}
