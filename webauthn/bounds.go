package webauthn

import "github.com/go-webauthn/webauthn/protocol"

// maxPart is how long each part of an attestation statement may be, in bytes, certificates above all.
const maxPart = 4 << 10

// statementsBounded looks at the sizes of an attestation statement, or of all that a compound one is made of. SafetyNet's
// is longer than that, and not offered: Google has ended the service.
func statementsBounded(a *protocol.AttestationObject) bool {
	if !bounded(a.AttStatement) {
		return false
	}
	for _, sub := range a.SubStatements {
		if !bounded(sub.AttStatement) {
			return false
		}
	}
	return true
}

// bounded looks at every byte string and text of decoded CBOR.
func bounded(v any) bool {
	switch v := v.(type) {
	case []byte:
		return len(v) <= maxPart
	case string:
		return len(v) <= maxPart
	case []any:
		for _, part := range v {
			if !bounded(part) {
				return false
			}
		}
	case map[string]any:
		for _, part := range v {
			if !bounded(part) {
				return false
			}
		}
	case map[any]any:
		for _, part := range v {
			if !bounded(part) {
				return false
			}
		}
	}
	return true
}
