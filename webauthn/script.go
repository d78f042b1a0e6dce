package webauthn

import (
	"bytes"
	_ "embed"
	"net/http"
	"time"
)

//go:embed webauthn.js
var scriptSource []byte

// Script returns a handler for a JavaScript module with the functions register, authenticate, autofill, available and signal.
// The functions take Prompt.Public and return answers. The module imports nothing and sends no requests. Pages of every
// origin may import it (CORS); route OPTIONS requests to the handler too.
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
		serveScript(w, r, scriptSource)
	})
}

// serveScript serves a JavaScript module.
func serveScript(w http.ResponseWriter, r *http.Request, source []byte) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(source))
}
