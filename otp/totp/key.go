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

// unpadded is base32 as otpauth:// URIs want it.
var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// A key is what a factor's Data holds. The engine seals it, and so it does what BeginEnrol leaves in the challenge (then
// without the secret, which is derived).
type key struct {
	Secret    []byte
	Algorithm Algorithm
	Digits    int
	Period    int64 // seconds of a step; 0 for a counter

	// Next is the first step or counter that has not been spent: nothing before it passes.
	Next int64
	// Drift is where the centre of the window is, in steps from the present one: by how many the device's clock is off, as
	// two consecutive accepted codes said.
	Drift int64
	// Last is the offset of the last accepted code from the step that was then present; 0 before the first.
	Last int64
	// Far is the last code that was right but too far off to pass; any other answer ends it.
	Far *far
}

// far says where a code was found that did not pass.
type far struct {
	At  int64 // its step or counter
	Off int64 // of a step: from the present one
}

// algorithms are numbered in a factor's data by their place, which must not change.
var algorithms = [...]Algorithm{SHA1, SHA256, SHA512}

// A factor's data is read and written with every check, so it is compact: a format number, then as varints the algorithm,
// digits, period, next, drift, last, and far's presence, step and offset; what is left is the secret.
const dataFormat = 2

// parseKey reads a factor's Data.
func parseKey(data []byte) (*key, error) {
	k, err := readKey(data)
	if err == nil && (len(k.Secret) == 0 || k.Digits < minDigits || k.Digits > maxDigits) {
		return nil, errors.New("totp: a factor's data is incomplete")
	}
	return k, err
}

// readKey reads what data has written, a key without its secret too.
func readKey(data []byte) (*key, error) {
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
	k := &key{Secret: rest, Digits: int(numbers[1]), Period: numbers[2], Next: numbers[3], Drift: numbers[4], Last: numbers[5]}
	if numbers[6] == 1 {
		k.Far = &far{At: numbers[7], Off: numbers[8]}
	}
	if a := numbers[0]; a < 0 || a >= int64(len(algorithms)) {
		return nil, errors.New("totp: a factor's data has an algorithm that is unknown")
	}
	k.Algorithm = algorithms[numbers[0]]
	return k, nil
}

// data is what parseKey reads.
func (k *key) data() ([]byte, error) {
	algorithm := slices.Index(algorithms[:], k.Algorithm)
	if algorithm < 0 {
		return nil, fmt.Errorf("totp: the algorithm %q is unknown", k.Algorithm)
	}
	numbers := [9]int64{int64(algorithm), int64(k.Digits), k.Period, k.Next, k.Drift, k.Last}
	if k.Far != nil {
		numbers[6], numbers[7], numbers[8] = 1, k.Far.At, k.Far.Off
	}
	data := append(make([]byte, 0, 32+len(k.Secret)), dataFormat)
	for _, n := range numbers {
		data = binary.AppendVarint(data, n)
	}
	return append(data, k.Secret...), nil
}

// code is the one of a step or counter. The secret is encoded here, so the library cannot fail to decode it; an empty
// code would equal none.
func (k *key) code(encoded string, at int64) string {
	hash, _, _ := k.Algorithm.hash()
	code, _ := hotp.GenerateCodeCustom(encoded, uint64(at), hotp.ValidateOpts{Digits: lib.Digits(k.Digits), Algorithm: hash})
	return code
}

// find looks for a code among those from a step or counter to another, both included, that are not spent. It compares
// with each, whatever it found before, so that the time says nothing about where.
func (k *key) find(code string, from, to int64) (at int64, ok bool) {
	encoded := unpadded.EncodeToString(k.Secret)
	found := 0
	for n := max(from, k.Next); n <= to; n++ {
		equal := subtle.ConstantTimeCompare([]byte(k.code(encoded, n)), []byte(code)) &^ found
		at = int64(subtle.ConstantTimeSelect(equal, int(n), int(at)))
		found |= equal
	}
	return at, found == 1
}

// step is the number of whole periods since 1970 (RFC 6238 §4.2, T0 = 0).
func (k *key) step(now time.Time) int64 { return now.Unix() / k.Period }
