package webauthn

import (
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Limits of public keys. Neither go-webauthn nor the standard library limits the size of RSA keys, and a verification with a
// key of 250,000 bits takes seconds.
const (
	minModulus   = 2048 // bits
	maxModulus   = 4096
	maxExponent  = 3       // bytes: 65537 has three
	maxPublicKey = 2 << 10 // bytes of a COSE key of any type
)

// isAcceptedKey reports whether a COSE key may be enrolled: its algorithm is supported and the key is safe.
func isAcceptedKey(cose []byte) bool {
	if len(cose) > maxPublicKey {
		return false
	}
	var public webauthncose.PublicKeyData
	if err := webauthncbor.Unmarshal(cose, &public); err != nil {
		return false
	}
	return slices.Contains(supportedAlgorithms(), webauthncose.COSEAlgorithmIdentifier(public.Algorithm)) && isSafeKey(cose)
}

// isSafeKey reports whether go-webauthn can parse a COSE key, verifying with it takes bounded time, and only the owner of a
// private key can sign for it. go-webauthn itself checks curves, points and lengths.
func isSafeKey(cose []byte) bool {
	public, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return false
	}
	switch public := public.(type) {
	case webauthncose.RSAPublicKeyData:
		// go-webauthn checks the algorithms of the other key types only.
		return webauthncose.COSEAlgorithmIdentifier(public.Algorithm) == webauthncose.AlgRS256 && isSafeRSAKey(public.Modulus, public.Exponent)
	case webauthncose.OKPPublicKeyData:
		return !hasSmallOrder(public.XCoord)
	}
	return true
}

// isEC2Key reports whether a COSE key begins with the type EC2, as in CTAP2's canonical form (RFC 9053 §7.1). For these keys
// go-webauthn makes all checks that isSafeKey would.
func isEC2Key(cose []byte) bool {
	return len(cose) > 3 && cose[0]>>5 == 5 && cose[1] == 1 && cose[2] == 2
}

// isSafeRSAKey checks modulus and exponent, which have no leading zeros (RFC 8230 §4). With the exponent 1 a message is its own
// signature. An even exponent or modulus belongs to no valid key (RFC 8017 §3.1).
func isSafeRSAKey(modulus, exponent []byte) bool {
	if len(modulus) == 0 || len(exponent) == 0 || len(exponent) > maxExponent || modulus[0] == 0 || exponent[0] == 0 {
		return false
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	return n.BitLen() >= minModulus && n.BitLen() <= maxModulus && n.Bit(0) == 1 && e.Bit(0) == 1 && e.Int64() >= 3
}

// hasSmallOrder reports whether an Ed25519 key is one of the eight points of small order, in any encoding. Anyone can sign for
// them, because the term of the key vanishes from the verification equation. The constants are y coordinates in little-endian
// order without the sign bit of x (RFC 8032 §5.1.2).
func hasSmallOrder(key []byte) bool {
	const (
		zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		ones  = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	)
	y := slices.Clone(key)
	y[len(y)-1] &= 0x7f
	switch string(y) {
	case "\x00" + zeros + "\x00", "\x01" + zeros + "\x00", // order 4, and 1
		"\xec" + ones + "\x7f",                         // -1, order 2
		"\xed" + ones + "\x7f", "\xee" + ones + "\x7f", // 0 and 1, not reduced
		"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05", // order 8
		"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a":
		return true
	}
	return false
}
