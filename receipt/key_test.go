package receipt_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/receipt"
)

func TestParseKeyReadsWhatPEMWrites(t *testing.T) {
	algorithms(t, func(t *testing.T, alg receipt.Algorithm) {
		key := mustKey(t, "2026-11", alg)
		text, err := key.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := receipt.ParseKey("2026-11", append(text, '\n'))
		if err != nil {
			t.Fatal(err)
		}
		if again.KID() != "2026-11" || !bytes.Equal(mustSigner(t, key).JWKS(), mustSigner(t, again).JWKS()) {
			t.Errorf("another key came back: %v", again)
		}
	})
}

func block(t *testing.T, label string, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func TestParseKeyRefusesInvalidKeys(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	x25519, _ := ecdh.X25519().GenerateKey(rand.Reader)
	good := block(t, "PRIVATE KEY", p256)
	for name, text := range map[string]string{
		"empty":             "",
		"not PEM":           "c2VjcmV0",
		"a public key":      block(t, "PUBLIC KEY", p256),
		"PKCS#1":            block(t, "RSA PRIVATE KEY", rsaKey),
		"SEC 1":             block(t, "EC PRIVATE KEY", p256),
		"encrypted":         block(t, "ENCRYPTED PRIVATE KEY", p256),
		"RSA":               block(t, "PRIVATE KEY", rsaKey),
		"P-384":             block(t, "PRIVATE KEY", p384),
		"X25519, for ECDH":  block(t, "PRIVATE KEY", x25519),
		"not DER":           string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})),
		"two keys":          good + good,
		"something behind":  good + "secret",
		"cut off":           good[:len(good)-10],
		"nothing but a dot": ".",
	} {
		key, err := receipt.ParseKey("k", []byte(text))
		if err == nil {
			t.Errorf("%s: %v", name, key)
		} else if !strings.Contains(err.Error(), `"k"`) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error must name the key and hold nothing of the file: %v", name, err)
		}
	}
}

func TestKeyNamesAreValidated(t *testing.T) {
	text, err := mustKey(t, "k", receipt.EdDSA).PEM()
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]bool{
		"2026-11": true, "A.b_c-9": true, strings.Repeat("k", 64): true,
		"": false, strings.Repeat("k", 65): false, "a b": false, `a"b`: false, "a/b": false, "ключ": false, "a\n": false,
	} {
		if _, err := receipt.ParseKey(kid, text); (err == nil) != want {
			t.Errorf("ParseKey(%q): %v", kid, err)
		}
		if _, err := receipt.GenerateKey(kid, receipt.EdDSA); (err == nil) != want {
			t.Errorf("GenerateKey(%q): %v", kid, err)
		}
	}
	if _, err := receipt.GenerateKey("k", "HS256"); err == nil {
		t.Error("made an HS256 key")
	}
	if _, err := (receipt.Key{}).PEM(); err == nil {
		t.Error("the zero Key has a PEM form")
	}
}
