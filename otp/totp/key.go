package totp

import (
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	lib "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// unpaddedBase32 is the encoding of secrets in otpauth:// URIs.
var unpaddedBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// A key is the data of a factor. During an enrolment its settings are the data of the challenge, without the secret, which is
// derived. The engine seals both.
type key struct {
	Secret    []byte
	Algorithm Algorithm
	Digits    int
	Period    int64 // seconds of a step; 0 for a counter

	// NextCounter is the first step or counter that is not spent. Codes of earlier ones are refused.
	NextCounter int64
	// Drift is the offset of the window's centre from the present step: how far the device's clock was off in two consecutive
	// accepted codes.
	Drift int64
	// LastOffset is the offset of the last accepted code from the step that was present then; 0 before the first.
	LastOffset int64
	// LastRefused is set while the last answer was a code of this key that was too far off to be accepted.
	LastRefused *refusedCode
}

// A refusedCode is a code of the key outside the accepted range.
type refusedCode struct {
	Counter int64 // its step or counter
	Offset  int64 // TOTP: in steps from the present step
}

// algorithms lists the algorithms. A factor's data holds the index, so the order must not change.
var algorithms = [...]Algorithm{SHA1, SHA256, SHA512}

// dataFormat is the first byte of a factor's data. Then follow as varints: algorithm, digits, period, NextCounter, Drift,
// LastOffset, 1 if there is a LastRefused or else 0, and its counter and offset. The rest is the secret.
const dataFormat = 2

// parseKey decodes a factor's data. Data without a secret is an error.
func parseKey(data []byte) (*key, error) {
	k, err := decodeKey(data)
	if err == nil && (len(k.Secret) == 0 || k.Digits < minDigits || k.Digits > maxDigits) {
		return nil, errors.New("totp: a factor's data is incomplete")
	}
	return k, err
}

// decodeKey decodes what encode returns, with or without a secret.
func decodeKey(data []byte) (*key, error) {
	if len(data) == 0 || data[0] != dataFormat {
		return nil, errors.New("totp: a factor's data is of another format")
	}
	var numbers [9]int64
	rest := data[1:]
	for i := range numbers {
		n, size := binary.Varint(rest)
		if size <= 0 {
			return nil, errors.New("totp: a factor's data is cut short")
		}
		numbers[i], rest = n, rest[size:]
	}
	k := &key{Secret: rest, Digits: int(numbers[1]), Period: numbers[2], NextCounter: numbers[3], Drift: numbers[4], LastOffset: numbers[5]}
	if numbers[6] == 1 {
		k.LastRefused = &refusedCode{Counter: numbers[7], Offset: numbers[8]}
	}
	if a := numbers[0]; a < 0 || a >= int64(len(algorithms)) {
		return nil, errors.New("totp: a factor's data has an algorithm that is unknown")
	}
	k.Algorithm = algorithms[numbers[0]]
	return k, nil
}

// encode returns the key as a factor's data.
func (k *key) encode() ([]byte, error) {
	algorithm := slices.Index(algorithms[:], k.Algorithm)
	if algorithm < 0 {
		return nil, fmt.Errorf("totp: the algorithm %q is unknown", k.Algorithm)
	}
	numbers := [9]int64{int64(algorithm), int64(k.Digits), k.Period, k.NextCounter, k.Drift, k.LastOffset}
	if k.LastRefused != nil {
		numbers[6], numbers[7], numbers[8] = 1, k.LastRefused.Counter, k.LastRefused.Offset
	}
	data := append(make([]byte, 0, 32+len(k.Secret)), dataFormat)
	for _, n := range numbers {
		data = binary.AppendVarint(data, n)
	}
	return append(data, k.Secret...), nil
}

// generateCode returns the code of a step or counter. secret is the key's secret in base32. The library fails only on invalid
// base32 and then returns an empty code, which equals no answer.
func (k *key) generateCode(secret string, at int64) string {
	hash, _, _ := k.Algorithm.parameters()
	code, _ := hotp.GenerateCodeCustom(secret, uint64(at), hotp.ValidateOpts{Digits: lib.Digits(k.Digits), Algorithm: hash})
	return code
}

// findCode searches the unspent steps or counters from one to another, both included, for a code. It always compares with all
// of them, so that the time does not depend on the position.
func (k *key) findCode(code string, from, to int64) (at int64, ok bool) {
	secret := unpaddedBase32.EncodeToString(k.Secret)
	found := 0
	for n := max(from, k.NextCounter); n <= to; n++ {
		equal := subtle.ConstantTimeCompare([]byte(k.generateCode(secret, n)), []byte(code)) &^ found
		at = int64(subtle.ConstantTimeSelect(equal, int(n), int(at)))
		found |= equal
	}
	return at, found == 1
}

// stepAt returns the number of whole periods since 1970 (RFC 6238 §4.2, T0 = 0).
func (k *key) stepAt(now time.Time) int64 { return now.Unix() / k.Period }
