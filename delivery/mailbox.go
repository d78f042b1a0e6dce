package delivery

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword"
)

const (
	maxMailbox = 254 // octets of a whole address, RFC 5321 §4.5.3.1.3 without the angle brackets
	maxLocal   = 64  // octets of a local part, RFC 5321 §4.5.3.1.1
)

// parseMailbox parses one addr-spec (RFC 5321 §4.1.2, Dot-string "@" Domain) without a display name, angle brackets or comments.
func parseMailbox(address string, utf8Local bool) (watchword.Address, error) {
	if len(address) > maxMailbox {
		return watchword.Address{}, invalidRecipient("is longer than 254 octets")
	}
	local, domain, found := strings.Cut(address, "@")
	if !found || !isValidLocal(local, utf8Local) {
		return watchword.Address{}, invalidRecipient("is not one plain e-mail address")
	}
	domain, ok := canonicalDomain(domain)
	if !ok {
		return watchword.Address{}, invalidRecipient("has a domain that cannot receive mail")
	}
	value := local + "@" + domain
	if len(value) > maxMailbox {
		return watchword.Address{}, invalidRecipient("is longer than 254 octets")
	}
	// Nearly all mail hosts ignore letter case, so spellings that differ in case share one failed-attempt limit.
	return watchword.Address{Value: value, Key: lowerASCII(local) + "@" + domain, Masked: maskMailbox(local, domain), Kind: KindEmail}, nil
}

// isValidLocal reports whether a local part is a Dot-string of atext (RFC 5322 §3.2.3). If utf8Local is true it may also
// contain non-ASCII letters, marks and digits in Normalization Form C (RFC 6532 §3.1).
func isValidLocal(local string, utf8Local bool) bool {
	if local == "" || len(local) > maxLocal || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	for _, r := range local {
		switch {
		case r >= utf8.RuneSelf:
			if !utf8Local || !unicode.In(r, unicode.L, unicode.M, unicode.Nd) {
				return false
			}
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r):
			return false
		}
	}
	return norm.NFC.IsNormalString(local)
}

// canonicalDomain returns a domain in lower-case A-labels. The IDNA profile maps nothing: the Kelvin sign and full-width
// letters are refused, not converted to the ASCII letters that they resemble.
func canonicalDomain(domain string) (string, bool) {
	ascii, err := idna.Registration.ToASCII(lowerASCII(domain))
	if err != nil {
		return "", false
	}
	// The root and single labels receive no mail. A numeric last label means an IPv4 address.
	dot := strings.LastIndexByte(ascii, '.')
	if dot <= 0 || strings.Trim(ascii[dot+1:], "0123456789") == "" {
		return "", false
	}
	return ascii, true
}

// lowerASCII lower-cases the letters A to Z and no others.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
