// Package style has the stylesheet that the example apps share.
package style

import (
	_ "embed"
	"net/http"
)

//go:embed style.css
var sheet []byte

// Sheet returns a handler for the stylesheet: one column, light and dark, on phones and desktops.
func Sheet() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(sheet)
	})
}
