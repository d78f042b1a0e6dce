package watchword

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// An EventSealer encrypts the events of one app that wait in an EventQueue, and makes the ids of events. Its keys are derived from
// the identity key, which is not rotated, because events wait longer than challenges live. It is safe for concurrent use.
type EventSealer struct{ keys *prf }

// NewEventSealer returns the EventSealer of an app.
func NewEventSealer(identity Key, app string) (*EventSealer, error) {
	keys, err := identity.deriveFor("events", app)
	if err != nil {
		return nil, err
	}
	return &EventSealer{keys}, nil
}

func (s *EventSealer) aead(endpoint string) (cipher.AEAD, error) {
	key := s.keys.sum("seal", endpoint)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts an event for an endpoint. The endpoint is part of the encryption, so that the event cannot be moved to another.
func (s *EventSealer) Seal(endpoint string, plain []byte) ([]byte, error) {
	aead, err := s.aead(endpoint)
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte{sealVersion}, nil, plain, []byte(endpoint)), nil
}

// Open decrypts what Seal has encrypted for the endpoint. It returns an error for everything else.
func (s *EventSealer) Open(endpoint string, sealed []byte) ([]byte, error) {
	aead, err := s.aead(endpoint)
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, errSeal
	}
	plain, err := aead.Open(nil, nil, sealed[1:], []byte(endpoint))
	if err != nil {
		return nil, errSeal
	}
	return plain, nil
}

// EndpointID returns the name of an endpoint in an EventQueue. It does not reveal the URL, whose path may be a secret.
func (s *EventSealer) EndpointID(url string) string {
	sum := s.keys.sum("endpoint", url)
	return b64.EncodeToString(sum[:12])
}

// EventID returns the id of an event: evt_ and 26 characters that sort by time, in milliseconds. The same time and parts have the
// same id.
func (s *EventSealer) EventID(at time.Time, parts ...string) string {
	sum := s.keys.sum(append([]string{"id"}, parts...)...)
	return formatEventID(at, sum[:])
}

var sortableBase32 = base32.HexEncoding.WithPadding(base32.NoPadding)

// formatEventID returns an event's id with at least ten random bytes.
func formatEventID(at time.Time, random []byte) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], uint64(max(at.UnixMilli(), 0))<<16)
	copy(raw[6:], random)
	return "evt_" + strings.ToLower(sortableBase32.EncodeToString(raw[:]))
}

// NewEventID returns the id of an event that is sent once, in the form of EventSealer.EventID. The argument has ten random bytes.
func NewEventID(at time.Time, random [10]byte) string { return formatEventID(at, random[:]) }

// eventID returns the id of an event about a challenge or a verification, of which there is one of its type and number.
func (e *Engine) eventID(ev Event, number int) string {
	return e.eventSealer.EventID(ev.At, ev.Type, ev.ChallengeID, ev.Verification, fmt.Sprint(number))
}
