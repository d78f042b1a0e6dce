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
	// MaxLifetime is the longest that a receipt may be valid, from iat to exp.
	MaxLifetime = 10 * time.Minute
	// MaxSkew is how far the clock of who signs may run ahead of the clock of who verifies. It shortens no life and
	// lengthens none: exp is exact.
	MaxSkew = time.Minute
)

// payload is the body of a receipt as the JWT library wants it. The embedded claims stay empty and their methods are
// never called: they are there because the library demands them, and it is told not to judge any.
type payload struct {
	jwt.RegisteredClaims
	claims watchword.Claims
}

// UnmarshalJSON reads what is written in one way only. Claims that are not known yet are ignored (RFC 7519 §4).
func (p *payload) UnmarshalJSON(text []byte) error {
	if err := checkUniqueNames(text); err != nil {
		return invalidReceipt("ambiguous claims")
	}
	if err := json.Unmarshal(text, &p.claims); err != nil {
		return invalidReceipt("a claim of another type")
	}
	return nil
}

// checkClaims refuses claims that could be valid at no time: one of those that every receipt has is missing, or the times
// do not follow each other.
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
	case c.AuthTime-c.IssuedAt > toSeconds(MaxSkew): // answered at one node, collected at another
		return invalidReceipt("auth_time is after iat")
	}
	return nil
}

// checkTimes compares with the clock. At the second of exp itself a receipt has expired (RFC 7519 §4.1.4).
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

// checkUniqueNames holds a JSON object to RFC 8725 §2.6 and RFC 7519 §4: no name twice in one object, at any depth, because two
// readers may believe different ones. The names of the outermost object are plain lower-case ASCII, since encoding/json
// takes names that differ in case only for the same. The text is known to be valid JSON.
func checkUniqueNames(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return checkValueNames(d, true)
}

// checkValueNames reads one value.
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
