package totp

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	lib "github.com/pquerna/otp"
)

// An Algorithm is the hash function of the HMAC, by its name in otpauth:// URIs.
type Algorithm string

// The algorithms of RFC 6238 §1.2.
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

// parameters returns the library's name of the algorithm and the length of a secret in bytes, which is that of the hash (RFC
// 4226 R6, RFC 6238 §5.1).
func (a Algorithm) parameters() (hash lib.Algorithm, secret int, ok bool) {
	switch a {
	case SHA1:
		return lib.AlgorithmSHA1, 20, true
	case SHA256:
		return lib.AlgorithmSHA256, 32, true
	case SHA512:
		return lib.AlgorithmSHA512, 64, true
	}
	return 0, 0, false
}

const (
	defaultDigits, minDigits, maxDigits = 6, 6, 8

	defaultPeriod = 30 * time.Second
	minPeriod     = 15 * time.Second
	maxPeriod     = 120 * time.Second

	maxIssuer = 100 // bytes; the URI holds it twice, and cameras cannot read a QR code that is too dense
)

// Config configures the codes of newly enrolled authenticator apps. Devices that are already enrolled keep their settings.
type Config struct {
	Issuer    string        // the name that the authenticator app shows; required
	Algorithm Algorithm     // default SHA1
	Digits    int           // 6 to 8; default 6
	Period    time.Duration // of a step, 15 to 120 whole seconds; default 30 seconds
	Exact     bool          // accept the present step only, instead of one step on either side too
}

// HOTPConfig configures newly enrolled counter-based tokens. HOTP always uses SHA-1 (RFC 4226 §5.2).
type HOTPConfig struct {
	Issuer string // the name that an authenticator app shows; required
	Digits int    // 6 to 8; default 6
}

// Warnings returns a text for each setting that some authenticator apps ignore silently. Such settings are valid, for apps
// that know which authenticator apps their users have. The defaults have no warnings.
func (c Config) Warnings() []string {
	c.setDefaults()
	var found []string
	warn := func(unusual bool, what, instead string) {
		if unusual {
			found = append(found, fmt.Sprintf("%s: some authenticator apps, Google's and Microsoft's among them on some systems, ignore it silently and show codes %s, which are wrong here", what, instead))
		}
	}
	warn(c.Algorithm != SHA1, "the algorithm "+string(c.Algorithm), "of SHA-1")
	warn(c.Digits != defaultDigits, fmt.Sprintf("%d digits", c.Digits), "of 6 digits")
	warn(c.Period != defaultPeriod, fmt.Sprintf("a period of %d seconds", c.Period/time.Second), "of 30 seconds")
	return found
}

func (c *Config) setDefaults() {
	if c.Algorithm == "" {
		c.Algorithm = SHA1
	}
	if c.Digits == 0 {
		c.Digits = defaultDigits
	}
	if c.Period == 0 {
		c.Period = defaultPeriod
	}
}

func (c *Config) check() error {
	return errors.Join(checkIssuer(c.Issuer), checkAlgorithm(c.Algorithm), checkDigits(c.Digits), checkPeriod(c.Period))
}

func checkIssuer(issuer string) error {
	switch {
	case strings.TrimSpace(issuer) == "":
		return errors.New("totp: an issuer is needed, the name that authenticator apps show")
	case len(issuer) > maxIssuer || !utf8.ValidString(issuer) || strings.ContainsFunc(issuer, unicode.IsControl):
		return fmt.Errorf("totp: an issuer has at most %d bytes of UTF-8 and no control characters", maxIssuer)
	}
	return nil
}

func checkAlgorithm(a Algorithm) error {
	if _, _, ok := a.parameters(); !ok {
		return fmt.Errorf("totp: the algorithm is %s, %s or %s, not %q", SHA1, SHA256, SHA512, a)
	}
	return nil
}

func checkDigits(n int) error {
	if n < minDigits || n > maxDigits {
		return fmt.Errorf("totp: a code has %d to %d digits, not %d", minDigits, maxDigits, n)
	}
	return nil
}

func checkPeriod(p time.Duration) error {
	if p < minPeriod || p > maxPeriod || p%time.Second != 0 {
		return fmt.Errorf("totp: a step takes %s to %s in whole seconds, not %s", minPeriod, maxPeriod, p)
	}
	return nil
}
