package receipt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

func FuzzParse(fz *testing.F) {
	signer := mustSigner(fz, mustKey(fz, "k", receipt.EdDSA), mustKey(fz, "ec", receipt.ES256))
	genuine := mustSign(fz, signer, claims())
	parts := strings.Split(genuine, ".")
	fz.Add(genuine)
	fz.Add("..")
	fz.Add(segment(`{"alg":"none","kid":"k","typ":"verification-receipt+jwt"}`) + "." + parts[1] + ".")
	fz.Add(segment(`{"alg":"ES256","kid":"ec","typ":"verification-receipt+jwt"}`) + "." + parts[1] + "." + parts[2])
	fz.Add(parts[0] + "." + segment(`{"iss":[{}]}`) + "." + parts[2])
	fz.Fuzz(func(t *testing.T, token string) {
		got, err := signer.Parse(t.Context(), token)
		if err == nil && token != genuine {
			t.Fatalf("a receipt that was never signed: %+v", got)
		}
		if err != nil && !errors.Is(err, watchword.ErrReceiptInvalid) {
			t.Fatal(err)
		}
	})
}

// FuzzClaims signs arbitrary payloads, so that the reader sees claims that no Signer would sign.
func FuzzClaims(fz *testing.F) {
	f := newForger(fz)
	fz.Add(f.payload)
	fz.Add(`{"iss":"a","aud":"b","jti":"c","purpose":"d","strategy":"e","iat":1800000000,"exp":1800000001,"auth_time":1}`)
	fz.Add(`{"extra":{"a":[{"b":null}]},"transaction":{"":""}}`)
	fz.Fuzz(func(t *testing.T, payload string) {
		c, err := f.signer.Parse(t.Context(), f.signPayload(payload))
		if err != nil {
			if !errors.Is(err, watchword.ErrReceiptInvalid) {
				t.Fatal(err)
			}
			return
		}
		complete := c.Issuer != "" && c.Audience != "" && c.ID != "" && c.Purpose != "" && c.Strategy != "" && c.AuthTime > 0
		valid := c.IssuedAt <= instant.Unix()+60 && c.ExpiresAt > instant.Unix() && c.ExpiresAt-c.IssuedAt <= 600
		if !complete || !valid {
			t.Fatalf("accepted: %+v", c)
		}
	})
}

// FuzzJWKS parses key sets. A receipt by a key that is in none of them is refused.
func FuzzJWKS(fz *testing.F) {
	signer := mustSigner(fz, mustKey(fz, "k", receipt.EdDSA), mustKey(fz, "ec", receipt.ES256))
	foreign := mustSign(fz, mustSigner(fz, mustKey(fz, "k", receipt.EdDSA)), claims())
	fz.Add(signer.JWKS())
	fz.Add([]byte(`{"keys":[{"kty":"oct","kid":"k","alg":"EdDSA","use":"sig","crv":"Ed25519","x":""}]}`))
	fz.Fuzz(func(t *testing.T, jwks []byte) {
		config := receipt.VerifierConfig{Issuer: claims().Issuer, JWKS: append([]byte(" "), jwks...), Clock: clock}
		verifier, err := receipt.NewVerifier(config)
		if err != nil {
			return
		}
		if _, err = verifier.Verify(t.Context(), foreign, expect()); !errors.Is(err, watchword.ErrReceiptInvalid) {
			t.Fatalf("%v with %s", err, jwks)
		}
	})
}
