package receipt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// An Algorithm is a signature algorithm, by its name in RFC 7518 §3.1 and RFC 8037 §3.1.
type Algorithm string

// The algorithms. EdDSA is recommended: its keys are short, it needs no random number to sign, and it is the fastest.
const (
	EdDSA Algorithm = "EdDSA" // Ed25519
	ES256 Algorithm = "ES256" // ECDSA on P-256 with SHA-256, for apps whose JWT library has no EdDSA
)

// pemType is the label of an unencrypted PKCS#8 private key (RFC 7468 §10).
const pemType = "PRIVATE KEY"

// A Key is a private key with a name (kid). The type of the key determines the algorithm. Package fmt prints the name only.
type Key struct {
	kid     string
	public  publicKey
	private func() crypto.Signer // a closure, so that fmt cannot print the key; nil in the zero Key
}

// A publicKey is a verification key and its only signing method.
type publicKey struct {
	method jwt.SigningMethod
	key    crypto.PublicKey // ed25519.PublicKey or *ecdsa.PublicKey
}

// GenerateKey returns a new key. kid is its name in the JWKS and in receipts: 1 to 64 letters, digits, dots, hyphens and
// underscores, for example a date.
func GenerateKey(kid string, alg Algorithm) (Key, error) {
	switch alg {
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return Key{}, fmt.Errorf("receipt: generate key: %w", err)
		}
		return newKey(kid, private)
	case ES256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return Key{}, fmt.Errorf("receipt: generate key: %w", err)
		}
		return newKey(kid, private)
	default:
		return Key{}, errors.New("receipt: the algorithm of a key is EdDSA or ES256")
	}
}

// ParseKey parses an unencrypted PKCS#8 private key (RFC 5958) from one PEM block, as Key.PEM and openssl genpkey write it. The
// key must be Ed25519 or ECDSA on P-256. Errors contain kid and never the key.
func ParseKey(kid string, text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return Key{}, fmt.Errorf("receipt: key %q: no PEM block %q", kid, pemType)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, fmt.Errorf("receipt: key %q: more than one PEM block", kid)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("receipt: key %q: not a PKCS#8 private key", kid)
	}
	return newKey(kid, private)
}

func newKey(kid string, private any) (Key, error) {
	if !isValidKID(kid) {
		return Key{}, errors.New("receipt: a key's kid has 1 to 64 letters, digits, dots, hyphens and underscores")
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return Key{}, fmt.Errorf("receipt: key %q cannot sign", kid)
	}
	public, err := newPublicKey(signer.Public())
	if err != nil {
		return Key{}, fmt.Errorf("receipt: key %q: %w", kid, err)
	}
	return Key{kid: kid, public: public, private: func() crypto.Signer { return signer }}, nil
}

// newPublicKey returns a key with its only signing method (RFC 8725 §3.1).
func newPublicKey(key crypto.PublicKey) (publicKey, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return publicKey{method: jwt.SigningMethodEdDSA, key: k}, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return publicKey{method: jwt.SigningMethodES256, key: k}, nil
		}
	}
	return publicKey{}, errors.New("neither Ed25519 nor ECDSA on P-256")
}

// KID returns the key's name; empty for the zero Key.
func (k Key) KID() string { return k.kid }

// PEM returns the private key as one PEM block of PKCS#8. Store it in a file that only the server can read.
func (k Key) PEM() ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("receipt: the zero Key has no PEM form")
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private())
	if err != nil {
		return nil, fmt.Errorf("receipt: key %q: %w", k.kid, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// Format implements fmt.Formatter. It prints the name only, for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "receipt key %q", k.kid) }

// isValidKID reports whether a name needs no escaping in JSON, in logs and in the configuration.
func isValidKID(kid string) bool {
	if kid == "" || len(kid) > 64 {
		return false
	}
	for _, c := range []byte(kid) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
