package receipt

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/watchword-auth/watchword"
)

// maxReceiptSize of a receipt in bytes: what fits into a request to the server.
const maxReceiptSize = 64 << 10

// headerParameters are alg, kid and typ.
const headerParameters = 3

// errUnknownKey is the reason for which a Verifier asks for the keys again.
var errUnknownKey = errors.New("no such key")

// A reader turns receipts into claims. What it returns was signed by a key of the set, with that key's algorithm, as a
// receipt, is complete, and is valid now; what it says is for the caller to compare.
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
		jwt.WithoutClaimsValidation(), // checkShape and checkTimes are stricter
	)}
}

func (r *reader) read(token string, keys keySet) (watchword.Claims, error) {
	if len(token) > maxReceiptSize {
		return watchword.Claims{}, invalidReceipt("too long")
	}
	if strings.ContainsAny(token, "\r\n") { // which decoders of base64 skip, even strict ones
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

// lookUpKey is the jwt.Keyfunc: it decides about the whole header before a key is given out. Three parameters and no others,
// so that no token can bring its own key (jku, jwk, x5u, x5c) or ask for an extension (crit).
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

// translateJWTError keeps the reasons that were found here and replaces those of the JWT library, whose texts may quote the token.
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

// invalidReceipt makes a watchword.ErrReceiptInvalid. A reason says what is wrong and repeats nothing of the receipt.
func invalidReceipt(reason string) error { return newReceiptError(errors.New(reason)) }

func newReceiptError(cause error) error {
	return &watchword.Error{Code: watchword.ErrReceiptInvalid.Code, Cause: cause}
}
