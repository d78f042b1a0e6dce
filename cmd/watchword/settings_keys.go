package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// identityKeyID is the id of the identity key. Stored data does not contain it, and the keyring must not use it.
const identityKeyID = "identity"

// readKeys reads the keyring, the identity key and the signing keys.
func (c *checker) readKeys(cfg fileConfig, s *settings) {
	c.addProblemIf(len(cfg.Keyring) == 0, "keyring: at least one key is needed; `watchword keys new` makes one")
	seen := map[string]bool{identityKeyID: true}
	for i, k := range cfg.Keyring {
		where, path := fmt.Sprintf("keyring[%d].secret_file", i), c.resolvePath(k.SecretFile)
		secret, err := readSecretBytes(path)
		var key watchword.Key
		if err == nil {
			c.addSecrets(usedSecret{where: where, use: useKey, value: secret, text: encodeSecret(secret), older: i > 0})
			key, err = watchword.NewKey(k.ID, secret)
		}
		c.addFieldErrors(where, fieldPaths{"ID": fmt.Sprintf("keyring[%d].id", i), "Secret": where}, err)
		c.checkFileMode(where, path)
		c.addProblemIf(seen[k.ID], "keyring[%d].id: %q is taken", i, k.ID)
		if err == nil && !seen[k.ID] {
			s.keys = append(s.keys, key)
			s.addKeyDigest("keyring", k.ID, secret)
		}
		seen[k.ID] = true
	}
	c.readIdentityKey(cfg.IdentityKeyFile, s)
	c.addProblemIf(len(cfg.Signing) == 0, "signing: at least one key is needed; `watchword keys new` makes one")
	for i, k := range cfg.Signing {
		where, path := fmt.Sprintf("signing[%d].key_file", i), c.resolvePath(k.KeyFile)
		key, err := readSigningKey(k.KID, path)
		c.addError(where, err)
		c.checkFileMode(where, path)
		if err == nil {
			s.signing = append(s.signing, key)
			c.addSigningSecret(where, key, s)
		}
	}
}

func (c *checker) readIdentityKey(file string, s *settings) {
	const where = "identity_key_file"
	if file == "" {
		c.addProblemIf(true, "identity_key_file: missing; `watchword keys new` makes one")
		return
	}
	c.addFieldErrors(where, fieldPaths{"Secret": where}, s.readIdentity(c.resolvePath(file)))
	c.checkFileMode(where, c.resolvePath(file))
	if s.identitySecret != nil {
		s.addKeyDigest(where, "", s.identitySecret)
		c.addSecrets(usedSecret{where: where, use: useKey, value: s.identitySecret, text: encodeSecret(s.identitySecret)})
	}
}

func (c *checker) addSigningSecret(where string, key receipt.Key, s *settings) {
	text, err := key.PEM()
	c.addError(where, err)
	secret := signingSecret(text)
	s.addKeyDigest("signing", where, secret)
	c.addSecrets(usedSecret{where: where, use: useSigning, value: secret, text: encodeSecret(secret)})
}

// addKeyDigest adds a key to the digest of a setting, by which a reload finds out whether its keys have changed.
func (s *settings) addKeyDigest(setting, id string, secret []byte) {
	if s.keyDigests == nil {
		s.keyDigests = map[string][sha256.Size]byte{}
	}
	before := s.keyDigests[setting]
	s.keyDigests[setting] = sha256.Sum256(fmt.Appendf(nil, "%x %q %x", before, id, secret))
}

// readIdentity reads the identity key, and keeps its secret to derive other secrets that must not rotate.
func (s *settings) readIdentity(path string) (err error) {
	if s.identitySecret, err = readSecretBytes(path); err != nil {
		return err
	}
	s.identity, err = watchword.NewKey(identityKeyID, s.identitySecret)
	return err
}

// readKey reads a key of the keyring.
func readKey(id, path string) (watchword.Key, error) {
	secret, err := readSecretBytes(path)
	if err != nil {
		return watchword.Key{}, err
	}
	return watchword.NewKey(id, secret)
}

// readSecretBytes reads a file with a secret: one line of base64url, as `watchword keys new` writes it.
func readSecretBytes(path string) ([]byte, error) {
	text, err := readSecretText(path)
	if err != nil {
		return nil, err
	}
	secret, err := decodeSecret(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

// encodeSecret encodes a secret for a file.
func encodeSecret(secret []byte) string { return base64.RawURLEncoding.EncodeToString(secret) }

func decodeSecret(text string) ([]byte, error) {
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("is not one line of base64url as `watchword keys new` writes it") // the library's error contains a byte of the secret
	}
	return secret, nil
}

func readSigningKey(kid, path string) (receipt.Key, error) {
	text, err := readSecretText(path)
	if err != nil {
		return receipt.Key{}, err
	}
	return receipt.ParseKey(kid, []byte(text))
}

// readSecretText reads a file with a secret, without the line end that editors add.
func readSecretText(path string) (string, error) {
	if path == "" {
		return "", errors.New("no file is named")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: is empty", path)
	}
	return secret, nil
}
