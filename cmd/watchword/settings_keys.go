package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// identityKeyID is the id of the identity key. Nothing stored names it; it only must differ from the keyring's ids.
const identityKeyID = "identity"

// keys reads the keyring, the identity key and the keys that sign receipts.
func (c *checker) keys(cfg fileConfig, s *settings) {
	c.refuse(len(cfg.Keyring) == 0, "keyring: at least one key is needed; `watchword keys new` makes one")
	seen := map[string]bool{identityKeyID: true}
	for i, k := range cfg.Keyring {
		where, path := fmt.Sprintf("keyring[%d].secret_file", i), c.path(k.SecretFile)
		secret, err := readBytes(path)
		var key watchword.Key
		if err == nil {
			c.uses(usedSecret{where: where, use: useKey, value: secret, text: encodeSecret(secret), older: i > 0})
			key, err = watchword.NewKey(k.ID, secret)
		}
		c.noteFields(where, fieldPaths{"ID": fmt.Sprintf("keyring[%d].id", i), "Secret": where}, err)
		c.checkMode(where, path)
		c.refuse(seen[k.ID], "keyring[%d].id: %q is taken", i, k.ID)
		if err == nil && !seen[k.ID] {
			s.keys = append(s.keys, key)
		}
		seen[k.ID] = true
	}
	c.identityKey(cfg.IdentityKeyFile, s)
	c.refuse(len(cfg.Signing) == 0, "signing: at least one key is needed; `watchword keys new` makes one")
	for i, k := range cfg.Signing {
		where, path := fmt.Sprintf("signing[%d].key_file", i), c.path(k.KeyFile)
		key, err := readSigningKey(k.KID, path)
		c.note(where, err)
		c.checkMode(where, path)
		if err == nil {
			s.signing = append(s.signing, key)
			c.signingKey(where, key)
		}
	}
}

func (c *checker) identityKey(file string, s *settings) {
	const where = "identity_key_file"
	if file == "" {
		c.refuse(true, "identity_key_file: missing; `watchword keys new` makes one")
		return
	}
	c.noteFields(where, fieldPaths{"Secret": where}, s.readIdentity(c.path(file)))
	c.checkMode(where, c.path(file))
	if s.identityBytes != nil {
		c.uses(usedSecret{where: where, use: useKey, value: s.identityBytes, text: encodeSecret(s.identityBytes)})
	}
}

func (c *checker) signingKey(where string, key receipt.Key) {
	text, err := key.PEM()
	c.note(where, err)
	secret := signingSecret(text)
	c.uses(usedSecret{where: where, use: useSigning, value: secret, text: encodeSecret(secret)})
}

// readIdentity reads the identity key, and keeps its secret for what else must not rotate.
func (s *settings) readIdentity(path string) (err error) {
	if s.identityBytes, err = readBytes(path); err != nil {
		return err
	}
	s.identity, err = watchword.NewKey(identityKeyID, s.identityBytes)
	return err
}

// readKey reads a secret of a keyring.
func readKey(id, path string) (watchword.Key, error) {
	secret, err := readBytes(path)
	if err != nil {
		return watchword.Key{}, err
	}
	return watchword.NewKey(id, secret)
}

// readBytes reads a secret: base64url on one line, as `watchword keys new` writes it.
func readBytes(path string) ([]byte, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	secret, err := decodeSecret(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

// encodeSecret is how a secret is written into a file.
func encodeSecret(secret []byte) string { return base64.RawURLEncoding.EncodeToString(secret) }

func decodeSecret(text string) ([]byte, error) {
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("is not one line of base64url as `watchword keys new` writes it") // the library's error holds a byte
	}
	return secret, nil
}

func readSigningKey(kid, path string) (receipt.Key, error) {
	text, err := readSecret(path)
	if err != nil {
		return receipt.Key{}, err
	}
	return receipt.ParseKey(kid, []byte(text))
}

// readSecret reads a file that holds one secret, without the line end that editors add.
func readSecret(path string) (string, error) {
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
