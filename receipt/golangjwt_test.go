package receipt_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// receiptClaims are the claims of a receipt for golang-jwt. docs/receipts.md contains this and the next two functions.
type receiptClaims struct {
	jwt.RegisteredClaims
	AuthTime    *jwt.NumericDate  `json:"auth_time"`
	Purpose     string            `json:"purpose"`
	Strategy    string            `json:"strategy"`
	Nonce       string            `json:"nonce"`
	Transaction map[string]string `json:"transaction"`
}

func parseKeys(jwks []byte) (map[string]ed25519.PublicKey, error) {
	var set struct {
		Keys []struct{ Alg, Kid, X string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		if x, err := base64.RawURLEncoding.DecodeString(k.X); err == nil && k.Alg == "EdDSA" && len(x) == ed25519.PublicKeySize {
			keys[k.Kid] = x
		}
	}
	return keys, nil
}

func verifyWithGolangJWT(token string, keys map[string]ed25519.PublicKey) (*receiptClaims, error) {
	var c receiptClaims
	_, err := jwt.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if t.Header["typ"] != "verification-receipt+jwt" || keys[kid] == nil {
			return nil, errors.New("not a receipt, or no such key")
		}
		return keys[kid], nil
	}, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer("https://verify.example.com"), jwt.WithAudience("shop"), jwt.WithSubject("user_42"),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(time.Minute))
	if err != nil {
		return nil, err
	}
	if c.ID == "" || c.IssuedAt == nil || c.AuthTime == nil || c.Strategy == "" || len(c.Audience) != 1 {
		return nil, errors.New("a claim is missing, or there are several audiences")
	}
	if !time.Now().Before(c.ExpiresAt.Time) || c.ExpiresAt.Sub(c.IssuedAt.Time) > 10*time.Minute {
		return nil, errors.New("expired, or valid for too long")
	}
	if c.Purpose != "sign_in" || c.Nonce != "session-7f3a" || len(c.Transaction) > 0 {
		return nil, errors.New("for another purpose, session or transaction")
	}
	return &c, nil
}

// otherLibraries are the functions of docs/receipts.md that verify a receipt with the published keys.
var otherLibraries = map[string]func(token string, jwks []byte) error{
	"go-jose": func(token string, jwks []byte) error {
		var keys jose.JSONWebKeySet
		if err := json.Unmarshal(jwks, &keys); err != nil {
			return err
		}
		_, err := verifyWithJOSE(token, keys)
		return err
	},
	"golang-jwt": func(token string, jwks []byte) error {
		keys, err := parseKeys(jwks)
		if err != nil {
			return err
		}
		_, err = verifyWithGolangJWT(token, keys)
		return err
	},
}

// The server's clock may be a minute ahead, and a receipt ends when it says so.
func TestOtherLibrariesAcceptReceiptsWithinTolerance(t *testing.T) {
	t.Parallel()
	for name, verify := range otherLibraries {
		for ahead, accept := range map[time.Duration]bool{0: true, time.Second: true, 50 * time.Second: true, -50 * time.Second: true,
			10 * time.Minute: false, -310 * time.Second: false} {
			signer, token, err := signInReceiptAt(time.Now().Add(ahead))
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(token, signer.JWKS()); (err == nil) != accept {
				t.Errorf("%s, %s ahead: %v", name, ahead, err)
			}
		}
	}
}

func TestOtherLibrariesRefuseReceiptsForSomethingElse(t *testing.T) {
	t.Parallel()
	signer, right, err := signInReceipt()
	if err != nil {
		t.Fatal(err)
	}
	header, rest, _ := strings.Cut(right, ".")
	payload, _, _ := strings.Cut(rest, ".")
	other, foreign, err := signInReceipt()
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{"another server's": foreign, "unsigned": header + "." + payload + ".", "changed": right[:len(right)-8] + "AAAAAAAA", "no token": "x"}
	for name, change := range map[string]func(*watchword.Claims){
		"another purpose":  func(c *watchword.Claims) { c.Purpose = "mfa" },
		"another subject":  func(c *watchword.Claims) { c.Subject = "user_43" },
		"another audience": func(c *watchword.Claims) { c.Audience = "bank" },
		"another issuer":   func(c *watchword.Claims) { c.Issuer = "https://verify.example.net" },
		"another nonce":    func(c *watchword.Claims) { c.Nonce = "other" },
		"a transaction":    func(c *watchword.Claims) { c.Transaction = map[string]string{"amount": "1.00"} },
	} {
		if tokens[name], err = signReceipt(signer, time.Now(), change); err != nil {
			t.Fatal(err)
		}
	}
	for library, verify := range otherLibraries {
		if err := verify(right, signer.JWKS()); err != nil {
			t.Errorf("%s: %v", library, err)
		}
		for name, token := range tokens {
			if verify(token, signer.JWKS()) == nil {
				t.Errorf("%s accepts a receipt that is %s", library, name)
			}
		}
		if err := verify(foreign, other.JWKS()); err != nil {
			t.Errorf("%s: %v", library, err)
		}
	}
}

// signReceipt signs a receipt for signing in, with changes.
func signReceipt(signer *receipt.Signer, at time.Time, change func(*watchword.Claims)) (string, error) {
	now := at.Unix()
	c := watchword.Claims{Issuer: "https://verify.example.com", Audience: "shop", Subject: "user_42", ID: "ch_1", IssuedAt: now, ExpiresAt: now + 300,
		AuthTime: now, Purpose: "sign_in", Strategy: "totp", AMR: []string{"otp"}, Nonce: "session-7f3a"}
	change(&c)
	return signer.Sign(context.Background(), c)
}
