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

// parseMailbox accepts one addr-spec (RFC 5321 §4.1.2, Dot-string "@" Domain) and nothing around it.
func parseMailbox(address string, utf8Local bool) (watchword.Address, error) {
	if len(address) > maxMailbox {
		return watchword.Address{}, invalidRecipient("is longer than 254 octets")
	}
	local, domain, found := strings.Cut(address, "@")
	if !found || !validLocal(local, utf8Local) {
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
	// Hardly a mail host tells letter cases apart, so those who guess must not be able to either.
	return watchword.Address{Value: value, Key: lowerASCII(local) + "@" + domain, Masked: maskMailbox(local, domain), Kind: KindEmail}, nil
}

// validLocal accepts a Dot-string of atext (RFC 5322 §3.2.3), and beyond ASCII, where allowed, letters, marks and digits
// in Normalization Form C (RFC 6532 §3.1).
func validLocal(local string, utf8Local bool) bool {
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

// canonicalDomain returns a domain in lower-case A-labels. The profile maps nothing: the Kelvin sign and full-width
// letters are refused rather than read as the ASCII letters that they look like.
func canonicalDomain(domain string) (string, bool) {
	ascii, err := idna.Registration.ToASCII(lowerASCII(domain))
	if err != nil {
		return "", false
	}
	// The empty root label and a single label receive no mail, and a numeric last label belongs to an IPv4 address.
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
