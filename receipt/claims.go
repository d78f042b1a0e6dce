package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/watchword-auth/watchword"
)

const (
	// MaxLifetime is the maximum time from iat to exp.
	MaxLifetime = 10 * time.Minute
	// MaxSkew is how far the signer's clock may be ahead of the verifier's. It applies to iat; exp is exact.
	MaxSkew = time.Minute
)

// A payload is the payload of a receipt for the JWT library. The embedded claims only implement its interface: they stay empty,
// and the library is configured not to validate them.
type payload struct {
	jwt.RegisteredClaims
	claims watchword.Claims
}

// UnmarshalJSON refuses ambiguous JSON. Unknown claims are ignored (RFC 7519 §4).
func (p *payload) UnmarshalJSON(text []byte) error {
	if err := checkUniqueNames(text); err != nil {
		return invalidReceipt("ambiguous claims")
	}
	if err := json.Unmarshal(text, &p.claims); err != nil {
		return invalidReceipt("a claim of another type")
	}
	return nil
}

// checkClaims refuses claims that are never valid: a required claim is missing, or the times contradict each other.
func checkClaims(c *watchword.Claims) error {
	for _, required := range []struct{ name, value string }{
		{"iss", c.Issuer}, {"aud", c.Audience}, {"jti", c.ID}, {"purpose", c.Purpose}, {"strategy", c.Strategy},
	} {
		if required.value == "" {
			return invalidReceipt(required.name + " is missing")
		}
	}
	for _, required := range []struct {
		name  string
		value int64
	}{{"iat", c.IssuedAt}, {"exp", c.ExpiresAt}, {"auth_time", c.AuthTime}} {
		if required.value <= 0 {
			return invalidReceipt(required.name + " is missing")
		}
	}
	switch {
	case c.ExpiresAt <= c.IssuedAt:
		return invalidReceipt("exp is not after iat")
	case c.ExpiresAt-c.IssuedAt > toSeconds(MaxLifetime):
		return invalidReceipt("valid for too long")
	case c.AuthTime-c.IssuedAt > toSeconds(MaxSkew): // two nodes may have set them
		return invalidReceipt("auth_time is after iat")
	}
	return nil
}

// checkTimes compares exp and iat with the clock. At the second of exp a receipt has expired (RFC 7519 §4.1.4).
func checkTimes(c *watchword.Claims, now time.Time) error {
	switch {
	case c.ExpiresAt <= now.Unix():
		return invalidReceipt("expired")
	case c.IssuedAt-now.Unix() > toSeconds(MaxSkew):
		return invalidReceipt("issued in the future")
	}
	return nil
}

func toSeconds(d time.Duration) int64 { return int64(d / time.Second) }

var errNamesNotUnique = errors.New("receipt: names are not unique")

// checkUniqueNames reports whether a JSON object has no duplicate names, at any depth (RFC 8725 §2.6, RFC 7519 §4): two parsers
// could use different values. The names of the outermost object must be lower-case ASCII, because encoding/json ignores case.
// The text must be valid JSON.
func checkUniqueNames(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return checkValueNames(d, true)
}

// checkValueNames reads one value and checks the names in it.
func checkValueNames(d *json.Decoder, outermost bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if outermost && token != json.Delim('{') {
		return errNamesNotUnique
	}
	var names map[string]bool
	if token == json.Delim('{') {
		names = map[string]bool{}
	} else if token != json.Delim('[') {
		return nil
	}
	for d.More() {
		if names != nil {
			name, err := d.Token()
			if err != nil {
				return err
			}
			text, _ := name.(string)
			if names[text] || outermost && !isPlainName(text) {
				return errNamesNotUnique
			}
			names[text] = true
		}
		if err := checkValueNames(d, false); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

func isPlainName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != ""
}
