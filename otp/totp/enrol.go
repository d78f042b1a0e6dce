package totp

import (
	"encoding/base64"
	"fmt"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
)

// metadataAccount is the name in a challenge's metadata whose value the authenticator app shows as the account.
const metadataAccount = "account"

// beginEnrol returns the key to show. The settings are stored in the challenge, so that a changed configuration does not affect
// an enrolment that has begun.
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
		Public: map[string]any{"secret": unpaddedBase32.EncodeToString(k.Secret), "uri": uri, "qr": img, "length": k.Digits, "alphabet": typed.Digits}}, nil
}

// deriveKey returns the key that a challenge enrols. It is always the same for the same challenge.
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

// verifyEnrol returns the factor. Its id is derived from the challenge, so a repeated answer creates no second factor.
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
