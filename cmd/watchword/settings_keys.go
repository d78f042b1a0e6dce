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
		var err error
		s.identity, err = readKey(identityKeyID, c.path(cfg.IdentityKeyFile))
		c.note("identity_key_file", err)
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

// readKey reads a secret of a keyring: base64 on one line, as `watchword keys new` writes it.
func readKey(id, path string) (watchword.Key, error) {
	text, err := readSecret(path)
	if err != nil {
		return watchword.Key{}, err
	}
	secret, err := decodeSecret(text)
	if err != nil {
		return watchword.Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return watchword.NewKey(id, secret)
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
