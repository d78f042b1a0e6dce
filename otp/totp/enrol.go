package totp

import (
	"encoding/base64"
	"fmt"

	"github.com/watchword-auth/watchword"
)

// metadataAccount is the name in a challenge's metadata of the account that the authenticator app shows.
const metadataAccount = "account"

// beginEnrol shows the key. The settings stay in the challenge, so that a new configuration does not change what has
// been shown already.
func beginEnrol(c *watchword.Challenge, settings key, kind, issuer string) (watchword.Prompt, error) {
	if len(c.Data) == 0 {
		data, err := settings.encode()
		if err != nil {
			return watchword.Prompt{}, err
		}
		c.Data = data
	}
	k, err := deriveKey(c)
	if err != nil {
		return watchword.Prompt{}, err
	}
	account := c.Metadata[metadataAccount]
	if account == "" {
		account = c.Subject
	}
	uri := k.otpauthURI(kind, issuer, account)
	img, err := encodeDataURI(uri)
	if err != nil {
		return watchword.Prompt{}, err
	}
	return watchword.Prompt{Ask: watchword.AskScan,
		Public: map[string]any{"secret": unpaddedBase32.EncodeToString(k.Secret), "uri": uri, "qr": img}}, nil
}

// deriveKey is the key that a challenge enrols: always the same one.
func deriveKey(c *watchword.Challenge) (*key, error) {
	k, err := decodeKey(c.Data)
	if err != nil {
		return nil, err
	}
	_, size, _ := k.Algorithm.parameters()
	for part := 0; len(k.Secret) < size; part++ {
		k.Secret = append(k.Secret, c.DeriveBytes(fmt.Sprintf("secret %d", part), min(size-len(k.Secret), 32))...)
	}
	return k, nil
}

// verifyEnrol makes the factor. Its id is the challenge's own, so that proving twice creates one.
func verifyEnrol(c *watchword.Challenge, answer string, try codeCheck) (watchword.Factor, error) {
	k, err := deriveKey(c)
	if err != nil {
		return watchword.Factor{}, err
	}
	if passed, _ := try(k, answer); !passed {
		return watchword.Factor{}, watchword.ErrMismatch
	}
	data, err := k.encode()
	return watchword.Factor{ID: formatFactorID(c.DeriveBytes("factor", idBytes)), Data: data}, err
}

const idBytes = 16

func formatFactorID(raw []byte) string {
	return "fa_" + base64.RawURLEncoding.EncodeToString(raw[:idBytes])
}
