package localonly_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/watchword-auth/watchword/internal/localonly"
)

func TestHandlerRefusesForeignHostsAndOrigins(t *testing.T) {
	t.Parallel()
	h := localonly.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, tt := range []struct {
		host    string
		headers map[string]string
		allowed bool
	}{
		{"localhost:8080", nil, true},
		{"LOCALHOST", nil, true},
		{"127.0.0.1:8080", nil, true},
		{"[::1]:8080", nil, true},
		{"[::1]", nil, true},
		{"localhost:8080", map[string]string{"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}, true},
		{"localhost:8080", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		{"localhost:8080", map[string]string{"Origin": "null", "Sec-Fetch-Site": "same-origin"}, true}, // a form of a page without a referrer
		{"", nil, false},
		{"evil.example", nil, false},
		{"evil.example:8080", nil, false},
		{"localhost.evil.example:8080", nil, false},
		{"127.0.0.1.evil.example", nil, false},
		{"192.168.1.2:8080", nil, false},
		{"localhost:8080", map[string]string{"Origin": "https://evil.example"}, false},
		{"localhost:8080", map[string]string{"Origin": "http://localhost:3000"}, false},
		{"localhost:8080", map[string]string{"Origin": "null"}, false},
		{"evil.example", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, false},
		{"localhost:8080", map[string]string{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, false},
		{"localhost:8080", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, false},
		{"localhost:8080", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = tt.host
		for name, value := range tt.headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if allowed := w.Code == http.StatusNoContent; allowed != tt.allowed {
			t.Errorf("Host %q, %v: %d, want allowed %t", tt.host, tt.headers, w.Code, tt.allowed)
		}
	}
}
