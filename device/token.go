package device

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/watchword-auth/watchword"
)

// A token is "dv_" and 70 characters of base64url: the id of the device in 16 bytes, its generation in 4, and a secret of 32 bytes that
// is derived from a key of the keyring, the device and the generation.
const (
	tokenPrefix  = "dv_"
	factorPrefix = "fa_"
	deviceSize   = 16
	secretSize   = 32
	headSize     = deviceSize + 4
)

var b64 = base64.RawURLEncoding.Strict()

// A parsedToken is what a token names. It proves nothing by itself.
type parsedToken struct {
	factor     string // id of the device's factor
	generation uint32
	secret     []byte
}

// parseToken parses the text of a cookie, and reports whether it has the form of a token.
func parseToken(text string) (parsedToken, bool) {
	encoded, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(encoded) != b64.EncodedLen(headSize+secretSize) {
		return parsedToken{}, false
	}
	raw, err := b64.DecodeString(encoded)
	if err != nil {
		return parsedToken{}, false
	}
	return parsedToken{factorID(raw[:deviceSize]), binary.BigEndian.Uint32(raw[deviceSize:]), raw[headSize:]}, true
}

func factorID(device []byte) string { return factorPrefix + b64.EncodeToString(device) }

// secretOf returns the secret of a generation of a device, and the id of the key that it is derived from; an empty key is the active
// one.
func secretOf(c *watchword.Challenge, key, factor string, generation uint32) (secret [secretSize]byte, keyID string, ok bool) {
	return c.DeriveForFactor(key, string(binary.BigEndian.AppendUint32([]byte("device token "), generation)), factor)
}

// formatToken returns the token of a generation of a device.
func formatToken(factor string, generation uint32, secret [secretSize]byte) watchword.Code {
	device, _ := b64.DecodeString(strings.TrimPrefix(factor, factorPrefix))
	raw := binary.BigEndian.AppendUint32(device, generation)
	return watchword.NewCode(tokenPrefix + b64.EncodeToString(append(raw, secret[:]...)))
}

func digest(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}
