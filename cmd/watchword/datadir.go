package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/keyfiles"
	"github.com/watchword-auth/watchword/receipt"
)

// Files of the data directory, which only its owner can read.
const (
	keyringFile  = "keyring.key"
	identityFile = "identity.key"
	signingFile  = "signing.pem"
	databaseFile = "watchword.db"
	devKeyID     = "dev"
)

// loadDataDir reads the development keys from a folder and creates missing ones. Processes that share the folder share the keys,
// even if they start at the same time.
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

// loadOrCreate creates the file unless it exists, and returns its path. Creation is atomic. If several processes create the file
// at the same time, all use the content of the first.
func loadOrCreate(path string, content func() ([]byte, error)) (string, error) {
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	text, err := content()
	if err != nil {
		return "", err
	}
	err = writeNewFile(path, text)
	if errors.Is(err, fs.ErrExist) {
		err = nil // another process has created it
	}
	return path, err
}

// writeNewFile atomically creates a file that only its owner can read. Its error is fs.ErrExist if there is one. The content is
// written to a temporary file and then linked, which fails if the name exists.
func writeNewFile(path string, content []byte) error {
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

// secretBytes is the length of generated secrets, in bytes.
const secretBytes = 32

// newSecret generates a secret of the keyring, as one line of base64url.
func newSecret() ([]byte, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return append([]byte(keyfiles.EncodeSecret(secret)), '\n'), nil
}

// newSigningPEM generates a signing key in PEM. The configuration gives it its id; the file has none.
func newSigningPEM() ([]byte, error) {
	key, err := receipt.GenerateKey(devKeyID, receipt.EdDSA)
	if err != nil {
		return nil, err
	}
	return key.PEM()
}
