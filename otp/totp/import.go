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

// minSecret is the least length of a secret that is taken over, in bytes (RFC 4226 R6). What is made here has 20 or more.
const minSecret = 16

// An ImportedDevice is a device that was enrolled with another system, and that its owner shall keep.
type ImportedDevice struct {
	Subject string
	ID      string // the other system's own, unique within the subject: importing twice gives the same factor
	Label   string
	Secret  watchword.Code // base32 of at least 128 bits; its case, its padding, spaces and hyphens do not matter

	Algorithm Algorithm     // default SHA1
	Digits    int           // default 6
	Period    time.Duration // TOTP: default 30 seconds
	Counter   int64         // HOTP: the next one that the other system would have accepted
}

// Import makes the factor of an authenticator app that was enrolled elsewhere. Nothing is stored, and no code has been
// proven: that its subject has this secret is the word of the other system.
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

// Import makes the factor of a token that was enrolled elsewhere, like Strategy.Import.
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

// decodeSecret reads base32 as people and other systems write it (RFC 4648 §6). Its error does not repeat the text.
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
