package totp

import (
	"net/url"
	"strconv"
	"strings"
)

// otpauthURI returns the key as an otpauth:// URI (Key URI Format). It is not built by a library, because those leave the
// issuer unescaped or encode a space as +, which apps show. The issuer is both the prefix of the account and a parameter. A
// colon in either is escaped; apps that unescape before they split show a shortened name, but the right codes.
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

// percentEncode escapes all but the unreserved characters of RFC 3986 §2.3. A space becomes %20.
func percentEncode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
