package totp

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// secretEncodings returns the encodings of a secret that an attacker with read access would search for. They are made of its first
// bytes, a multiple of the encodings' group sizes.
func secretEncodings(secret []byte) map[string][]byte {
	secret = secret[:15]
	return map[string][]byte{
		"raw":       secret,
		"hex":       []byte(hex.EncodeToString(secret)),
		"HEX":       []byte(strings.ToUpper(hex.EncodeToString(secret))),
		"base32":    []byte(base32.StdEncoding.EncodeToString(secret)),
		"base64":    []byte(base64.RawStdEncoding.EncodeToString(secret)),
		"base64url": []byte(base64.RawURLEncoding.EncodeToString(secret)),
	}
}

// findSecret returns the encoding in which dump contains a secret; empty if it does not.
func findSecret(dump, secret []byte) string {
	for name, s := range secretEncodings(secret) {
		if bytes.Contains(dump, s) {
			return name
		}
	}
	return ""
}

// The files contain the factors, but no secret in any encoding.
func TestDatabaseFilesHoldNoSecret(t *testing.T) {
	folder := t.TempDir()
	f, err := sqlite.Open(t.Context(), filepath.Join(folder, "watchword.db"))
	opened(t, f, err)
	k := newKit(t, func(_ *Config, c *watchword.Config) { c.Factors = f })
	var secrets [][]byte
	for _, strategy := range []string{"totp", "hotp"} {
		d := k.enrol(strategy, "user_42")
		secret, err := unpaddedBase32.DecodeString(d.secret)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	var dump []byte
	files, _ := filepath.Glob(filepath.Join(folder, "*"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dump = append(dump, data...)
	}
	if !bytes.Contains(dump, []byte("user_42")) {
		t.Fatal("the factors are not in the files: nothing was tested")
	}
	for _, secret := range secrets {
		if in := findSecret(dump, secret); in != "" {
			t.Errorf("the files hold a secret in %s", in)
		}
		if findSecret(append(dump, unpaddedBase32.EncodeToString(secret)...), secret) == "" {
			t.Error("a secret would not be found")
		}
	}
}

// The data of one row cannot be decrypted in another row, nor in another version of the same row.
func testExchangedRowsAreUnreadable(t *testing.T, k *kit) {
	mine, theirs := k.enrol("totp", "user_42"), k.enrol("totp", "user_43")
	k.advance(step)
	read := func(id string) watchword.SealedFactor {
		t.Helper()
		for { // the first version is the one with the enrolment's note, which is erased soon
			s, err := k.config.Factors.Get(t.Context(), k.App(), id)
			if err != nil {
				t.Fatal(err)
			}
			if s.Version > 1 {
				return s
			}
			time.Sleep(time.Millisecond)
		}
	}
	put := func(s watchword.SealedFactor, data []byte) {
		t.Helper()
		s.Data = data
		if err := k.config.Factors.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	a, b := read(mine.id), read(theirs.id)
	put(a, b.Data)
	put(b, a.Data)
	for subject, code := range map[string]string{"user_42": theirs.codeAt(k.time()), "user_43": mine.codeAt(k.time())} {
		_, err := k.Start(context.Background(), watchword.StartRequest{Strategy: "totp", Purpose: "sign_in", Subject: subject})
		if err == nil {
			err = k.checkCode("totp", subject, code)
		}
		if err == nil {
			t.Errorf("%s signs in with a row that belongs to somebody else", subject)
		}
	}
	put(read(mine.id), a.Data)
	if f, err := k.GetFactor(t.Context(), mine.id); err != nil || !f.Disabled {
		t.Error("an older state of the row opens: its spent codes would pass again")
	}
}

// If an encryption key is missing, the fault is the server's, even if the subject has other devices.
func TestStartIsUnavailableWhenTheDeviceKeyIsMissing(t *testing.T) {
	k := newKit(t)
	k.enrol("totp", "user_42")
	k.config.Keys = []watchword.Key{testKey(t, "another")}
	k.Engine = k.newNode()
	ask := watchword.StartRequest{Strategy: "totp", Purpose: "mfa", Subject: "user_42"}
	if _, err := k.Start(t.Context(), ask); !errors.Is(err, watchword.ErrUnavailable) {
		t.Errorf("start: %v", err)
	}
}
