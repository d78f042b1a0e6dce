package webauthn

import "github.com/go-webauthn/webauthn/protocol"

// maxStatementValue is the maximum size of each value in an attestation statement, in bytes. The largest are certificates.
const maxStatementValue = 4 << 10

// areStatementsBounded reports whether every value of an attestation statement, and of the parts of a compound one, is short
// enough. SafetyNet statements are longer; they are not supported, because Google has ended the service.
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

// isBounded reports whether every byte string and text in decoded CBOR is short enough.
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
