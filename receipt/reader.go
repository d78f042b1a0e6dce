package receipt

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/watchword-auth/watchword"
)

// maxReceiptSize is the maximum size of a receipt in bytes, so that it fits into a request to the server.
const maxReceiptSize = 64 << 10

// headerParameters is the number of header parameters: alg, kid and typ.
const headerParameters = 3

// errUnknownKey makes a Verifier fetch the keys again.
var errUnknownKey = errors.New("no such key")

// A reader verifies receipts and returns their claims: signed as a receipt by a key of the set with that key's algorithm,
// complete, and valid now. The caller compares the claims with its expectations.
type reader struct {
	parser *jwt.Parser
	now    func() time.Time
}

func newReader(clock func() time.Time) *reader {
	if clock == nil {
		clock = time.Now
	}
	return &reader{now: clock, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{string(EdDSA), string(ES256)}),
		jwt.WithStrictDecoding(),
		jwt.WithoutClaimsValidation(), // checkClaims and checkTimes do it, more strictly
	)}
}

func (r *reader) read(token string, keys keySet) (watchword.Claims, error) {
	if len(token) > maxReceiptSize {
		return watchword.Claims{}, invalidReceipt("too long")
	}
	if strings.ContainsAny(token, "\r\n") { // base64 decoders skip them, even strict ones
		return watchword.Claims{}, invalidReceipt("line break")
	}
	var p payload
	if _, err := r.parser.ParseWithClaims(token, &p, keys.lookUpKey); err != nil {
		return watchword.Claims{}, translateJWTError(err)
	}
	if err := checkClaims(&p.claims); err != nil {
		return watchword.Claims{}, err
	}
	if err := checkTimes(&p.claims, r.now()); err != nil {
		return watchword.Claims{}, err
	}
	return p.claims, nil
}

// lookUpKey is a jwt.Keyfunc. It validates the whole header before it returns a key. Other parameters than alg, kid and typ
// are refused, so that a token can neither bring its own key (jku, jwk, x5u, x5c) nor require an extension (crit).
func (s keySet) lookUpKey(token *jwt.Token) (any, error) {
	header, _, _ := strings.Cut(token.Raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil || checkUniqueNames(text) != nil {
		return nil, invalidReceipt("ambiguous header")
	}
	if typ, ok := token.Header["typ"].(string); !ok || typ != Type {
		return nil, invalidReceipt("not a receipt by its typ")
	}
	kid, ok := token.Header["kid"].(string)
	if !ok || len(token.Header) != headerParameters {
		return nil, invalidReceipt("other header parameters than alg, kid and typ")
	}
	public, ok := s[kid]
	if !ok {
		return nil, newReceiptError(errUnknownKey)
	}
	if token.Method != public.method {
		return nil, invalidReceipt("an algorithm that is not the key's")
	}
	return public.key, nil
}

// translateJWTError returns errors of this package unchanged and replaces those of the JWT library, which may quote the token.
func translateJWTError(err error) error {
	var ours *watchword.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return invalidReceipt("malformed")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return invalidReceipt("wrong signature or algorithm")
	default:
		return invalidReceipt("unknown algorithm")
	}
}

// invalidReceipt returns a watchword.ErrReceiptInvalid. The reason must not contain parts of the receipt.
func invalidReceipt(reason string) error { return newReceiptError(errors.New(reason)) }

func newReceiptError(cause error) error {
	return &watchword.Error{Code: watchword.ErrReceiptInvalid.Code, Cause: cause}
}
