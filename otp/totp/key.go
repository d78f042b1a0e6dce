package totp

import (
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lib "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// unpadded is base32 as otpauth:// URIs want it.
var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// A key is what a factor's Data holds. Its JSON form is sealed by the engine, and so is what BeginEnrol leaves in the
// challenge (then without the secret, which is derived).
type key struct {
	Secret    []byte    `json:"s,omitempty"`
	Algorithm Algorithm `json:"a"`
	Digits    int       `json:"d"`
	Period    int64     `json:"p,omitempty"` // seconds of a step; 0 for a counter

	// Next is the first step or counter that has not been spent: nothing before it passes.
	Next int64 `json:"n,omitempty"`
	// Drift is by how many steps the device's clock is off, as its last accepted code said.
	Drift int64 `json:"r,omitempty"`
	// Far is the last code that was right but too far off to pass; any other answer ends it.
	Far *far `json:"f,omitempty"`
}

// far says where a code was found that did not pass.
type far struct {
	At  int64 `json:"a"`           // its step or counter
	Off int64 `json:"o,omitempty"` // of a step: from the present one
}

// parseKey reads a factor's Data.
func parseKey(data []byte) (*key, error) {
	var k key
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("totp: a factor's data: %w", err)
	}
	if _, _, ok := k.Algorithm.hash(); !ok || len(k.Secret) == 0 || k.Digits < minDigits || k.Digits > maxDigits {
		return nil, errors.New("totp: a factor's data is incomplete")
	}
	return &k, nil
}

// data is what parseKey reads.
func (k *key) data() ([]byte, error) { return json.Marshal(k) }

// wellFormed reports whether a text could be one of the key's codes: so many ASCII digits and nothing else.
func (k *key) wellFormed(code string) bool {
	if len(code) != k.Digits {
		return false
	}
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return false
		}
	}
	return true
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
