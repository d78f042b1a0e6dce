package totp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// minSecret is the minimum length of an imported secret, in bytes (RFC 4226 R6). Secrets of this package have 20 or more.
const minSecret = 16

// An ImportedDevice describes a device that was enrolled with another system.
type ImportedDevice struct {
	Subject string
	ID      string // in the other system, unique within the subject; a second import returns a factor with the same id
	Label   string
	Secret  watchword.Code // base32 of at least 128 bits; case, padding, spaces and hyphens do not matter

	Algorithm Algorithm     // default SHA1
	Digits    int           // default 6
	Period    time.Duration // TOTP: default 30 seconds
	Counter   int64         // HOTP: the next counter that the other system would accept
}

// Import returns the factor of an authenticator app that was enrolled with another system. It stores nothing and verifies no
// code: the caller vouches that the subject has the secret.
func (s *Strategy) Import(e ImportedDevice) (watchword.Factor, error) {
	if e.Period == 0 {
		e.Period = defaultPeriod
	}
	if e.Counter != 0 {
		return watchword.Factor{}, errors.New("totp: a counter belongs to hotp")
	}
	if err := checkPeriod(e.Period); err != nil {
		return watchword.Factor{}, err
	}
	return e.toFactor(s.Name())
}

// Import returns the factor of a token that was enrolled with another system, like Strategy.Import.
func (s *HOTP) Import(e ImportedDevice) (watchword.Factor, error) {
	if e.Period != 0 || e.Algorithm != "" && e.Algorithm != SHA1 || e.Counter < 0 {
		return watchword.Factor{}, errors.New("totp: a counting token has no period, a counter of 0 or more, and SHA-1")
	}
	return e.toFactor(s.Name())
}

func (e ImportedDevice) toFactor(strategy string) (watchword.Factor, error) {
	k := &key{Algorithm: e.Algorithm, Digits: e.Digits, Period: int64(e.Period / time.Second), NextCounter: e.Counter}
	if k.Algorithm == "" {
		k.Algorithm = SHA1
	}
	if k.Digits == 0 {
		k.Digits = defaultDigits
	}
	var wrong error
	if e.Subject == "" || e.ID == "" {
		wrong = errors.New("totp: an existing device needs its subject and an id")
	}
	secret, err := decodeSecret(e.Secret.Reveal())
	if err := errors.Join(wrong, err, checkAlgorithm(k.Algorithm), checkDigits(k.Digits)); err != nil {
		return watchword.Factor{}, err
	}
	k.Secret = secret
	data, err := k.encode()
	id := sha256.Sum256([]byte(strconv.Quote(strategy) + strconv.Quote(e.Subject) + strconv.Quote(e.ID)))
	return watchword.Factor{ID: formatFactorID(id[:]), Subject: e.Subject, Strategy: strategy, Label: e.Label, Data: data}, err
}

// decodeSecret decodes base32 (RFC 4648 §6) in any case, with or without padding, spaces and hyphens. The error does not
// contain the text.
func decodeSecret(text string) ([]byte, error) {
	text = strings.NewReplacer(" ", "", "-", "").Replace(text)
	text = strings.ToUpper(strings.TrimRight(text, "="))
	secret, err := unpaddedBase32.DecodeString(text)
	if err != nil {
		return nil, errors.New("totp: the secret is not base32")
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("totp: the secret has %d bits; at least %d are needed (RFC 4226 R6)", 8*len(secret), 8*minSecret)
	}
	return secret, nil
}
