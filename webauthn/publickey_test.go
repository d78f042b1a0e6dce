package webauthn

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"fmt"
	"math/big"
	"testing"

	"github.com/watchword-auth/watchword"
)

// COSE names (RFC 9053).
const (
	okp, ec2, rsa                       = 1, 2, 3
	p256, p384, p521, x25519, ed25519ID = 1, 2, 3, 4, 6
)

func coseRSA(t *testing.T, modulus, exponent []byte) []byte {
	return encodeCBOR(t, map[int]any{1: rsa, 3: -257, -1: modulus, -2: exponent})
}

func coseEC(t *testing.T, algorithm, curve int, x, y any) []byte {
	return encodeCBOR(t, map[int]any{1: ec2, 3: algorithm, -1: curve, -2: x, -3: y})
}

func coseEd25519(t *testing.T, x []byte) []byte {
	return encodeCBOR(t, map[int]any{1: okp, 3: -8, -1: ed25519ID, -2: x})
}

// modulus returns an odd number of so many bits.
func modulus(bits int) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.SetBit(n, 0, 1).Bytes()
}

// unsafeKeys returns COSE keys for which nobody can sign or everybody can, or with which verifying takes too long.
func unsafeKeys(t *testing.T) map[string][]byte {
	t.Helper()
	usual := []byte{1, 0, 1}
	out := map[string][]byte{
		"RSA with 1024 bits":                  coseRSA(t, modulus(1024), usual),
		"RSA with 2047 bits":                  coseRSA(t, modulus(2047), usual),
		"RSA with 1024 bits after zeros":      coseRSA(t, append(make([]byte, 128), modulus(1024)...), usual),
		"RSA with 2048 bits after a zero":     coseRSA(t, append([]byte{0}, modulus(2048)...), usual),
		"RSA with 4097 bits":                  coseRSA(t, modulus(4097), usual),
		"RSA with 65536 bits":                 coseRSA(t, modulus(65536), usual),
		"RSA with an even modulus":            coseRSA(t, append(modulus(2048)[:255], 2), usual),
		"RSA without a modulus":               coseRSA(t, nil, usual),
		"RSA with a modulus of zeros":         coseRSA(t, make([]byte, 256), usual),
		"RSA with a large exponent":           coseRSA(t, modulus(2048), []byte{0x7f, 0xff, 0xff, 0xff}),
		"RSA with a zero before its exponent": coseRSA(t, modulus(2048), []byte{0, 3}),
		"RSA with many zeros before it":       coseRSA(t, modulus(2048), append(make([]byte, 9), 3)),
		"RSA without an exponent":             coseRSA(t, modulus(2048), nil),
		"P-256 key off the curve":             coseEC(t, -7, p256, bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{1}, 32)),
		"P-256 key at infinity":               coseEC(t, -7, p256, make([]byte, 32), make([]byte, 32)),
		"P-384 key at infinity":               coseEC(t, -35, p384, make([]byte, 48), make([]byte, 48)),
		"P-521 key at infinity":               coseEC(t, -36, p521, make([]byte, 66), make([]byte, 66)),
		"Ed25519 key of 31 bytes":             coseEd25519(t, bytes.Repeat([]byte{9}, 31)),
		"Ed25519 key of 33 bytes":             coseEd25519(t, bytes.Repeat([]byte{9}, 33)),
		"Ed25519 key without bytes":           coseEd25519(t, nil),
		"Ed25519 algorithm on another curve":  encodeCBOR(t, map[int]any{1: okp, 3: -8, -1: x25519, -2: bytes.Repeat([]byte{9}, 32)}),
		"Ed25519 algorithm without a curve":   encodeCBOR(t, map[int]any{1: okp, 3: -8, -2: bytes.Repeat([]byte{9}, 32)}),
		"RSA algorithm of an elliptic curve":  encodeCBOR(t, map[int]any{1: ec2, 3: -257, -1: p256, -2: make([]byte, 32), -3: make([]byte, 32)}),
		"a key of an elliptic curve, for RSA": encodeCBOR(t, map[int]any{1: rsa, 3: -7, -1: modulus(2048), -2: usual}),
		"a key with its type only":            encodeCBOR(t, map[int]any{1: rsa, 3: -257}),
	}
	for _, e := range []int64{0, 1, 2, 4, 65536, 1<<24 - 2} {
		out[fmt.Sprintf("RSA with the exponent %d", e)] = coseRSA(t, modulus(2048), append([]byte{}, big.NewInt(e).Bytes()...))
	}
	g := elliptic.P256().Params()
	x, y := g.Gx.FillBytes(make([]byte, 32)), g.Gy.FillBytes(make([]byte, 32))
	out["P-256 key without y"] = encodeCBOR(t, map[int]any{1: ec2, 3: -7, -1: p256, -2: x})
	out["P-256 key with the sign of y"] = coseEC(t, -7, p256, x, true)
	out["P-256 key with a zero before x"] = coseEC(t, -7, p256, append([]byte{0}, x...), y)
	out["P-256 key with a short x"] = coseEC(t, -7, p256, x[:31], y)
	out["P-256 key that is not reduced"] = coseEC(t, -7, p256, bytes.Repeat([]byte{0xff}, 32), y)
	out["P-256 key for ES384"] = coseEC(t, -35, p256, x, y)
	for n, point := range smallOrderPoints(t) {
		out[fmt.Sprintf("Ed25519 key of small order, %d", n)] = coseEd25519(t, point)
	}
	return out
}

// smallOrderPoints returns the points of small order on edwards25519, each with either sign, and their encodings that are
// not reduced.
func smallOrderPoints(t *testing.T) (out [][]byte) {
	t.Helper()
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		point, err := hex.DecodeString(y)
		if err != nil {
			t.Fatal(err)
		}
		signed := bytes.Clone(point)
		signed[31] |= 0x80
		out = append(out, point, signed)
	}
	return out
}

// forgedSignature returns a signature that an Ed25519 key of small order accepts for any message, or for one message in
// eight.
func forgedSignature() []byte {
	signature := make([]byte, ed25519.SignatureSize)
	signature[0] = 1
	return signature
}

// For every point a signature can be forged for at least one of 500 messages.
func TestIsSafeKeyRefusesEd25519KeysOfSmallOrder(t *testing.T) {
	for n, point := range smallOrderPoints(t) {
		signs := 0
		for text := range 500 {
			if ed25519.Verify(point, fmt.Append(nil, text), forgedSignature()) {
				signs++
			}
		}
		zeroX := n/2 == 1 || n/2 == 4 || n/2 == 6 // 0 has no other sign, so nothing can be signed by what says so
		if signs == 0 && !(zeroX && point[31]&0x80 != 0) {
			t.Errorf("point %d is listed, but no signature can be forged", n)
		}
		if isSafeKey(coseEd25519(t, point)) {
			t.Errorf("point %d is accepted", n)
		}
	}
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !isSafeKey(coseEd25519(t, public)) {
		t.Error("an ordinary key is refused")
	}
}

func TestVerifyEnrolRefusesUnsafeKeys(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	for name, cose := range unsafeKeys(t) {
		t.Run(name, func(t *testing.T) {
			k.t = t
			a := k.startChallenge(watchword.PurposeEnrol, "user_42")
			_, err := k.answer(a, d.create(a.options, func(c *ceremony) { c.tail = attestedCredentialData(d.aaguid, d.id, cose) }))
			k.wantRefusal(err, refusedAlgorithm)
		})
	}
	if factors, err := k.ListFactors(context.Background(), "user_42"); err != nil || len(factors) > 0 {
		t.Errorf("%d keys are enrolled, %v", len(factors), err)
	}
}

// Keys that were enrolled before enrolment checked this are refused. For some of them a forged signature would be right.
func TestVerifyRefusesUnsafeEnrolledKeys(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	enrolled := k.storedKey("user_42")
	challenge := b64.EncodeToString(make([]byte, 32))
	text := d.get(map[string]any{"challenge": challenge})
	for name, cose := range unsafeKeys(t) {
		used := *enrolled
		used.PublicKey = cose
		a, err := parseAssertion(text)
		if err != nil {
			t.Fatal(err)
		}
		a.Response.Signature = forgedSignature()
		want := refusedAlgorithm
		if isEC2Key(cose) { // go-webauthn detects it
			want = refusedSignature
		}
		if _, err := k.strategy.verifyAssertion(a, expectation{challenge: challenge, userVerified: true, subjectNamed: true}, &used); err != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// Sizes and exponents in common use, up to the limits.
func TestVerifyEnrolAcceptsCommonRSAKeys(t *testing.T) {
	for _, bits := range []int{2048, 3072, 4096} {
		for _, exponent := range [][]byte{{3}, {17}, {1, 0, 1}} {
			k := newKit(t)
			d := newDevice(t)
			k.enrol("user_42", d, func(c *ceremony) {
				c.tail = attestedCredentialData(d.aaguid, d.id, coseRSA(t, modulus(bits), exponent))
			})
		}
	}
}
