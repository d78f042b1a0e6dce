package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Passkeys can be used on pages at the relying-party id or below it. The app's other origins are related ones. In development the app's
// own pages count too, and are never related.
func TestOriginsAreOwnAtOrBelowRPIDAndElseRelated(t *testing.T) {
	for _, c := range []struct {
		name         string
		app          appSettings
		own, related []string
	}{
		{"production", appSettings{rpID: "example.com", publicURL: "https://verify.example.com", origins: []string{"https://example.com", "https://example.net", "https://badexample.com"}},
			[]string{"https://verify.example.com", "https://example.com"}, []string{"https://example.net", "https://badexample.com"}},
		{"pages elsewhere", appSettings{rpID: "example.com", publicURL: "https://verify.example.org", origins: []string{"https://example.com"}},
			[]string{"https://example.com"}, nil},
		{"development", appSettings{rpID: "localhost", publicURL: "http://localhost:8080", devOrigins: []string{"http://localhost:3000", "http://127.0.0.1:4000"}},
			[]string{"http://localhost:8080", "http://localhost:3000"}, nil},
		{"a tunnel", appSettings{rpID: "dev.example.com", publicURL: "https://dev.example.com", devOrigins: []string{"http://localhost:3000"}},
			[]string{"https://dev.example.com"}, nil},
	} {
		if own, related := c.app.ownOrigins(), c.app.relatedOrigins(); !slices.Equal(own, c.own) || !slices.Equal(related, c.related) {
			t.Errorf("%s: own %q, related %q", c.name, own, related)
		}
	}
}

// The hosted pages and the ES module for apps have the same fallback for browsers without WebAuthn's JSON methods. The server imports no
// strategy, so each has a copy.
func TestPagesAndModuleShareWebAuthnFallback(t *testing.T) {
	const second = "// What follows does by hand"
	byHand := func(path string) string {
		t.Helper()
		script, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, half, found := strings.Cut(string(script), second)
		if !found {
			t.Fatalf("%s has no second half", path)
		}
		return half
	}
	if byHand("../../server/pages/keys.js") != byHand("../../webauthn/webauthn.js") {
		t.Error("server/pages/keys.js and webauthn/webauthn.js differ in what they do by hand")
	}
}
