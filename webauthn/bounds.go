package webauthn

import "github.com/go-webauthn/webauthn/protocol"

// maxStatementValue is how long each part of an attestation statement may be, in bytes, certificates above all.
const maxStatementValue = 4 << 10

// areStatementsBounded looks at the sizes of an attestation statement, or of all that a compound one is made of. SafetyNet's
// is longer than that, and not offered: Google has ended the service.
func areStatementsBounded(a *protocol.AttestationObject) bool {
	if !isBounded(a.AttStatement) {
		return false
	}
	for _, sub := range a.SubStatements {
		if !isBounded(sub.AttStatement) {
			return false
		}
	}
	return true
}

// isBounded looks at every byte string and text of decoded CBOR.
func isBounded(v any) bool {
	switch v := v.(type) {
	case []byte:
		return len(v) <= maxStatementValue
	case string:
		return len(v) <= maxStatementValue
	case []any:
		for _, part := range v {
			if !isBounded(part) {
				return false
			}
		}
	case map[string]any:
		for _, part := range v {
			if !isBounded(part) {
				return false
			}
		}
	case map[any]any:
		for _, part := range v {
			if !isBounded(part) {
				return false
			}
		}
	}
	return true
}
