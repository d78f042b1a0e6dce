package smtp

import (
	"net/url"
	"testing"

	"github.com/watchword-auth/watchword/delivery"
)

// Mail may be sent without TLS to loopback only, and a password only if the URL allows it.
func TestParseURLRequiresTLSBeyondLoopback(t *testing.T) {
	policy, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url                string
		startTLS, implicit bool
		port               int
	}{
		{"smtp://mail.example.com", true, false, 587},
		{"smtp://localhost.example.com", true, false, 587},
		{"smtp://10.0.0.1:25", true, false, 25},
		{"smtp://localhost", false, false, 587},
		{"smtp://127.0.0.9:1025", false, false, 1025},
		{"smtp://[::1]", false, false, 587},
		{"smtp://ada:pass@localhost", true, false, 587},
		{"smtp://ada:pass@127.0.0.9", true, false, 587},
		{"smtp://ada:pass@[::1]", true, false, 587},
		{"smtps://localhost", false, true, 465},
		{"smtps://mail.example.com", false, true, 465},
	} {
		u, err := url.Parse(tt.url + "?from=a@b.example")
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseURL(u, policy)
		if err != nil || got.startTLS != tt.startTLS || got.implicitTLS != tt.implicit || got.port != tt.port {
			t.Errorf("%s: %+v, %v", tt.url, got, err)
		}
	}
}
