package receipt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
)

// Type is the typ of every receipt (RFC 8725 §3.11), so that no other JWT under the same keys can pass for one.
const Type = "verification-receipt+jwt"

// A SignerConfig says what a Signer works with.
type SignerConfig struct {
	// Keys: the first one signs, all of them verify and are published. At least one, with names of their own.
	Keys []Key
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// A Signer makes receipts, reads them back and publishes the keys. It implements watchword.Signer and is safe for
// concurrent use.
type Signer struct {
	active        Key
	encodedHeader string // the first segment of everything it signs, and the dot
	keys          keySet
	jwks          []byte
	reader        *reader
}

// The seam that a Signer fills.
var _ watchword.Signer = (*Signer)(nil)

// NewSigner checks the keys and prepares what does not change: the header and the JWKS.
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
		if _, twice := s.keys[k.kid]; twice {
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

// encodeHeader encodes the JOSE header (RFC 7515 §4.1) of everything that the key signs.
func encodeHeader(k Key) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": k.public.method.Alg(), "kid": k.kid, "typ": Type})
	if err != nil {
		return "", fmt.Errorf("receipt: header: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(header) + ".", nil
}

// Sign returns the receipt of the claims. It refuses to sign what no verifier would accept: a required claim missing, or
// a life of more than MaxLifetime. It costs one signature and does not wait for anything.
func (s *Signer) Sign(_ context.Context, c watchword.Claims) (string, error) {
	if err := checkClaims(&c); err != nil {
		return "", fmt.Errorf("receipt: these claims must not be signed: %w", errors.Unwrap(err))
	}
	payload, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("receipt: the claims have no JSON form: %w", err)
	}
	encoding := base64.RawURLEncoding
	token := make([]byte, 0, len(s.encodedHeader)+encoding.EncodedLen(len(payload))+128) // 128: a dot and a signature
	token = encoding.AppendEncode(append(token, s.encodedHeader...), payload)
	signature, err := s.active.public.method.Sign(string(token), s.active.private())
	if err != nil {
		return "", fmt.Errorf("receipt: sign with key %q: %w", s.active.kid, err)
	}
	token = encoding.AppendEncode(append(token, '.'), signature)
	if len(token) > maxReceiptSize {
		return "", fmt.Errorf("receipt: the claims make a receipt of more than %d bytes", maxReceiptSize)
	}
	return string(token), nil
}

// Parse returns the claims of a receipt that one of the keys signed and that has not expired. Anything else is
// watchword.ErrReceiptInvalid with a reason, for logs, that holds nothing of the receipt. It compares neither issuer,
// audience nor purpose with anything: that is for whoever knows what to expect.
func (s *Signer) Parse(_ context.Context, token string) (watchword.Claims, error) {
	return s.reader.read(token, s.keys)
}

// JWKS returns the public halves of all keys, those that do not sign yet included, as a JSON Web Key Set (RFC 7517 §5).
// The caller must not change it.
func (s *Signer) JWKS() []byte { return s.jwks }
