package receipt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// Type is the typ of every receipt, so that another JWT signed by the same keys is not accepted as one (RFC 8725 §3.11).
const Type = "verification-receipt+jwt"

// A SignerConfig configures a Signer.
type SignerConfig struct {
	// Keys has at least one key, with unique names. The first key signs. All keys verify and are published.
	Keys []Key
	// Clock returns the current time. The default is time.Now.
	Clock func() time.Time
}

// A Signer signs receipts, parses them and publishes the public keys. It implements watchword.Signer and is safe for
// concurrent use.
type Signer struct {
	active        Key
	encodedHeader string // the first segment of every receipt, with the dot
	keys          keySet
	jwks          []byte
	reader        *reader
}

var _ watchword.Signer = (*Signer)(nil)

// NewSigner returns a Signer, or an error if the keys are missing or not unique.
func NewSigner(c SignerConfig) (*Signer, error) {
	if len(c.Keys) == 0 {
		return nil, errors.New("receipt: a Signer needs a key")
	}
	s := &Signer{keys: keySet{}, reader: newReader(c.Clock)}
	var published jwks
	for _, k := range c.Keys {
		if k.private == nil {
			return nil, errors.New("receipt: a key was made neither by GenerateKey nor by ParseKey")
		}
		if _, duplicate := s.keys[k.kid]; duplicate {
			return nil, fmt.Errorf("receipt: two keys are named %q", k.kid)
		}
		s.keys[k.kid] = k.public
		public, err := newJWK(k.kid, k.public)
		if err != nil {
			return nil, err
		}
		published.Keys = append(published.Keys, public)
	}
	s.active = c.Keys[0]
	var err error
	if s.jwks, err = json.Marshal(published); err != nil {
		return nil, fmt.Errorf("receipt: JWKS: %w", err)
	}
	s.encodedHeader, err = encodeHeader(s.active)
	return s, err
}

// encodeHeader returns the encoded JOSE header (RFC 7515 §4.1) of the key's receipts, with the dot.
func encodeHeader(k Key) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": k.public.method.Alg(), "kid": k.kid, "typ": Type})
	if err != nil {
		return "", fmt.Errorf("receipt: header: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(header) + ".", nil
}

// Sign returns the receipt of the claims. It returns an error for claims that no Verifier would accept: a required claim is
// missing, or the receipt would be valid for longer than MaxLifetime. It makes no network requests.
func (s *Signer) Sign(_ context.Context, c watchword.Claims) (string, error) {
	if err := checkClaims(&c); err != nil {
		return "", fmt.Errorf("receipt: these claims must not be signed: %w", errors.Unwrap(err))
	}
	payload, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("receipt: the claims have no JSON form: %w", err)
	}
	encoding := base64.RawURLEncoding
	segment := make([]byte, 0, encoding.EncodedLen(len(payload)))
	var token strings.Builder // one buffer for what is signed and for the receipt, which begins with it
	token.Grow(len(s.encodedHeader) + cap(segment) + maxSignatureSegment)
	token.WriteString(s.encodedHeader)
	token.Write(encoding.AppendEncode(segment, payload))
	signature, err := s.active.public.method.Sign(token.String(), s.active.private())
	if err != nil {
		return "", fmt.Errorf("receipt: sign with key %q: %w", s.active.kid, err)
	}
	token.WriteByte('.')
	token.WriteString(encoding.EncodeToString(signature))
	if token.Len() > maxReceiptSize {
		return "", fmt.Errorf("receipt: the claims make a receipt of more than %d bytes", maxReceiptSize)
	}
	return token.String(), nil
}

// maxSignatureSegment is the length of a dot and an encoded signature: 64 bytes of Ed25519 (RFC 8032 §5.1.6) or of ES256 (RFC 7518 §3.4).
const maxSignatureSegment = 1 + 86

// Parse returns the claims of a receipt that one of the keys signed and that is valid now. Otherwise the error is
// watchword.ErrReceiptInvalid with a reason that contains nothing of the receipt. Parse does not compare issuer, audience or
// purpose; the caller has to.
func (s *Signer) Parse(_ context.Context, token string) (watchword.Claims, error) {
	return s.reader.read(token, s.keys)
}

// JWKS returns the public keys of all keys as a JSON Web Key Set (RFC 7517 §5). The caller must not modify it.
func (s *Signer) JWKS() []byte { return s.jwks }
