package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// What Standard Webhooks 1.0 ("Symmetric") asks of a secret, in bytes after decoding.
const (
	minSecret = 24
	maxSecret = 64
)

const secretPrefix = "whsec_"

// A Secret is shared with whoever receives the webhooks. Its bytes are held as a Code, so that no way of printing a
// Secret, or what holds one, shows them.
type Secret struct{ key watchword.Code }

// ParseSecret reads whsec_ and 24 to 64 bytes in base64; "v1," may stand in front, as in Supabase's settings. The error
// never repeats the text.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(strings.TrimPrefix(text, "v1,"), secretPrefix)
	if !ok {
		return Secret{}, errors.New("a secret begins with " + secretPrefix)
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return Secret{}, errors.New("what follows " + secretPrefix + " in a secret is base64")
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, errors.New("a secret has 24 to 64 bytes before it is put into base64")
	}
	return Secret{watchword.NewCode(string(key))}, nil
}

// Sign returns the value of HeaderSignature: one v1 signature (HMAC-SHA-256 over "id.timestamp.body", the time in
// seconds since 1970) for each secret, with spaces between. With the old secret beside the new one a receiver can
// change over whenever it likes.
func Sign(secrets []Secret, id string, at time.Time, body []byte) string {
	head := id + "." + strconv.FormatInt(at.Unix(), 10) + "."
	var out []byte
	for _, s := range secrets {
		mac := hmac.New(sha256.New, []byte(s.key.Reveal()))
		mac.Write([]byte(head))
		mac.Write(body)
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, "v1,"...)
		out = base64.StdEncoding.AppendEncode(out, mac.Sum(nil))
	}
	return string(out)
}
