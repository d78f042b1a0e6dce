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

// A secretUse is what a secret is used for.
type secretUse int

const (
	useKey     secretUse = iota // a key of the keyring, or the identity key
	useSigning                  // signs receipts
	useAPIKey                   // an API key, of which only the digest is known
	useWebhook                  // signs webhooks to one receiver
	usePassword
)

// String returns the word for the secret in messages.
func (u secretUse) String() string {
	switch u {
	case useAPIKey:
		return "API key"
	case usePassword:
		return "password"
	}
	return "secret"
}

// The minimum lengths of secrets, in bytes.
const (
	minKeyBytes     = 32 // watchword.NewKey refuses shorter ones
	minWebhookBytes = 24 // Standard Webhooks 1.0
)

// A usedSecret is one secret of the configuration and its use.
type usedSecret struct {
	where string // path in the configuration
	use   secretUse
	value []byte // decoded
	text  string // as the file has it
	host  string // of the webhook receiver
	older bool   // an inactive key of the keyring, which only decrypts

	valueDigest, textDigest [sha256.Size]byte // set by addDigests
}

// addDigests computes the digests that equals compares. There may be thousands of secrets, and each is compared with all others.
func (s *usedSecret) addDigests() {
	s.valueDigest, s.textDigest = sha256.Sum256(s.value), sha256.Sum256([]byte(s.text))
}

// addSecrets adds secrets for checkSecrets.
func (c *checker) addSecrets(s ...usedSecret) { c.secrets = append(c.secrets, s...) }

// checkSecrets refuses secrets that are well known or easy to guess, and secrets with two uses: an attacker who breaks one use
// would break both. While the keyring is rotated its older keys are not checked, because rotation must still decrypt with them.
func (c *checker) checkSecrets() {
	secrets := slices.DeleteFunc(slices.Clone(c.secrets), func(s usedSecret) bool { return s.older && c.rotating })
	for i := range secrets {
		secrets[i].addDigests()
	}
	for i, s := range secrets {
		c.addProblemIf(s.weakness() != "", "%s: the %s %s", s.where, s.use, s.weakness())
		for earlier := range i {
			if c.checkShared(&secrets[earlier], &secrets[i]) {
				break // one report for each secret; there may be hundreds
			}
		}
	}
}

// weakness returns why the secret must not be used, or an empty text. Too short secrets are refused when they are parsed.
func (s usedSecret) weakness() string {
	switch s.use {
	case useAPIKey:
		if isKnownDigest(s.value) || isArithmeticSeries(s.value) || isRepetition(s.value) {
			return knownReason
		}
	case usePassword:
		return weakPassword(s.text)
	case useWebhook:
		if len(s.value) >= minWebhookBytes {
			return weakSecret(s.value, minWebhookBytes)
		}
	default:
		if len(s.value) >= minKeyBytes {
			return weakSecret(s.value, minKeyBytes)
		}
	}
	return ""
}

// checkShared adds a problem or a warning if two secrets are equal, and reports whether it did. Equal passwords are allowed, and
// so is one webhook secret for several apps of one receiver. checkUnique compares API keys.
func (c *checker) checkShared(a, b *usedSecret) bool {
	webhooks := a.use == useWebhook && b.use == useWebhook
	switch {
	case a.use == b.use && (a.use == usePassword || a.use == useAPIKey), webhooks && a.host == b.host, !a.equals(b):
		return false
	case webhooks:
		c.addWarning("%s and %s have the same secret, so each receiver can forge messages to the other", a.where, b.where)
	default:
		c.addProblemIf(true, "%s: the %s is also the secret of %s; each use needs its own", b.where, b.use, a.where)
	}
	return true
}

// equals compares two secrets, to which addDigests was applied. An API key is compared by its digest.
func (s *usedSecret) equals(o *usedSecret) bool {
	if s.use == useAPIKey {
		s, o = o, s
	}
	if o.use == useAPIKey {
		return bytes.Equal(o.value, s.valueDigest[:]) || bytes.Equal(o.value, s.textDigest[:]) || bytes.Equal(o.value, s.value)
	}
	return bytes.Equal(s.value, o.value) || s.text == o.text
}

// signingSecret returns the private part of a valid PEM key: an Ed25519 seed, or a P-256 scalar.
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

// secretsOfURL returns the password of a URL, and its parameters that hold secrets. A URL that does not parse has none here; it
// is refused when it is opened.
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

// secretOfParameter distinguishes a Standard Webhooks secret (whsec_ and base64) from a password.
func secretOfParameter(where, host, text string) usedSecret {
	encoded, isWebhook := strings.CutPrefix(strings.TrimPrefix(text, "v1,"), "whsec_")
	encoded = strings.TrimRight(strings.ReplaceAll(encoded, " ", "+"), "=") // an unescaped + decodes as a space
	secret, err := base64.RawStdEncoding.DecodeString(encoded)
	if !isWebhook || err != nil {
		return usedSecret{where: where, use: usePassword, value: []byte(text), text: text}
	}
	return usedSecret{where: where, use: useWebhook, value: secret, text: text, host: host}
}

// checkFileMode warns if users other than the owner can read or change a file with a secret. It is not refused, because secrets
// of containers are often mounted this way.
func (c *checker) checkFileMode(where, path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o066 != 0 {
		c.addWarning("%s: %s has the mode %04o, so users other than its owner can read or change it", where, path, info.Mode().Perm())
	}
}

func (c *checker) addWarning(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}
