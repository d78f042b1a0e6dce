package receipt_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
	"pgregory.net/rapid"
)

// instant is the present time in the tests.
var instant = time.Unix(1_800_000_000, 0)

func clock() time.Time { return instant }

func mustKey(t testing.TB, kid string, alg receipt.Algorithm) receipt.Key {
	t.Helper()
	key, err := receipt.GenerateKey(kid, alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustSigner(t testing.TB, keys ...receipt.Key) *receipt.Signer {
	t.Helper()
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: keys, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func mustSign(t testing.TB, signer *receipt.Signer, c watchword.Claims) string {
	t.Helper()
	token, err := signer.Sign(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims returns claims that are valid at instant, with every field set.
func claims() watchword.Claims {
	return watchword.Claims{
		Issuer: "https://verify.example.com", Audience: "shop", Subject: "user_42", ID: "ch_1",
		IssuedAt: instant.Unix(), ExpiresAt: instant.Add(5 * time.Minute).Unix(), AuthTime: instant.Unix() - 2,
		Purpose: "payment", Strategy: "otp", Channel: "sms", AMR: []string{"otp", "sms"}, SentTo: "+1 ••• ••• ••23",
		ACR: "phr", AddressHash: "hash", Factor: "fa_1", Nonce: "n-0S6_WzA2Mj",
		Transaction: map[string]string{"amount": "40.00", "payee": "ACME <GmbH> & Söhne"},
		Extra:       map[string]any{"backed_up": true},
	}
}

func algorithms(t *testing.T, test func(t *testing.T, alg receipt.Algorithm)) {
	for _, alg := range []receipt.Algorithm{receipt.EdDSA, receipt.ES256} {
		t.Run(string(alg), func(t *testing.T) { test(t, alg) })
	}
}

func TestParseReadsWhatSignWrites(t *testing.T) {
	algorithms(t, func(t *testing.T, alg receipt.Algorithm) {
		signer := mustSigner(t, mustKey(t, "k", alg))
		got, err := signer.Parse(t.Context(), mustSign(t, signer, claims()))
		if err != nil || !reflect.DeepEqual(got, claims()) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// go-jose verifies the receipts with the published keys.
func TestOtherLibraryAcceptsReceipts(t *testing.T) {
	algorithms(t, func(t *testing.T, alg receipt.Algorithm) {
		signer := mustSigner(t, mustKey(t, "2026-11", alg), mustKey(t, "2026-12", receipt.EdDSA))
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(signer.JWKS(), &set); err != nil || len(set.Keys) != 2 {
			t.Fatal(len(set.Keys), err)
		}
		for _, key := range set.Keys {
			if !key.Valid() || !key.IsPublic() || key.Use != "sig" {
				t.Errorf("key %q: valid %v, public %v, use %q", key.KeyID, key.Valid(), key.IsPublic(), key.Use)
			}
		}
		token := mustSign(t, signer, claims())
		signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		header := signed.Signatures[0].Protected
		if typ := header.ExtraHeaders[jose.HeaderType]; typ != receipt.Type || header.KeyID != "2026-11" || header.Algorithm != string(alg) {
			t.Errorf("typ %v, kid %q, alg %q", typ, header.KeyID, header.Algorithm)
		}
		payload, err := signed.Verify(set.Key(header.KeyID)[0])
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(claims()); string(payload) != string(want) {
			t.Errorf("the payload is not the JSON of the claims:\n%s\n%s", payload, want)
		}
	})
}

func TestParseAcceptsReceiptsOfEveryKey(t *testing.T) {
	march, april, may := mustKey(t, "march", receipt.EdDSA), mustKey(t, "april", receipt.ES256), mustKey(t, "may", receipt.EdDSA)
	before := mustSigner(t, march, april)
	during := mustSigner(t, april, march, may)
	after := mustSigner(t, may, april)
	old := mustSign(t, before, claims())
	if _, err := during.Parse(t.Context(), old); err != nil {
		t.Errorf("a receipt of the previous key: %v", err)
	}
	if _, err := after.Parse(t.Context(), old); !errors.Is(err, watchword.ErrReceiptInvalid) {
		t.Errorf("a receipt of a removed key: %v", err)
	}
	if _, err := before.Parse(t.Context(), mustSign(t, during, claims())); err != nil {
		t.Errorf("a receipt of an announced key: %v", err)
	}
}

func TestSignRefusesInvalidClaims(t *testing.T) {
	signer := mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	for name, spoil := range map[string]func(c *watchword.Claims){
		"issuer":        func(c *watchword.Claims) { c.Issuer = "" },
		"audience":      func(c *watchword.Claims) { c.Audience = "" },
		"id":            func(c *watchword.Claims) { c.ID = "" },
		"issued at":     func(c *watchword.Claims) { c.IssuedAt = 0 },
		"expires at":    func(c *watchword.Claims) { c.ExpiresAt = 0 },
		"auth time":     func(c *watchword.Claims) { c.AuthTime = 0 },
		"purpose":       func(c *watchword.Claims) { c.Purpose = "" },
		"strategy":      func(c *watchword.Claims) { c.Strategy = "" },
		"life too long": func(c *watchword.Claims) { c.ExpiresAt = c.IssuedAt + 601 },
		"no life":       func(c *watchword.Claims) { c.ExpiresAt = c.IssuedAt },
		"no JSON form":  func(c *watchword.Claims) { c.Extra = map[string]any{"f": func() {}} },
		"too long":      func(c *watchword.Claims) { c.Nonce = strings.Repeat("n", 64<<10) },
	} {
		c := claims()
		spoil(&c)
		if token, err := signer.Sign(t.Context(), c); err == nil {
			t.Errorf("%s: signed %s", name, token)
		}
	}
}

func TestNewSignerRefusesInvalidKeys(t *testing.T) {
	a, b := mustKey(t, "same", receipt.EdDSA), mustKey(t, "same", receipt.ES256)
	for name, keys := range map[string][]receipt.Key{"none": nil, "zero": {{}}, "one name": {a, b}} {
		if _, err := receipt.NewSigner(receipt.SignerConfig{Keys: keys}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// For any text that JSON can represent.
func TestParseReturnsEveryClaim(t *testing.T) {
	signer := mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringN(1, 40, 200)
		c := watchword.Claims{
			Issuer: text.Draw(r, "iss"), Audience: text.Draw(r, "aud"), Subject: text.Draw(r, "sub"), ID: text.Draw(r, "jti"),
			Purpose: text.Draw(r, "purpose"), Strategy: text.Draw(r, "strategy"), Nonce: text.Draw(r, "nonce"),
			AMR:         rapid.SliceOfN(text, 1, 4).Draw(r, "amr"),
			ACR:         text.Draw(r, "acr"),
			Transaction: rapid.MapOfN(text, text, 1, 4).Draw(r, "transaction"),
			AuthTime:    instant.Unix() + rapid.Int64Range(-900, 60).Draw(r, "auth_time"),
			IssuedAt:    instant.Unix() + rapid.Int64Range(0, 60).Draw(r, "iat"),
		}
		c.ExpiresAt = c.IssuedAt + rapid.Int64Range(1, 600).Draw(r, "life")
		token, err := signer.Sign(t.Context(), c)
		if err != nil {
			r.Fatal(err)
		}
		got, err := signer.Parse(t.Context(), token)
		if err != nil || !reflect.DeepEqual(got, c) {
			r.Fatalf("%+v became %+v, %v", c, got, err)
		}
	})
}

// Searches the output of every verb for the private key.
func TestPrintingKeyHidesThePrivateKey(t *testing.T) {
	algorithms(t, func(t *testing.T, alg receipt.Algorithm) {
		key := mustKey(t, "k", alg)
		secrets := secretForms(t, key)
		holder := struct {
			key  receipt.Key
			keys []receipt.Key
		}{key, []receipt.Key{key}}
		signer := mustSigner(t, key)
		encoded, _ := json.Marshal(map[string]any{"key": key})
		if string(encoded) != `{"key":{}}` {
			t.Errorf("JSON: %s", encoded)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q", "%t", "%p", "%z"} {
			if got := fmt.Sprintf(verb, key); verb != "%p" && got != `receipt key "k"` { // fmt calls no method for %p
				t.Errorf("%s: %s", verb, got)
			}
			shown := fmt.Sprintf(verb, key) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, &holder) + fmt.Sprintf(verb, signer) + fmt.Sprintf(verb, *signer)
			for _, secret := range secrets {
				if strings.Contains(shown, secret) {
					t.Errorf("%s shows the private key: %s", verb, shown)
				}
			}
		}
	})
}

// secretForms returns the beginning of the private key, or all of it, in the forms in which fmt would print it.
func secretForms(t *testing.T, key receipt.Key) []string {
	t.Helper()
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var secret []byte
	switch k := private.(type) {
	case ed25519.PrivateKey:
		secret = k.Seed()
	case *ecdsa.PrivateKey:
		if secret, err = k.Bytes(); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		strings.Trim(fmt.Sprint(secret[:8]), "[]"), string(secret[:8]), new(big.Int).SetBytes(secret).String(),
		fmt.Sprintf("%x", secret[:8]), fmt.Sprintf("%X", secret[:8]), strings.Trim(fmt.Sprintf("%#v", secret[:8]), "[]byte{}"),
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []receipt.Algorithm{receipt.EdDSA, receipt.ES256} {
		b.Run(string(alg), func(b *testing.B) {
			signer, c := mustSigner(b, mustKey(b, "2026-11", alg)), claims()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Sign(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, alg := range []receipt.Algorithm{receipt.EdDSA, receipt.ES256} {
		b.Run(string(alg), func(b *testing.B) {
			signer := mustSigner(b, mustKey(b, "2026-11", alg))
			token := mustSign(b, signer, claims())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Parse(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
