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

// unpaddedBase32 is base32 as otpauth:// URIs want it.
var unpaddedBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// A key is what a factor's Data holds. The engine seals it, and so it does what BeginEnrol leaves in the challenge (then
// without the secret, which is derived).
type key struct {
	Secret    []byte
	Algorithm Algorithm
	Digits    int
	Period    int64 // seconds of a step; 0 for a counter

	// NextCounter is the first step or counter that has not been spent: nothing before it passes.
	NextCounter int64
	// Drift is where the centre of the window is, in steps from the present one: by how many the device's clock is off, as
	// two consecutive accepted codes said.
	Drift int64
	// LastOffset is the offset of the last accepted code from the step that was then present; 0 before the first.
	LastOffset int64
	// LastRefused is the last code that was right but too far off to pass; any other answer ends it.
	LastRefused *refusedCode
}

// refusedCode says where a code was found that did not pass.
type refusedCode struct {
	Counter int64 // its step or counter
	Offset  int64 // of a step: from the present one
}

// algorithms are numbered in a factor's data by their place, which must not change.
var algorithms = [...]Algorithm{SHA1, SHA256, SHA512}

// A factor's data is read and written with every check, so it is compact: a format number, then as varints the algorithm,
// digits, period, next, drift, last, and far's presence, step and offset; what is left is the secret.
const dataFormat = 2

// parseKey reads a factor's Data.
func parseKey(data []byte) (*key, error) {
	k, err := decodeKey(data)
	if err == nil && (len(k.Secret) == 0 || k.Digits < minDigits || k.Digits > maxDigits) {
		return nil, errors.New("totp: a factor's data is incomplete")
	}
	return k, err
}

// decodeKey reads what data has written, a key without its secret too.
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

// encode is what parseKey reads.
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

// generateCode is the one of a step or counter. The secret is encoded here, so the library cannot fail to decode it; an empty
// generateCode would equal none.
func (k *key) generateCode(encoded string, at int64) string {
	hash, _, _ := k.Algorithm.parameters()
	code, _ := hotp.GenerateCodeCustom(encoded, uint64(at), hotp.ValidateOpts{Digits: lib.Digits(k.Digits), Algorithm: hash})
	return code
}

// findCode looks for a code among those from a step or counter to another, both included, that are not spent. It compares
// with each, whatever it found before, so that the time says nothing about where.
func (k *key) findCode(code string, from, to int64) (at int64, ok bool) {
	encoded := unpaddedBase32.EncodeToString(k.Secret)
	found := 0
	for n := max(from, k.NextCounter); n <= to; n++ {
		equal := subtle.ConstantTimeCompare([]byte(k.generateCode(encoded, n)), []byte(code)) &^ found
		at = int64(subtle.ConstantTimeSelect(equal, int(n), int(at)))
		found |= equal
	}
	return at, found == 1
}

// stepAt is the number of whole periods since 1970 (RFC 6238 §4.2, T0 = 0).
func (k *key) stepAt(now time.Time) int64 { return now.Unix() / k.Period }
