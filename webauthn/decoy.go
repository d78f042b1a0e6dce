package webauthn

import (
	"crypto/elliptic"
	"crypto/hmac"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// decoyKeys are keys that do not exist, for a subject who has none. They are derived from the subject alone, so whoever asks
// again, on any node, sees the same ones. Their number, lengths and transports are like those of common authenticators.
func (s *Strategy) decoyKeys(app, subject string) []*key {
	shapes := []struct {
		length     int // of the credential id, in bytes
		transports []string
	}{
		{16, []string{"internal", "hybrid"}}, // synced passkeys
		{16, []string{"internal", "hybrid"}},
		{20, []string{"internal", "hybrid"}},
		{20, []string{"hybrid", "internal"}},
		{32, []string{"internal"}}, // a computer's own
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

// decoyTagSize is where in a decoy's id its mark stands, which only this server can tell from chance.
const decoyTagSize = 8

// decoyTag is derived from what stands before it.
func (s *Strategy) decoyTag(app string, id []byte) []byte {
	return s.deriveBytes("decoy mark", app, string(id[:decoyTagSize]))[:decoyTagSize]
}

// isDecoy reports whether an id is a decoy's. Nobody can register such a key, as nobody can register one that is another
// subject's: else who tries with a listed id would learn which of the two it is.
func (s *Strategy) isDecoy(app string, id []byte) bool {
	return len(id) >= 2*decoyTagSize && hmac.Equal(id[decoyTagSize:2*decoyTagSize], s.decoyTag(app, id))
}

// placeholderKey is the key that an assertion is judged by when the one that it names may not answer, so that the time does not
// tell. Its private key is 1; right or wrong, the answer is refused.
func (s *Strategy) placeholderKey(app, subject string, id []byte) *key {
	g := elliptic.P256().Params()
	public, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: g.Gx.FillBytes(make([]byte, 32)), -3: g.Gy.FillBytes(make([]byte, 32))})
	if err != nil {
		panic(err) // integers and bytes can be encoded
	}
	return &key{ID: id, PublicKey: public, UserHandle: s.userHandle(app, subject), Verifies: true}
}
