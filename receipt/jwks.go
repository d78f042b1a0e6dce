package receipt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// coordinateBytes is the length of a P-256 coordinate (RFC 7518 §6.2.1.2).
const coordinateBytes = 32

// A jwk is one public key (RFC 7517 §4). Ed25519 keys have x only (RFC 8037 §2), P-256 keys have x and y (RFC 7518 §6.2.1).
type jwk struct {
	KeyType   string    `json:"kty"`
	Curve     string    `json:"crv"`
	KID       string    `json:"kid"`
	Algorithm Algorithm `json:"alg"`
	Use       string    `json:"use"`
	X         string    `json:"x"`
	Y         string    `json:"y,omitempty"`
}

type jwks struct {
	Keys []jwk `json:"keys"`
}

// A keySet holds verification keys by kid. It is immutable.
type keySet map[string]publicKey

func newJWK(kid string, public publicKey) (jwk, error) {
	j := jwk{KID: kid, Algorithm: Algorithm(public.method.Alg()), Use: "sig"}
	switch key := public.key.(type) {
	case ed25519.PublicKey:
		j.KeyType, j.Curve, j.X = "OKP", "Ed25519", base64.RawURLEncoding.EncodeToString(key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4 | x | y (SEC 1 §2.3.3)
		if err != nil {
			return jwk{}, fmt.Errorf("receipt: key %q: %w", kid, err)
		}
		j.KeyType, j.Curve = "EC", "P-256"
		j.X = base64.RawURLEncoding.EncodeToString(point[1 : 1+coordinateBytes])
		j.Y = base64.RawURLEncoding.EncodeToString(point[1+coordinateBytes:])
	}
	return j, nil
}

// parse returns the verification key. ok is false for a key with another algorithm or use, which must be ignored (RFC 7517
// §5). A malformed key is an error.
func (j jwk) parse() (key publicKey, ok bool, err error) {
	if j.Use != "sig" || !isValidKID(j.KID) {
		return publicKey{}, false, nil
	}
	x, errX := base64.RawURLEncoding.DecodeString(j.X)
	y, errY := base64.RawURLEncoding.DecodeString(j.Y)
	malformed := fmt.Errorf("receipt: key %q of the JWKS is malformed", j.KID)
	switch {
	case j.KeyType == "OKP" && j.Curve == "Ed25519" && j.Algorithm == EdDSA:
		if errX != nil || len(x) != ed25519.PublicKeySize {
			return publicKey{}, false, malformed
		}
		key, err = newPublicKey(ed25519.PublicKey(x))
		return key, err == nil, err
	case j.KeyType == "EC" && j.Curve == "P-256" && j.Algorithm == ES256:
		if errX != nil || errY != nil || len(x) != coordinateBytes || len(y) != coordinateBytes {
			return publicKey{}, false, malformed
		}
		point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return publicKey{}, false, malformed
		}
		key, err = newPublicKey(point)
		return key, err == nil, err
	default:
		return publicKey{}, false, nil
	}
}

// parseJWKS parses a set of public keys. A set without a key that can verify receipts, or with two keys of the same kid, is an
// error, so that the Verifier keeps the previous set.
func parseJWKS(data []byte) (keySet, error) {
	var document jwks
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, errors.New("receipt: the JWKS is not a JSON document of the form of RFC 7517 §5")
	}
	set := keySet{}
	for _, j := range document.Keys {
		key, ok, err := j.parse()
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if _, duplicate := set[j.KID]; duplicate {
			return nil, fmt.Errorf("receipt: the JWKS has two keys %q", j.KID)
		}
		set[j.KID] = key
	}
	if len(set) == 0 {
		return nil, errors.New("receipt: the JWKS has no key that can verify a receipt")
	}
	return set, nil
}
