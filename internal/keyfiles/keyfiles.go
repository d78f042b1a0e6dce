// Package keyfiles reads and derives the secrets of a server, as `watchword keys new` writes them: one line of base64url a file.
package keyfiles

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/watchword-auth/watchword"
)

// IdentityKeyID is the id of the identity key. Stored data does not contain it, and no key of a keyring may have it.
const IdentityKeyID = "identity"

// ReadSecret reads a file with a secret: one line of base64url (RFC 4648 §5), without padding. The error contains no part of it.
func ReadSecret(path string) ([]byte, error) {
	text, err := ReadText(path)
	if err != nil {
		return nil, err
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil { // the library's error contains a byte of the secret
		return nil, fmt.Errorf("%s: is not one line of base64url as `watchword keys new` writes it", path)
	}
	return secret, nil
}

// ReadText reads a file with a secret, without the line end that editors add.
func ReadText(path string) (string, error) {
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

// EncodeSecret encodes a secret for a file.
func EncodeSecret(secret []byte) string { return base64.RawURLEncoding.EncodeToString(secret) }

// DeriveUserHandleSecret derives one app's secret of WebAuthn user handles and decoys (webauthn.Config.Secret). It comes from the
// secret of the identity key, because it must not rotate either.
func DeriveUserHandleSecret(identity []byte, app string) (watchword.Code, error) {
	secret, err := hkdf.Key(sha256.New, identity, nil, "watchword/1 user handles "+app, sha256.Size)
	return watchword.NewCode(string(secret)), err
}
