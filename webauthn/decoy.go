package webauthn

import (
	"crypto/elliptic"
	"crypto/hmac"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// decoyKeys returns keys that do not exist, for a subject without keys. They are derived from the subject, so every challenge
// on every node lists the same ones. Their number, lengths and transports resemble those of common authenticators.
func (s *Strategy) decoyKeys(app, subject string) []*key {
	shapes := []struct {
		length     int // of the credential id, in bytes
		transports []string
	}{
		{16, []string{"internal", "hybrid"}}, // synced passkeys
		{16, []string{"internal", "hybrid"}},
		{20, []string{"internal", "hybrid"}},
		{20, []string{"hybrid", "internal"}},
		{32, []string{"internal"}}, // platform authenticators
		{32, []string{"internal"}},
		{48, []string{"nfc", "usb"}}, // security keys
		{64, []string{"usb"}},
	}
	draw := s.deriveBytes("decoy", app, subject)
	count := 1
	if draw[0] < 64 { // one subject in four has two
		count = 2
	}
	keys := make([]*key, count)
	for i := range keys {
		shape := shapes[int(draw[1+i])%len(shapes)]
		id := append(s.deriveBytes(fmt.Sprintf("decoy %d", i), app, subject), s.deriveBytes(fmt.Sprintf("decoy %d, the rest", i), app, subject)...)
		copy(id[decoyTagSize:], s.decoyTag(app, id))
		keys[i] = &key{ID: id[:shape.length], Transports: shape.transports}
	}
	return keys
}

// decoyTagSize is the length of the tag in a decoy's id, and its offset, in bytes. Without Config.Secret a tag looks random.
const decoyTagSize = 8

// decoyTag derives the tag of an id from the bytes before it.
func (s *Strategy) decoyTag(app string, id []byte) []byte {
	return s.deriveBytes("decoy mark", app, string(id[:decoyTagSize]))[:decoyTagSize]
}

// isDecoy reports whether an id is a decoy's. Registering such an id is refused, like registering the id of another subject's
// key: otherwise an attacker could learn by a registration whether a listed id is real.
func (s *Strategy) isDecoy(app string, id []byte) bool {
	return len(id) >= 2*decoyTagSize && hmac.Equal(id[decoyTagSize:2*decoyTagSize], s.decoyTag(app, id))
}

// placeholderKey returns the key against which an assertion is verified if the key that it names may not answer. The
// answer is refused in any case; verifying it anyway keeps the response time the same. The private key is 1.
func (s *Strategy) placeholderKey(app, subject string, id []byte) *key {
	g := elliptic.P256().Params()
	public, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: g.Gx.FillBytes(make([]byte, 32)), -3: g.Gy.FillBytes(make([]byte, 32))})
	if err != nil {
		panic(err) // integers and bytes can be encoded
	}
	return &key{ID: id, PublicKey: public, UserHandle: s.userHandle(app, subject), Verifies: true}
}
