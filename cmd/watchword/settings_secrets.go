package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// What a secret is used for.
type secretUse int

const (
	useKey     secretUse = iota // of the keyring, or the identity key
	useSigning                  // of receipts
	useAPIKey                   // its digest
	useWebhook                  // signs what goes to a receiver
	usePassword
)

// String is what messages call it.
func (u secretUse) String() string {
	switch u {
	case useAPIKey:
		return "API key"
	case usePassword:
		return "password"
	}
	return "secret"
}

// The least lengths of secrets, in bytes.
const (
	leastKey     = 32 // watchword.NewKey refuses shorter ones
	leastWebhook = 24 // Standard Webhooks 1.0
)

// A usedSecret is one secret of the configuration and what it is used for.
type usedSecret struct {
	where string // in the configuration
	use   secretUse
	value []byte // what it is, decoded
	text  string // as it is written
	host  string // of the receiver of webhooks
	older bool   // a key of the keyring that only opens what was sealed before
}

// uses remembers a secret for checkSecrets.
func (c *checker) uses(s ...usedSecret) { c.secrets = append(c.secrets, s...) }

// checkSecrets refuses secrets that strangers know or guess, and those that have two uses: who learns one of them, or finds a
// weakness in one use, has the other too. Older keys that are about to be replaced must be read for that.
func (c *checker) checkSecrets() {
	secrets := slices.DeleteFunc(slices.Clone(c.secrets), func(s usedSecret) bool { return s.older && c.rotating })
	for i, s := range secrets {
		c.refuse(s.weakness() != "", "%s: the %s %s", s.where, s.use, s.weakness())
		for _, earlier := range secrets[:i] {
			if c.checkShared(earlier, s) {
				break // once is enough: there may be hundreds
			}
		}
	}
}

// weakness is why the secret must not be used. One that is too short is refused where it is read.
func (s usedSecret) weakness() string {
	switch s.use {
	case useAPIKey:
		if isKnownDigest(s.value) || isSeries(s.value) || hasPeriod(s.value) {
			return knownReason
		}
	case usePassword:
		return weakPassword(s.text)
	case useWebhook:
		if len(s.value) >= leastWebhook {
			return weakSecret(s.value, leastWebhook)
		}
	default:
		if len(s.value) >= leastKey {
			return weakSecret(s.value, leastKey)
		}
	}
	return ""
}

// checkShared compares two secrets. One password may serve several channels, and one receiver several apps; API keys are
// compared app by app (unique). It reports whether it has complained.
func (c *checker) checkShared(a, b usedSecret) bool {
	webhooks := a.use == useWebhook && b.use == useWebhook
	switch {
	case a.use == b.use && (a.use == usePassword || a.use == useAPIKey), webhooks && a.host == b.host, !a.same(b):
		return false
	case webhooks:
		c.warn("%s and %s have the same secret, so each receiver can sign what the other one believes", a.where, b.where)
	default:
		c.refuse(true, "%s: the %s is the secret of %s too; each use needs one of its own", b.where, b.use, a.where)
	}
	return true
}

// same compares the secrets themselves; of an API key there is only the digest.
func (s usedSecret) same(o usedSecret) bool {
	if s.use == useAPIKey {
		s, o = o, s
	}
	if o.use == useAPIKey {
		ofValue, ofText := sha256.Sum256(s.value), sha256.Sum256([]byte(s.text))
		return bytes.Equal(o.value, ofValue[:]) || bytes.Equal(o.value, ofText[:]) || bytes.Equal(o.value, s.value)
	}
	return bytes.Equal(s.value, o.value) || s.text == o.text
}

// signingSecret is the private part of a key that was read already: an Ed25519 seed, or a P-256 scalar.
func signingSecret(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	switch k := private.(type) {
	case ed25519.PrivateKey:
		return k.Seed()
	case *ecdsa.PrivateKey:
		secret, _ := k.Bytes()
		return secret
	}
	return nil
}

// secretsOfURL are the password of a URL, and the parameters that hold secrets. A URL that cannot be parsed is refused where
// it is opened.
func secretsOfURL(where, text string) (found []usedSecret) {
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	if password, _ := u.User.Password(); password != "" {
		found = append(found, usedSecret{where: where, use: usePassword, value: []byte(password), text: password})
	}
	for name, values := range u.Query() {
		for _, value := range values {
			if value == "" || name != "secret" && !strings.HasSuffix(name, "password") && !strings.HasSuffix(name, "_token") {
				continue
			}
			found = append(found, secretOfParameter(where, u.Host, value))
		}
	}
	return found
}

// secretOfParameter distinguishes a secret of Standard Webhooks, whsec_ and base64, from a password.
func secretOfParameter(where, host, text string) usedSecret {
	encoded, isWebhook := strings.CutPrefix(strings.TrimPrefix(text, "v1,"), "whsec_")
	encoded = strings.TrimRight(strings.ReplaceAll(encoded, " ", "+"), "=") // a + that nobody escaped
	secret, err := base64.RawStdEncoding.DecodeString(encoded)
	if !isWebhook || err != nil {
		return usedSecret{where: where, use: usePassword, value: []byte(text), text: text}
	}
	return usedSecret{where: where, use: useWebhook, value: secret, text: text, host: host}
}

// checkMode warns of a file with a secret that others than its owner can read or change. It is no mistake: containers'
// secrets are often mounted so, and whoever is in the container is the server.
func (c *checker) checkMode(where, path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o066 != 0 {
		c.warn("%s: %s has the mode %04o, so others than its owner can read or change it", where, path, info.Mode().Perm())
	}
}

func (c *checker) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}
