package receipt

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/watchword-auth/watchword"
)

// maxLength of a receipt in bytes: what fits into a request to the server.
const maxLength = 64 << 10

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
	if len(token) > maxLength {
		return watchword.Claims{}, refuse("too long")
	}
	if strings.ContainsAny(token, "\r\n") { // which decoders of base64 skip, even strict ones
		return watchword.Claims{}, refuse("line break")
	}
	var p payload
	if _, err := r.parser.ParseWithClaims(token, &p, keys.find); err != nil {
		return watchword.Claims{}, reasonFor(err)
	}
	if err := checkShape(&p.claims); err != nil {
		return watchword.Claims{}, err
	}
	if err := checkTimes(&p.claims, r.now()); err != nil {
		return watchword.Claims{}, err
	}
	return p.claims, nil
}

// find is the jwt.Keyfunc: it decides about the whole header before a key is given out. Three parameters and no others,
// so that no token can bring its own key (jku, jwk, x5u, x5c) or ask for an extension (crit).
func (s keySet) find(token *jwt.Token) (any, error) {
	header, _, _ := strings.Cut(token.Raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil || checkNames(text) != nil {
		return nil, refuse("ambiguous header")
	}
	if typ, ok := token.Header["typ"].(string); !ok || typ != Type {
		return nil, refuse("not a receipt by its typ")
	}
	kid, ok := token.Header["kid"].(string)
	if !ok || len(token.Header) != headerParameters {
		return nil, refuse("other header parameters than alg, kid and typ")
	}
	public, ok := s[kid]
	if !ok {
		return nil, refused(errUnknownKey)
	}
	if token.Method != public.method {
		return nil, refuse("an algorithm that is not the key's")
	}
	return public.key, nil
}

// reasonFor keeps the reasons that were found here and replaces those of the JWT library, whose texts may quote the token.
func reasonFor(err error) error {
	var ours *watchword.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse("malformed")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuse("wrong signature or algorithm")
	default:
		return refuse("unknown algorithm")
	}
}

// refuse makes a watchword.ErrReceiptInvalid. A reason says what is wrong and repeats nothing of the receipt.
func refuse(reason string) error { return refused(errors.New(reason)) }

func refused(cause error) error {
	return &watchword.Error{Code: watchword.ErrReceiptInvalid.Code, Cause: cause}
}
