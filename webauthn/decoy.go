package webauthn

import "fmt"

// decoys are keys that do not exist, for a subject who has none. They are derived from the subject alone, so whoever asks
// again, on any node, sees the same ones. Their number, lengths and transports are like those of common authenticators.
func (s *Strategy) decoys(app, subject string) []*key {
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
	draw := s.derive("decoy", app, subject)
	count := 1
	if draw[0] < 64 { // one subject in four has two
		count = 2
	}
	keys := make([]*key, count)
	for i := range keys {
		shape := shapes[int(draw[1+i])%len(shapes)]
		id := append(s.derive(fmt.Sprintf("decoy %d", i), app, subject), s.derive(fmt.Sprintf("decoy %d, the rest", i), app, subject)...)
		keys[i] = &key{ID: id[:shape.length], Transports: shape.transports}
	}
	return keys
}
