package receipt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// verifyWithJOSE verifies a receipt with go-jose and makes the checks of a Verifier by hand. docs/receipts.md contains this
// code.
func verifyWithJOSE(token string, keys jose.JSONWebKeySet) (*watchword.Claims, error) {
	signed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, err
	}
	header := signed.Headers[0]
	if header.ExtraHeaders[jose.HeaderType] != "verification-receipt+jwt" {
		return nil, errors.New("not a receipt")
	}
	found := keys.Key(header.KeyID)
	if len(found) != 1 || found[0].Algorithm != header.Algorithm {
		return nil, errors.New("no such key")
	}
	var standard jwt.Claims
	var claims watchword.Claims // or a struct of your own
	if err := signed.Claims(found[0], &standard, &claims); err != nil {
		return nil, err
	}
	expected := jwt.Expected{Issuer: "https://verify.example.com", AnyAudience: jwt.Audience{"shop"}, Subject: "user_42", Time: time.Now()}
	if err := standard.ValidateWithLeeway(expected, time.Minute); err != nil {
		return nil, err
	}
	if claims.ExpiresAt <= time.Now().Unix() || claims.ExpiresAt-claims.IssuedAt > 600 {
		return nil, errors.New("expired, or valid for too long")
	}
	if claims.Purpose != "sign_in" || claims.Nonce != "session-7f3a" || len(claims.Transaction) > 0 {
		return nil, errors.New("for another purpose, session or transaction")
	}
	return &claims, nil
}

// Any JWT library can verify a receipt, with the published keys.
func ExampleSigner_otherLibrary() {
	signer, token, err := signInReceipt()
	if err != nil {
		log.Fatal(err)
	}
	var keys jose.JSONWebKeySet // from /.well-known/jwks.json
	if err := json.Unmarshal(signer.JWKS(), &keys); err != nil {
		log.Fatal(err)
	}
	claims, err := verifyWithJOSE(token, keys)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(claims.Subject, "proven by", claims.Strategy)

	_, err = verifyWithJOSE(token+"A", keys)
	fmt.Println(err)

	// Output:
	// user_42 proven by totp
	// go-jose/go-jose: error in cryptographic primitive
}

func signInReceipt() (*receipt.Signer, string, error) { return signInReceiptAt(time.Now()) }

func signInReceiptAt(at time.Time) (*receipt.Signer, string, error) {
	signer, err := newSigner()
	if err != nil {
		return nil, "", err
	}
	token, err := signReceipt(signer, at, func(*watchword.Claims) {})
	return signer, token, err
}
