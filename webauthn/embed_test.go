package webauthn

import (
	"testing"

	"github.com/watchword-auth/watchword"
)

// CrossOrigin and TopOrigins restrict embedding.
func TestVerifyChecksTopOriginOfEmbeddedPages(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) {
		c.CrossOrigin, c.TopOrigins = true, []string{"https://partner.example"}
	})
	d := newDevice(t)
	k.enrol("user_42", d, setClientData("crossOrigin", true), setClientData("topOrigin", "https://partner.example"))
	for top, reason := range map[string]refusal{
		"https://partner.example": "", "": "", "https://partner.example/": refusedTopOrigin, "https://PARTNER.example": refusedTopOrigin,
		"https://partner.example:443": refusedTopOrigin, "https://evil.example": refusedTopOrigin, "https://login.example.com": refusedTopOrigin,
		"android:apk-key-hash:abc": refusedTopOrigin,
	} {
		mutate := combine(setClientData("crossOrigin", true), setClientData("topOrigin", top))
		if top == "" {
			mutate = setClientData("crossOrigin", true)
		}
		_, err := k.signIn("sign_in", "user_42", d, mutate)
		if reason != "" {
			k.wantRefusal(err, reason)
		} else if err != nil {
			t.Errorf("embedded in %q: %v (%s)", top, err, k.refusals.lastReason())
		}
	}
	_, err := k.signIn("sign_in", "user_42", d, setClientData("topOrigin", "https://partner.example"))
	k.wantRefusal(err, refusedTopOrigin)
}

// Related origins are compared exactly too.
func TestVerifyAcceptsRelatedOrigins(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) { c.RelatedOrigins = []string{"https://example.de"} })
	d := newDevice(t)
	d.origin = "https://example.de"
	k.enrol("user_42", d)
	k.mustSignIn("sign_in", "user_42", d)
	_, err := k.signIn("sign_in", "user_42", d, setClientData("origin", "https://www.example.de"))
	k.wantRefusal(err, refusedOrigin)
}
