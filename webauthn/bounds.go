package webauthn

import (
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Neither go-webauthn nor the standard library minds how large an RSA key is, and a large one makes every check slow: a
// quarter of a million bits, seconds.
const (
	minModulus  = 2048 / 8 // bytes
	maxModulus  = 4096 / 8
	maxExponent = 3       // bytes: 65537 has three
	maxPart     = 4 << 10 // bytes of each part of an attestation statement, certificates above all
	maxAttested = 2 << 10 // bytes of a public key in COSE form, of whatever kind
)

// usableSize reports whether a parsed public key is no more work than others.
func usableSize(public any) bool {
	rsa, ok := public.(webauthncose.RSAPublicKeyData)
	return !ok || len(rsa.Modulus) >= minModulus && len(rsa.Modulus) <= maxModulus && len(rsa.Exponent) <= maxExponent
}

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
