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
		where := fmt.Sprintf("keyring[%d]", i)
		key, err := readKey(k.ID, c.path(k.SecretFile))
		c.note(where, err)
		c.refuse(seen[k.ID], "%s: the id %q is taken", where, k.ID)
		if err == nil && !seen[k.ID] {
			s.keys = append(s.keys, key)
		}
		seen[k.ID] = true
	}
	if cfg.IdentityKeyFile == "" {
		c.refuse(true, "identity_key_file: missing; `watchword keys new` makes one")
	} else {
		c.note("identity_key_file", s.readIdentity(c.path(cfg.IdentityKeyFile)))
	}
	c.refuse(len(cfg.Signing) == 0, "signing: at least one key is needed; `watchword keys new` makes one")
	for i, k := range cfg.Signing {
		key, err := readSigningKey(k.KID, c.path(k.KeyFile))
		c.note(fmt.Sprintf("signing[%d]", i), err)
		if err == nil {
			s.signing = append(s.signing, key)
		}
	}
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
