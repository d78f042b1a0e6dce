package receipt_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/watchword-auth/watchword/receipt"
)

// A forger has the key of a Signer and signs by hand what the Signer would not.
type forger struct {
	t       testing.TB
	signer  *receipt.Signer
	private ed25519.PrivateKey
	header  string // of a genuine receipt
	payload string
}

// newForger returns a forger whose Signer has two keys: "ed", which signs, and "ec".
func newForger(t testing.TB) *forger {
	ed := mustKey(t, "ed", receipt.EdDSA)
	text, err := ed.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims())
	if err != nil {
		t.Fatal(err)
	}
	return &forger{
		t: t, signer: mustSigner(t, ed, mustKey(t, "ec", receipt.ES256)), private: private.(ed25519.PrivateKey),
		header: `{"alg":"EdDSA","kid":"ed","typ":"verification-receipt+jwt"}`, payload: string(payload),
	}
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign signs any header and payload.
func (f *forger) sign(header, payload string) string {
	text := segment(header) + "." + segment(payload)
	return text + "." + segment(string(ed25519.Sign(f.private, []byte(text))))
}

// signWithHeader signs the valid payload with another header.
func (f *forger) signWithHeader(header string) string { return f.sign(header, f.payload) }

// signWithParameter adds a parameter to the valid header.
func (f *forger) signWithParameter(parameter string) string {
	return f.signWithHeader(`{` + parameter + `,` + f.header[1:])
}

// signPayload signs another payload.
func (f *forger) signPayload(payload string) string { return f.sign(f.header, payload) }

// signWithClaim signs claims with one of them set to other JSON, or removed if that is empty.
func (f *forger) signWithClaim(name, value string) string {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(f.payload), &all); err != nil {
		f.t.Fatal(err)
	}
	delete(all, name)
	if value != "" {
		all[name] = json.RawMessage(value)
	}
	payload, err := json.Marshal(all)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.signPayload(string(payload))
}

// signWithTimes sets all three times, in seconds from instant.
func (f *forger) signWithTimes(iat, exp, authTime int64) string {
	c := claims()
	c.IssuedAt, c.ExpiresAt, c.AuthTime = instant.Unix()+iat, instant.Unix()+exp, instant.Unix()+authTime
	payload, err := json.Marshal(c)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.signPayload(string(payload))
}

// signWithJOSE signs the valid payload with go-jose, with another key or header.
func (f *forger) signWithJOSE(key jose.SigningKey, options *jose.SignerOptions) string {
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		f.t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(f.payload))
	if err != nil {
		f.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

// signWithHMAC signs with a public value as an HS256 secret and the kid of its key.
func (f *forger) signWithHMAC(secret []byte) string {
	key := jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: secret, KeyID: "ed"}}
	return f.signWithJOSE(key, (&jose.SignerOptions{}).WithType(receipt.Type))
}

// splitToken splits a valid token.
func (f *forger) splitToken() (header, payload, signature string) {
	parts := strings.Split(f.signWithHeader(f.header), ".")
	return parts[0], parts[1], parts[2]
}
