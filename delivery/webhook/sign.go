package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The size of a decoded secret in bytes, by Standard Webhooks 1.0 ("Symmetric").
const (
	minSecret = 24
	maxSecret = 64
)

const secretPrefix = "whsec_"

// A Secret is a signing key that is shared with the receiver of webhooks. ParseSecret returns it. It cannot be printed.
type Secret struct {
	macs *sync.Pool // of HMAC-SHA-256 with the key, because keying one costs more than a sum
}

func newSecret(key []byte) Secret {
	return Secret{&sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sum returns the HMAC-SHA-256 of the parts together.
func (s Secret) sum(parts ...[]byte) []byte {
	mac := s.macs.Get().(hash.Hash)
	defer s.macs.Put(mac)
	mac.Reset()
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// ParseSecret parses a secret: "whsec_" followed by 24 to 64 bytes in base64. The prefix "v1,", as in Supabase's settings, is
// allowed. The error never contains the text.
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
	return newSecret(key), nil
}

// Sign returns the value of the header Webhook-Signature: for each secret one v1 signature, separated by spaces. A signature is
// the HMAC-SHA-256 of "id.timestamp.body", with the time in seconds since 1970. Sign with the old and the new secret while a
// receiver changes from one to the other.
func Sign(secrets []Secret, id string, at time.Time, body []byte) string {
	prefix := []byte(id + "." + strconv.FormatInt(at.Unix(), 10) + ".")
	var out []byte
	for _, s := range secrets {
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, "v1,"...)
		out = base64.StdEncoding.AppendEncode(out, s.sum(prefix, body))
	}
	return string(out)
}
