package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// Files of the data directory. Only its owner may read it.
const (
	keyringFile  = "keyring.key"
	identityFile = "identity.key"
	signingFile  = "signing.pem"
	databaseFile = "watchword.db"
	devKeyID     = "dev"
)

// loadDataDir reads the development keys of a folder and makes those that are not there. Processes that share the folder
// share the keys, also when they start at the same moment.
func loadDataDir(dir string, s *settings) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ring, err := loadOrCreate(filepath.Join(dir, keyringFile), newSecret)
	if err != nil {
		return err
	}
	identity, err := loadOrCreate(filepath.Join(dir, identityFile), newSecret)
	if err != nil {
		return err
	}
	signing, err := loadOrCreate(filepath.Join(dir, signingFile), newSigningPEM)
	if err != nil {
		return err
	}
	ringKey, errRing := readKey(devKeyID, ring)
	errIdentity := s.readIdentity(identity)
	signingKey, errSigning := readSigningKey(devKeyID, signing)
	s.keys, s.signing = []watchword.Key{ringKey}, []receipt.Key{signingKey}
	return errors.Join(errRing, errIdentity, errSigning)
}

// loadOrCreate returns the path once the file is there. It appears whole or not at all, and only one process's content
// ever does: it is written under another name and then linked, which fails if the name exists.
func loadOrCreate(path string, content func() ([]byte, error)) (string, error) {
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	text, err := content()
	if err != nil {
		return "", err
	}
	err = writeNew(path, text)
	if errors.Is(err, fs.ErrExist) {
		err = nil // somebody else was faster; theirs counts
	}
	return path, err
}

// writeNew makes a file that only its owner may read, whole or not at all; fs.ErrExist if there is one.
func writeNew(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// secretBytes is the length of the secrets that are made here.
const secretBytes = 32

// newSecret makes a secret of a keyring, one line of base64url.
func newSecret() ([]byte, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return append([]byte(encodeSecret(secret)), '\n'), nil
}

// newSigningPEM makes a key that signs receipts. Its name is given where it is configured, not in the file.
func newSigningPEM() ([]byte, error) {
	key, err := receipt.GenerateKey(devKeyID, receipt.EdDSA)
	if err != nil {
		return nil, err
	}
	return key.PEM()
}
