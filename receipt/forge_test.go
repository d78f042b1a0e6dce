package receipt_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// A forgery is a token with the reason for its refusal.
type forgery struct{ name, token, reason string }

func (f *forger) headers() []forgery {
	public := f.private.Public().(ed25519.PublicKey)
	pkix, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		f.t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	_, otherKey, _ := ed25519.GenerateKey(nil)
	embedded := (&jose.SignerOptions{EmbedJWK: true}).WithType(receipt.Type)
	_, payload, signature := f.splitToken()
	const wrongAlg, ambiguous = "wrong signature or algorithm", "ambiguous header"
	const others, typ = "other header parameters than alg, kid and typ", "not a receipt by its typ"
	return []forgery{
		{"alg none", f.signWithHeader(`{"alg":"none","kid":"ed","typ":"verification-receipt+jwt"}`), wrongAlg},
		{"alg none, no signature", segment(`{"alg":"none","kid":"ed","typ":"verification-receipt+jwt"}`) + "." + payload + ".", wrongAlg},
		{"alg nOnE", f.signWithHeader(`{"alg":"nOnE","kid":"ed","typ":"verification-receipt+jwt"}`), "unknown algorithm"},
		{"alg missing", f.signWithHeader(`{"kid":"ed","typ":"verification-receipt+jwt"}`), "unknown algorithm"},
		{"alg empty", f.signWithHeader(`{"alg":"","kid":"ed","typ":"verification-receipt+jwt"}`), "unknown algorithm"},
		{"alg null", f.signWithHeader(`{"alg":null,"kid":"ed","typ":"verification-receipt+jwt"}`), "unknown algorithm"},
		{"alg a list", f.signWithHeader(`{"alg":["EdDSA"],"kid":"ed","typ":"verification-receipt+jwt"}`), "unknown algorithm"},
		{"HS256 with the public key", f.signWithHMAC(public), wrongAlg},
		{"HS256 with the public key's PEM", f.signWithHMAC(publicPEM), wrongAlg},
		{"HS256 with the JWKS", f.signWithHMAC(f.signer.JWKS()), wrongAlg},
		{"RS256", f.signWithHeader(`{"alg":"RS256","kid":"ed","typ":"verification-receipt+jwt"}`), wrongAlg},
		{"ES256 under the name of an Ed25519 key", f.signWithHeader(`{"alg":"ES256","kid":"ed","typ":"verification-receipt+jwt"}`), "an algorithm that is not the key's"},
		{"EdDSA under the name of a P-256 key", f.signWithHeader(`{"alg":"EdDSA","kid":"ec","typ":"verification-receipt+jwt"}`), "an algorithm that is not the key's"},
		{"ES256 signed by another key", f.signWithHeader(`{"alg":"ES256","kid":"ec","typ":"verification-receipt+jwt"}`), wrongAlg},
		{"typ JWT", f.signWithHeader(`{"alg":"EdDSA","kid":"ed","typ":"JWT"}`), typ},
		{"typ of other case", f.signWithHeader(`{"alg":"EdDSA","kid":"ed","typ":"Verification-Receipt+JWT"}`), typ},
		{"typ with application/", f.signWithHeader(`{"alg":"EdDSA","kid":"ed","typ":"application/verification-receipt+jwt"}`), typ},
		{"typ missing", f.signWithHeader(`{"alg":"EdDSA","kid":"ed"}`), typ},
		{"typ a list", f.signWithHeader(`{"alg":"EdDSA","kid":"ed","typ":["verification-receipt+jwt"]}`), typ},
		{"Typ", f.signWithHeader(`{"alg":"EdDSA","kid":"ed","Typ":"verification-receipt+jwt"}`), ambiguous},
		{"jku", f.signWithParameter(`"jku":"https://evil.example/jwks.json"`), others},
		{"x5u", f.signWithParameter(`"x5u":"https://evil.example/chain.pem"`), others},
		{"x5c", f.signWithParameter(`"x5c":["MIIB"]`), others},
		{"crit", f.signWithParameter(`"crit":["exp"]`), others},
		{"b64", f.signWithParameter(`"b64":false`), others},
		{"cty", f.signWithParameter(`"cty":"JWT"`), others},
		{"jwk, an embedded other key", f.signWithJOSE(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: otherKey, KeyID: "ed"}}, embedded), others},
		{"alg twice", f.signWithParameter(`"alg":"none"`), ambiguous},
		{"kid twice", f.signWithParameter(`"kid":"ec"`), ambiguous},
		{"kid missing", f.signWithHeader(`{"alg":"EdDSA","typ":"verification-receipt+jwt"}`), others},
		{"kid a number", f.signWithHeader(`{"alg":"EdDSA","kid":1,"typ":"verification-receipt+jwt"}`), others},
		{"kid null", f.signWithHeader(`{"alg":"EdDSA","kid":null,"typ":"verification-receipt+jwt"}`), others},
		{"kid empty", f.signWithHeader(`{"alg":"EdDSA","kid":"","typ":"verification-receipt+jwt"}`), "no such key"},
		{"kid of other case", f.signWithHeader(`{"alg":"EdDSA","kid":"ED","typ":"verification-receipt+jwt"}`), "no such key"},
		{"kid a path", f.signWithHeader(`{"alg":"EdDSA","kid":"../../dev/null","typ":"verification-receipt+jwt"}`), "no such key"},
		{"kid a query", f.signWithHeader(`{"alg":"EdDSA","kid":"x' UNION SELECT 'ed","typ":"verification-receipt+jwt"}`), "no such key"},
		{"kid with a NUL", f.signWithHeader(`{"alg":"EdDSA","kid":"ed\u0000","typ":"verification-receipt+jwt"}`), "no such key"},
		{"header null", segment("null") + "." + payload + "." + signature, "unknown algorithm"},
		{"header a list", segment(`[1]`) + "." + payload + "." + signature, "malformed"},
		{"header with a second document", f.signWithHeader(f.header + f.header), "malformed"},
	}
}

func (f *forger) bodies() []forgery {
	const ambiguous, otherType = "ambiguous claims", "a claim of another type"
	all := []forgery{
		{"aud a list", f.signWithClaim("aud", `["shop"]`), otherType},
		{"iat a text", f.signWithClaim("iat", `"1800000000"`), otherType},
		{"exp a fraction", f.signWithClaim("exp", `1800000060.5`), otherType},
		{"exp beyond 64 bits", f.signWithClaim("exp", `99999999999999999999`), otherType},
		{"exp beyond all bounds", f.signWithClaim("exp", `9223372036854775807`), "valid for too long"},
		{"iat before all bounds", f.signWithClaim("iat", `-9223372036854775808`), "iat is missing"},
		{"purpose null", f.signWithClaim("purpose", `null`), "purpose is missing"},
		{"purpose a list", f.signWithClaim("purpose", `["payment"]`), otherType},
		{"purpose twice", f.signPayload(`{"purpose":"sign_in",` + f.payload[1:]), ambiguous},
		{"Purpose", f.signPayload(f.payload[:len(f.payload)-1] + `,"Purpose":"sign_in"}`), ambiguous},
		{"iſs, which folds to iss", f.signPayload(f.payload[:len(f.payload)-1] + `,"iſs":"https://evil.example"}`), ambiguous},
		{"an escaped name twice", f.signPayload(f.payload[:len(f.payload)-1] + `,"s\u0075b":"user_1"}`), ambiguous},
		{"a name twice inside", f.signWithClaim("transaction", `{"amount":"1.00","amount":"40.00"}`), ambiguous},
		{"a name twice far inside", f.signWithClaim("extra", `{"a":[[{"b":1,"b":2}]]}`), ambiguous},
		{"payload null", f.signPayload(`null`), "iss is missing"},
		{"payload a list", f.signPayload(`[]`), ambiguous},
		{"payload a text", f.signPayload(`"iss"`), ambiguous},
		{"payload empty", f.signPayload(``), "malformed"},
		{"payload with a second document", f.signPayload(f.payload + `{}`), "malformed"},
		{"payload with a BOM", f.signPayload("\ufeff" + f.payload), "malformed"},
		{"payload nested without end", f.signPayload(strings.Repeat("[", 20_000)), "malformed"},
		{"no life", f.signWithTimes(0, 0, 0), "exp is not after iat"},
		{"expired", f.signWithTimes(-300, -1, -300), "expired"},
		{"expires now", f.signWithTimes(-300, 0, -300), "expired"},
		{"issued in the future", f.signWithTimes(61, 120, 0), "issued in the future"},
		{"valid for too long", f.signWithTimes(0, 601, 0), "valid for too long"},
		{"valid for a year", f.signWithTimes(-1000, 365*24*3600, 0), "valid for too long"},
		{"exp before iat", f.signWithTimes(0, -1, 0), "exp is not after iat"},
		{"answered after it was signed", f.signWithTimes(0, 300, 61), "auth_time is after iat"},
	}
	for _, name := range []string{"iss", "aud", "jti", "purpose", "strategy", "iat", "exp", "auth_time"} {
		all = append(all, forgery{"without " + name, f.signWithClaim(name, ""), name + " is missing"})
	}
	return all
}

func (f *forger) shapes() []forgery {
	header, payload, signature := f.splitToken()
	token := header + "." + payload + "." + signature
	raw, _ := base64.RawURLEncoding.DecodeString(signature)
	flipped := slices.Clone(raw)
	flipped[0] ^= 1
	const malformed, wrong = "malformed", "wrong signature or algorithm"
	return []forgery{
		{"empty", "", malformed},
		{"dots", "..", malformed},
		{"no signature", header + "." + payload + ".", wrong},
		{"signature cut off with its dot", header + "." + payload, malformed},
		{"truncated", header + "." + payload + "." + segment(string(raw[:60])), wrong},
		{"extended", header + "." + payload + "." + segment(string(raw)+"\x00"), wrong},
		{"one bit flipped", header + "." + payload + "." + segment(string(flipped)), wrong},
		{"signature of other claims", header + "." + segment(strings.Replace(f.payload, "user_42", "user_43", 1)) + "." + signature, wrong},
		{"signature with S + L", header + "." + payload + "." + segment(string(addOrder(raw))), wrong},
		{"signature's last bits", token[:len(token)-1] + nextSymbol(token[len(token)-1]), malformed},
		{"padding", token + "==", malformed},
		{"a fourth segment", token + ".", malformed},
		{"five segments", token + "." + header + "." + payload, malformed},
		{"trailing space", token + " ", malformed},
		{"leading space", " " + token, malformed},
		{"trailing newline", token + "\n", "line break"},
		{"a newline inside", header + "." + payload[:8] + "\r\n" + payload[8:] + "." + signature, "line break"},
		{"trailing NUL", token + "\x00", malformed},
		{"trailing JSON", token + `{"alg":"none"}`, malformed},
		{"full-width dots", strings.ReplaceAll(token, ".", "．"), malformed},
		{"a letter of another script", strings.Replace(token, "e", "е", 1), malformed},
		{"Bearer", "Bearer " + token, malformed},
		{"JSON serialization", `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`, malformed},
		{"too long", token + strings.Repeat("A", 64<<10), "too long"},
	}
}

// addOrder adds the group's order to S. The result satisfies the verification equation, and RFC 8032 §5.1.7 refuses it.
func addOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(signature[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return append(slices.Clone(signature[:32]), sum...)
}

// nextSymbol returns another encoding of the last symbol, whose low bits are unused.
func nextSymbol(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

// Signer.Parse and Verifier.Verify refuse each forgery for the expected reason and return no claims.
func TestVerifyRefusesForgedReceipts(t *testing.T) {
	f := newForger(t)
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: claims().Issuer, JWKS: f.signer.JWKS(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	parse := func(token string) (watchword.Claims, error) { return f.signer.Parse(t.Context(), token) }
	verify := func(token string) (watchword.Claims, error) { return verifier.Verify(t.Context(), token, expect()) }
	for name, verify := range map[string]func(string) (watchword.Claims, error){"Parse": parse, "Verify": verify} {
		if _, err := verify(f.signWithHeader(f.header)); err != nil {
			t.Fatalf("%s refuses what the forger did not spoil: %v", name, err)
		}
		for _, forged := range slices.Concat(f.headers(), f.bodies(), f.shapes()) {
			got, err := verify(forged.token)
			if !errors.Is(err, watchword.ErrReceiptInvalid) || err.Error() != "watchword: receipt invalid: "+forged.reason {
				t.Errorf("%s, %s: %v; want: %s", name, forged.name, err, forged.reason)
			}
			if got.Issuer != "" || got.Subject != "" || got.Purpose != "" {
				t.Errorf("%s, %s: gave out %+v", name, forged.name, got)
			}
		}
	}
}

func TestVerifyAcceptsReceiptsAtTheTimeLimits(t *testing.T) {
	f := newForger(t)
	for name, token := range map[string]string{
		"a minute ahead":            f.signWithTimes(60, 120, 60),
		"the longest life":          f.signWithTimes(0, 600, 0),
		"the last second":           f.signWithTimes(-599, 1, -599),
		"answered at another clock": f.signWithTimes(0, 300, 60),
		"collected late":            f.signWithTimes(0, 300, -1500),
	} {
		if _, err := f.signer.Parse(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An older verifier reads receipts of a newer server.
func TestVerifyIgnoresUnknownClaims(t *testing.T) {
	f := newForger(t)
	if _, err := f.signer.Parse(t.Context(), f.signWithClaim("assurance_level", `{"AAL":2}`)); err != nil {
		t.Error(err)
	}
}
