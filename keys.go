package watchword

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"unicode"

	"github.com/watchword-auth/watchword/internal/setting"
)

// minKeyBytes is the least length of a secret: the output size of the PRF that it keys.
const minKeyBytes = 32

// maxKeyID is the greatest length of a key's id in bytes.
const maxKeyID = 64

// A Key is one named secret of a keyring. It cannot be printed: the secret is behind a function, and fmt does not call
// functions.
type Key struct {
	ID     string
	secret func() []byte
}

// NewKey returns a Key with a secret of at least 32 random bytes. The id has 1 to 64 bytes; it is stored beside everything
// that is encrypted with the key.
func NewKey(id string, secret []byte) (Key, error) {
	if id == "" || len(id) > maxKeyID {
		return Key{}, fmt.Errorf("watchword: %w", setting.Errorf("ID", "a key's id has 1 to 64 bytes"))
	}
	if len(secret) < minKeyBytes {
		return Key{}, fmt.Errorf("watchword: %w", setting.Errorf("Secret", "key %q has %d bytes; at least %d random bytes are needed", id, len(secret), minKeyBytes))
	}
	copied := append([]byte(nil), secret...)
	return Key{ID: id, secret: func() []byte { return copied }}, nil
}

// ringKey holds the keys that are derived from one Key for one app, one for each use (HKDF-SHA-256, RFC 5869).
type ringKey struct {
	id      string
	codes   *prf // codes and tokens that are sent
	digests *prf // stored digests of answers
	marks   *prf // proofs that the engine approved
	handles *prf // handles, tickets and cookies
	seals   *prf // one encryption key for each entry and factor
}

func (k Key) derive(app string) (*ringKey, error) {
	r := &ringKey{id: k.ID}
	for _, use := range []struct {
		name string
		to   **prf
	}{{"codes", &r.codes}, {"digests", &r.digests}, {"marks", &r.marks}, {"handles", &r.handles}, {"seals", &r.seals}} {
		derived, err := k.deriveFor(use.name, app)
		if err != nil {
			return nil, err
		}
		*use.to = derived
	}
	return r, nil
}

func (k Key) deriveFor(use, app string) (*prf, error) {
	if k.secret == nil {
		return nil, errors.New("watchword: a key was not made by NewKey")
	}
	info := "watchword/1 " + use
	if app != "" {
		info += " " + app
	}
	key, err := hkdf.Key(sha256.New, k.secret(), nil, info, sha256.Size)
	if err != nil {
		return nil, err
	}
	return newPRF(key), nil
}

// identity holds the keys that do not rotate: a rotation would otherwise reset all budgets.
type identity struct {
	tags      *prf // groups, apps, strategies, store ids
	masks     *prf // ids of challenges
	buckets   *prf // buckets of limits
	addresses *prf // address_hash
	events    *prf // ids of events, and their encryption
}

func newIdentity(k Key, app string) (*identity, error) {
	var keys identity
	for _, use := range []struct {
		name, app string
		to        **prf
	}{{"tags", "", &keys.tags}, {"masks", "", &keys.masks}, {"buckets", app, &keys.buckets}, {"addresses", app, &keys.addresses}, {"events", app, &keys.events}} {
		derived, err := k.deriveFor(use.name, use.app)
		if err != nil {
			return nil, err
		}
		*use.to = derived
	}
	return &keys, nil
}

// A prf is HMAC-SHA-256 under one key over parts that are each preceded by their length. It is safe for concurrent use. It
// pools keyed hashes, because keying one costs more than a sum.
type prf struct {
	key  []byte
	pool sync.Pool
}

type keyedHash struct {
	hash.Hash
	in, out []byte
}

func newPRF(key []byte) *prf {
	p := &prf{key: key}
	p.pool.New = func() any {
		return &keyedHash{Hash: hmac.New(sha256.New, p.key), out: make([]byte, 0, sha256.Size)}
	}
	return p
}

func (p *prf) sum(parts ...string) [32]byte {
	h := p.pool.Get().(*keyedHash)
	for _, part := range parts {
		h.in = binary.BigEndian.AppendUint32(h.in, uint32(len(part)))
		h.in = append(h.in, part...)
	}
	return p.finish(h)
}

// plain returns HMAC-SHA-256 of the text alone, which an app can compute too.
func (p *prf) plain(text string) [32]byte {
	h := p.pool.Get().(*keyedHash)
	h.in = append(h.in, text...)
	return p.finish(h)
}

// digest returns the digest of an answer that is stored and compared: HMAC(key of the app, id | purpose | respondent | text).
func (k *ringKey) digest(id, purpose, who, text string) [32]byte {
	return k.digests.sum(id, purpose, who, text)
}

func (p *prf) finish(h *keyedHash) [32]byte {
	h.Reset()
	_, _ = h.Write(h.in)
	h.out = h.Sum(h.out[:0])
	sum := [32]byte(h.out)
	clear(h.in)
	h.in = h.in[:0]
	p.pool.Put(h)
	return sum
}

// uniform draws n symbols of the alphabet from blocks of pseudo-random bytes. It rejects bytes that would favour some
// symbols.
func uniform(block func(counter byte) [32]byte, alphabet string, n int) string {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	for counter := byte(0); ; counter++ {
		for _, b := range block(counter) {
			if int(b) >= limit {
				continue
			}
			if out = append(out, alphabet[int(b)%len(alphabet)]); len(out) == n {
				return string(out)
			}
		}
	}
}

// sealVersion is the first byte of encrypted data. The length of the key's id and the id follow.
const sealVersion = 1

// A sealer encrypts with AES-256-GCM under a key derived for one id, so that random nonces stay far below their bound (NIST
// SP 800-38D §8.3). The id is also the associated data. Records and factors keep the sealer that opened them, because
// deriving one costs as much as encrypting.
type sealer struct {
	key  *ringKey
	id   string
	aead cipher.AEAD
}

func (k *ringKey) sealer(id string) (*sealer, error) {
	derived := k.seals.sum(id)
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{k, id, aead}, err
}

func (s *sealer) seal(plain []byte) []byte {
	head := append(make([]byte, 0, 2+len(s.key.id)+len(plain)+s.aead.Overhead()), sealVersion, byte(len(s.key.id)))
	head = append(head, s.key.id...)
	return s.aead.Seal(head, nil, plain, []byte(s.id))
}

// errSeal means that encrypted data does not decrypt.
var errSeal = errors.New("watchword: a seal does not open")

// A missingKeyError means that data was encrypted under a key that is not in the keyring: a fault of the configuration. It is
// an errSeal too.
type missingKeyError struct{ id string }

// Error returns the id of the key.
func (e *missingKeyError) Error() string {
	return fmt.Sprintf("key %q is not in the keyring, and something was sealed under it", e.id)
}

// Unwrap returns errSeal.
func (*missingKeyError) Unwrap() error { return errSeal }

// isKeyID reports whether the text can be the id of a key and is fit for a log. Damaged data seldom is.
func isKeyID(id string) bool {
	return id != "" && len(id) <= maxKeyID && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// keyring holds the keys of one app. The first one is active: it encrypts and derives codes. All of them verify and decrypt.
type keyring []*ringKey

// open decrypts data with the key of the ring that encrypted it, and returns its sealer. The error is a *missingKeyError if
// the key is not in the ring, or errSeal.
func (r keyring) open(id string, data []byte) ([]byte, *sealer, error) {
	if len(data) < 2 || data[0] != sealVersion || len(data) < 2+int(data[1]) {
		return nil, nil, errSeal
	}
	keyID, body := data[2:2+data[1]], data[2+data[1]:]
	for _, k := range r {
		if k.id != string(keyID) {
			continue
		}
		s, err := k.sealer(id)
		if err != nil {
			return nil, nil, err
		}
		plain, err := s.aead.Open(nil, nil, body, []byte(id))
		if err != nil {
			return nil, nil, errSeal
		}
		return plain, s, nil
	}
	if text := string(keyID); isKeyID(text) {
		return nil, nil, &missingKeyError{text}
	}
	return nil, nil, errSeal
}
