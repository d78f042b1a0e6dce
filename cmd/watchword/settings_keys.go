package main

import (
	"crypto/sha256"
	"fmt"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/keyfiles"
	"github.com/watchword-auth/watchword/receipt"
)

// readKeys reads the keyring, the identity key and the signing keys.
func (c *checker) readKeys(cfg fileConfig, s *settings) {
	c.addProblemIf(len(cfg.Keyring) == 0, "keyring: at least one key is needed; `watchword keys new` makes one")
	seen := map[string]bool{keyfiles.IdentityKeyID: true}
	for i, k := range cfg.Keyring {
		where, path := fmt.Sprintf("keyring[%d].secret_file", i), c.resolvePath(k.SecretFile)
		secret, err := keyfiles.ReadSecret(path)
		var key watchword.Key
		if err == nil {
			c.addSecrets(usedSecret{where: where, use: useKey, value: secret, text: keyfiles.EncodeSecret(secret), older: i > 0})
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
		c.addSecrets(usedSecret{where: where, use: useKey, value: s.identitySecret, text: keyfiles.EncodeSecret(s.identitySecret)})
	}
}

func (c *checker) addSigningSecret(where string, key receipt.Key, s *settings) {
	text, err := key.PEM()
	c.addError(where, err)
	secret := signingSecret(text)
	s.addKeyDigest("signing", where, secret)
	c.addSecrets(usedSecret{where: where, use: useSigning, value: secret, text: keyfiles.EncodeSecret(secret)})
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
	if s.identitySecret, err = keyfiles.ReadSecret(path); err != nil {
		return err
	}
	s.identity, err = watchword.NewKey(keyfiles.IdentityKeyID, s.identitySecret)
	return err
}

// readKey reads a key of the keyring.
func readKey(id, path string) (watchword.Key, error) {
	secret, err := keyfiles.ReadSecret(path)
	if err != nil {
		return watchword.Key{}, err
	}
	return watchword.NewKey(id, secret)
}

func readSigningKey(kid, path string) (receipt.Key, error) {
	text, err := keyfiles.ReadText(path)
	if err != nil {
		return receipt.Key{}, err
	}
	return receipt.ParseKey(kid, []byte(text))
}
