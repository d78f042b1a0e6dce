package recovery

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
)

const codesPerSet = 10 // of a set

// A set is the data of a factor. Its encoding is JSON.
type set struct {
	Key       []byte    `json:"k"` // of the digests; random for each set
	Digests   [][]byte  `json:"d"` // of the codes that have not been used
	Confirmed time.Time `json:"c"`
}

// newSet returns the set that a challenge enrols and its codes. They are always the same for the same challenge.
func newSet(c *watchword.Challenge) (*set, []string) {
	s := &set{Key: c.DeriveBytes("recovery key", 32)}
	plain := make([]string, codesPerSet)
	for i := range plain {
		plain[i] = appendCheckCharacter(c.DeriveCode(fmt.Sprintf("recovery %d", i), alphabet, randomSymbols).Reveal())
		s.Digests = append(s.Digests, digestCode(s.Key, plain[i]))
	}
	return s, plain
}

// parseSet decodes a factor's data.
func parseSet(data []byte) (*set, error) {
	var s set
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("recovery: a factor's data: %w", err)
	}
	if len(s.Key) == 0 {
		return nil, errors.New("recovery: a factor's data has no key")
	}
	return &s, nil
}

// findCode returns the index of the typed code among the unused ones, or -1. It always compares with all of them, so that the
// time does not depend on the index.
func (s *set) findCode(typed string) int {
	code, ok := parseCode(typed)
	if !ok {
		return -1
	}
	guess := digestCode(s.Key, code)
	at := -1
	for i, d := range s.Digests {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(guess, d), i, at)
	}
	return at
}

// writeTo encodes the set into its factor.
func (s *set) writeTo(f *watchword.Factor) (err error) {
	f.Data, err = json.Marshal(s)
	return err
}

// removeCode removes the code at an index.
func (s *set) removeCode(at int) { s.Digests = slices.Delete(s.Digests, at, at+1) }
