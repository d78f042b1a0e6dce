package totp

import (
	"net/url"
	"strconv"
	"strings"
)

// otpauthURI is the key in the form that authenticator apps read (Key URI Format). It is built here because libraries leave an
// issuer unescaped, or write a space as +, which apps show. The issuer stands in it twice, and equal: in front of the
// account and as a parameter. A colon in either is escaped like everything else: apps that unescape before they split
// show the name cut, but count the same codes.
func (k *key) otpauthURI(kind, issuer, account string) string {
	var b strings.Builder
	b.WriteString("otpauth://" + kind + "/" + percentEncode(issuer) + ":" + percentEncode(account))
	b.WriteString("?secret=" + unpaddedBase32.EncodeToString(k.Secret) + "&issuer=" + percentEncode(issuer))
	b.WriteString("&algorithm=" + string(k.Algorithm) + "&digits=" + strconv.Itoa(k.Digits))
	if k.Period == 0 {
		b.WriteString("&counter=" + strconv.FormatInt(k.NextCounter, 10))
	} else {
		b.WriteString("&period=" + strconv.FormatInt(k.Period, 10))
	}
	return b.String()
}

// percentEncode leaves nothing but the unreserved characters of RFC 3986 §2.3 as they are; a space becomes %20.
func percentEncode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
