package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/keyfiles"
)

func TestWeakSecretRefusesWhatIsNotRandom(t *testing.T) {
	counting := make([]byte, 32)
	for i := range counting {
		counting[i] = byte(i)
	}
	digest := sha256.Sum256([]byte("changeme"))
	seed, _ := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	for name, secret := range map[string][]byte{
		"zero bytes":                     make([]byte, 32),
		"one byte":                       []byte(strings.Repeat("\xa7", 40)),
		"a count":                        counting,
		"a small number":                 append(make([]byte, 31), 7),
		"changeme four times":            []byte(strings.Repeat("changeme", 4)),
		"changeme, cut off":              []byte(strings.Repeat("changeme", 5)[:35]),
		"random bytes twice":             []byte(strings.Repeat("\x01\xfe\x9b\x44\x13\x88\xd0\x7a\x29\x5c\xee\x31\xb0\x67\x02\x9f", 2)),
		"words between signs":            []byte("change-change_change.change!change change"),
		"few different bytes":            []byte("\x01\x03\x02\x01\x01\x02\x03\x02\x02\x01\x03\x03\x01\x02\x03\x01\x02\x02\x03\x01\x01\x03\x02\x03\x03\x02\x01\x02\x03\x01\x01\x02"),
		"a sentence":                     []byte("This is a Very Secret key for my server, 2026"),
		"digits":                         []byte("31415926535897932384626433832795028841971693993751"),
		"16 random bytes in hexadecimal": []byte("0d441cfc676b6a61e0542314382b4ae9"),
		"24 random bytes in base64":      []byte("Wk0k6eKK29JxVqMVKTdvHDMOAjlrAo0Y"),
		"the digest of a word":           digest[:],
		"an RFC's key":                   seed,
	} {
		if weakSecret(secret, minKeyBytes) == "" {
			t.Errorf("%s is no weak secret", name)
		}
	}
}

func TestWeakSecretAcceptsRandomBytes(t *testing.T) {
	random := func(n int) []byte {
		secret := make([]byte, n)
		_, _ = rand.Read(secret)
		return secret
	}
	byChance := 0 // about one printable secret in 300,000 holds a known word, such as 123456 in hexadecimal
	for range 5000 {
		for name, secret := range map[string][]byte{
			"32 bytes":                random(32),
			"64 bytes":                random(64),
			"32 bytes in hexadecimal": []byte(hex.EncodeToString(random(32))),
			"32 bytes in base64":      []byte(base64.StdEncoding.EncodeToString(random(32))),
		} {
			if reason := weakSecret(secret, minKeyBytes); reason != "" {
				if byChance++; byChance > 2 {
					t.Fatalf("%s, %x: %s", name, secret, reason)
				}
			}
		}
		if secret := random(24); weakSecret(secret, minWebhookBytes) != "" {
			t.Fatalf("24 bytes for a webhook, %x: %s", secret, weakSecret(secret, minWebhookBytes))
		}
	}
}

func TestIsKnownDigestRefusesWellKnownKeys(t *testing.T) {
	for key, known := range map[string]bool{
		"": true, "\n": true, "foo": true, "foo\n": true, "changeme": true, "CHANGEME": true, "secret": true, "dev-admin": true, "wk_test": true,
		"wk_cO8bSBVYlmfCzR0U8SoRkoGFYcXU8qIXVrvbnfUEVBs": false, "shop-key": false,
	} {
		if sum := sha256.Sum256([]byte(key)); isKnownDigest(sum[:]) != known {
			t.Errorf("%q: known %t, want %t", key, !known, known)
		}
	}
}

func TestWeakPasswordRefusesWellKnownOnes(t *testing.T) {
	for password, weak := range map[string]bool{
		"password": true, "Password": true, "changeme": true, "token": true, "...": true, "xxxxxxxx": true, "hunter2": true,
		"tr0ub4dor&3": false, "aXX": false, "x": false,
	} {
		if (weakPassword(password) != "") != weak {
			t.Errorf("%q: weak %t, want %t", password, !weak, weak)
		}
	}
}

// A secret has one use, however it is encoded. Only the digest of an API key is known.
func TestCheckSecretsRefusesSecretWithTwoUses(t *testing.T) {
	secret, other := []byte("\x01\xfe\x9b\x44\x13\x88\xd0\x7a\x29\x5c\xee\x31\xb0\x67\x02\x9f\x45\xaa\x1c\x90\x7b\xe2\x58\x33"), []byte("another secret")
	text := "whsec_" + base64.StdEncoding.EncodeToString(secret)
	key := usedSecret{where: "keyring[0]", use: useKey, value: secret, text: keyfiles.EncodeSecret(secret)}
	digestOf := func(text string) usedSecret {
		sum := sha256.Sum256([]byte(text))
		return usedSecret{where: "app", use: useAPIKey, value: sum[:]}
	}
	url := func(text string) usedSecret { return secretsOfURL("send", text)[0] }
	for name, c := range map[string]struct {
		a, b                usedSecret
		refused, warnedOnly bool
	}{
		"a key and the same for webhooks":      {key, url("https://a.example/?secret=" + text), true, false},
		"a key and the same as a password":     {key, url("redis://:" + key.text + "@host"), true, false},
		"a key and the same that signs":        {key, usedSecret{use: useSigning, value: secret}, true, false},
		"a key and the same as an API key":     {key, digestOf(key.text), true, false},
		"a key that is an API key's digest":    {usedSecret{use: useKey, value: digestOf("x").value, text: "y"}, digestOf("x"), true, false},
		"an API key that signs webhooks":       {digestOf(text), url("https://a.example/?secret=" + text), true, false},
		"an API key that is a password":        {digestOf("tr0ub4dor"), url("smtp://user:tr0ub4dor@host"), true, false},
		"a password of two senders":            {url("smtp://user:tr0ub4dor@a.example"), url("smtp://user:tr0ub4dor@b.example"), false, false},
		"one receiver of several apps":         {url("https://a.example/1?secret=" + text), url("https://a.example/2?secret=" + text), false, false},
		"two receivers with the same secret":   {url("https://a.example/?secret=" + text), url("https://b.example/?secret=v1," + text), false, true},
		"two receivers with different secrets": {url("https://a.example/?secret=" + text), url("https://b.example/?secret=whsec_" + base64.StdEncoding.EncodeToString(other)), false, false},
		"a key and another that signs":         {key, usedSecret{use: useSigning, value: other, text: "other"}, false, false},
		"a key and another app's API key":      {key, digestOf("another"), false, false},
	} {
		for _, pair := range [][]usedSecret{{c.a, c.b}, {c.b, c.a}} {
			var check checker
			pair[0].addDigests()
			pair[1].addDigests()
			check.checkShared(&pair[0], &pair[1])
			if (len(check.problems) > 0) != c.refused || (len(check.warnings) > 0) != c.warnedOnly {
				t.Errorf("%s: problems %v, warnings %v", name, check.problems, check.warnings)
			}
		}
	}
}
