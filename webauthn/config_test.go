package webauthn

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// New returns all problems together.
func TestNewReportsEveryMissingSetting(t *testing.T) {
	_, err := New(Config{})
	if err == nil {
		t.Fatal("an empty configuration is accepted")
	}
	for _, want := range []string{"RPID", "RPName", "Secret", "Origins"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported: %v", want, err)
		}
	}
}

func TestNewRefusesUnsafeSettings(t *testing.T) {
	for want, changes := range map[string]map[string]func(*Config){
		"RPID": {
			"a URL":            func(c *Config) { c.RPID = "https://example.com" },
			"a port":           func(c *Config) { c.RPID = "example.com:443" },
			"an address":       func(c *Config) { c.RPID = "127.0.0.1" },
			"a public suffix":  func(c *Config) { c.RPID = "co.uk" },
			"a hosted suffix":  func(c *Config) { c.RPID = "github.io" },
			"a top level":      func(c *Config) { c.RPID = "com" },
			"capitals":         func(c *Config) { c.RPID = "Example.com" },
			"no ASCII":         func(c *Config) { c.RPID = "exämple.com" },
			"a dot at the end": func(c *Config) { c.RPID = "example.com." },
			"a single label":   func(c *Config) { c.RPID = "intranet" },
		},
		"Origins": {
			"http":               func(c *Config) { c.Origins[0] = "http://login.example.com" },
			"a path":             func(c *Config) { c.Origins[0] = "https://login.example.com/" },
			"capitals":           func(c *Config) { c.Origins[0] = "https://Login.example.com" },
			"the default port":   func(c *Config) { c.Origins[0] = "https://login.example.com:443" },
			"no scheme":          func(c *Config) { c.Origins[0] = "login.example.com" },
			"another scheme":     func(c *Config) { c.Origins[0] = "ftp://login.example.com" },
			"a user":             func(c *Config) { c.Origins[0] = "https://a@login.example.com" },
			"another site":       func(c *Config) { c.Origins[0] = "https://example.net" },
			"a site that ends":   func(c *Config) { c.Origins[0] = "https://notexample.com" },
			"a suffix":           func(c *Config) { c.Origins[0] = "https://com" },
			"an app":             func(c *Config) { c.Origins[0] = "android:apk-key-hash:abc" },
			"nothing":            func(c *Config) { c.Origins[0] = "" },
			"a wildcard":         func(c *Config) { c.Origins[0] = "https://*.example.com" },
			"localhost, no http": func(c *Config) { c.RPID, c.Origins[0] = "localhost", "http://localhost.example.com" },
			"localhost's port":   func(c *Config) { c.RPID, c.Origins[0] = "localhost", "http://localhost:80" },
		},
		"RelatedOrigins": {
			"the own site": func(c *Config) { c.RelatedOrigins = []string{"https://www.example.com"} },
			"http":         func(c *Config) { c.RelatedOrigins = []string{"http://example.net"} },
			"more than five": func(c *Config) {
				c.RelatedOrigins = strings.Fields("https://a1.com https://a2.com https://a3.com https://a4.com https://a5.com https://a6.com")
			},
		},
		"NativeOrigins": {
			"a page":        func(c *Config) { c.NativeOrigins = []string{"https://example.com"} },
			"a mere prefix": func(c *Config) { c.NativeOrigins = []string{"android:apk-key-hash:"} },
			"anything":      func(c *Config) { c.NativeOrigins = []string{"x"} },
		},
		"TopOrigins": {
			"without CrossOrigin": func(c *Config) { c.TopOrigins = []string{"https://example.net"} },
			"a path":              func(c *Config) { c.CrossOrigin, c.TopOrigins = true, []string{"https://example.net/x"} },
		},
		"Secret":  {"31 bytes": func(c *Config) { c.Secret = watchword.NewCode(strings.Repeat("x", 31)) }},
		"RPName":  {"none": func(c *Config) { c.RPName = "" }},
		"Counter": {"unknown": func(c *Config) { c.Counter = "ignore" }},
		"BackupChange": {
			"unknown": func(c *Config) { c.BackupChange = "x" },
		},
		"Policies[mfa]": {
			"verification": func(c *Config) { c.Policies["mfa"] = Policy{UserVerification: "always"} },
			"hint":         func(c *Config) { c.Policies["mfa"] = Policy{Hints: []string{"usb"}} },
			"resident key": func(c *Config) { c.Policies["mfa"] = Policy{ResidentKey: Required} },
			"attachment":   func(c *Config) { c.Policies["mfa"] = Policy{Attachment: "platform"} },
		},
		"Policies[enrol]": {
			"resident key": func(c *Config) { c.Policies["enrol"] = Policy{ResidentKey: "yes"} },
			"attachment":   func(c *Config) { c.Policies["enrol"] = Policy{Attachment: "usb"} },
		},
		"Attestation": {
			"without metadata": func(c *Config) { c.Attestation = &Attestation{} },
			"no AAGUID":        func(c *Config) { c.Attestation = &Attestation{Metadata: NewMetadata(""), Deny: []string{"YubiKey"}} },
			"both lists": func(c *Config) {
				list := slices.Sorted(maps.Keys(parseModelTable()))
				c.Attestation = &Attestation{Metadata: NewMetadata(""), Allow: list, Deny: list}
			},
		},
	} {
		for name, change := range changes {
			cfg := testConfig()
			cfg.Policies = map[string]Policy{}
			change(&cfg)
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "webauthn: "+want) {
				t.Errorf("%s, %s: %v", want, name, err)
			}
		}
	}
}

func TestNewAcceptsValidSettings(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"as in these tests": func(*Config) {},
		"localhost": func(c *Config) {
			c.RPID, c.Origins = "localhost", []string{"http://localhost:8080", "http://app.localhost"}
		},
		"a name inside the company": func(c *Config) { c.RPID, c.Origins = "corp.internal", []string{"https://login.corp.internal"} },
		"below a hosted suffix":     func(c *Config) { c.RPID, c.Origins = "ada.github.io", []string{"https://ada.github.io"} },
		"the brand's other sites": func(c *Config) {
			c.RelatedOrigins = strings.Fields("https://example.de https://www.example.co.uk https://example.fr https://example.com.au https://example.es https://example.it")
		},
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := New(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The default is strict except for mfa, where a first factor was verified before.
func TestPolicyDefaultsByPurpose(t *testing.T) {
	c := testConfig()
	for purpose, want := range map[string]Requirement{"sign_in": Required, "password_reset": Required, "manage_factors": Required, "enrol": Required, "payment": Required, "mfa": Discouraged} {
		if got := c.policy(purpose); got.UserVerification != want || got.ResidentKey != Preferred {
			t.Errorf("%s: %+v", purpose, got)
		}
	}
}

func TestProperties(t *testing.T) {
	s := newKit(t).strategy
	want := watchword.StrategyProperties{Object: true, Tries: 1, Lifetime: challengeLifetime, Strength: watchword.StrengthKey, Ask: watchword.AskKey, MultiFactor: true, PhishingResistant: true}
	if s.Name() != "webauthn" || s.Properties() != want {
		t.Errorf("%s: %+v", s.Name(), s.Properties())
	}
}
