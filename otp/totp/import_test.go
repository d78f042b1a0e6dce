package totp

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

const knownSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // 12345678901234567890, of the RFCs

func TestImportedDeviceIsAccepted(t *testing.T) {
	s, err := New(Config{Issuer: "Shop", Digits: 8})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHOTP(HOTPConfig{Issuer: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	existing := func(change func(*ImportedDevice)) ImportedDevice {
		e := ImportedDevice{Subject: "user_42", ID: "row 7", Secret: watchword.NewCode(knownSecret)}
		change(&e)
		return e
	}
	plain := existing(func(*ImportedDevice) {})
	for name, c := range map[string]struct {
		e          ImportedDevice
		totp, hotp bool
	}{
		"plain":          {plain, true, true},
		"lower case":     {existing(func(e *ImportedDevice) { e.Secret = watchword.NewCode("gezd gnbv-gy3t qojq gezd gnbv gy3t qojq") }), true, true},
		"padded":         {existing(func(e *ImportedDevice) { e.Secret = watchword.NewCode("GEZDGNBVGY3TQOJQGEZDGNBVGY======") }), true, true},
		"128 bits":       {existing(func(e *ImportedDevice) { e.Secret = watchword.NewCode("GEZDGNBVGY3TQOJQGEZDGNBVGY") }), true, true},
		"120 bits":       {existing(func(e *ImportedDevice) { e.Secret = watchword.NewCode("GEZDGNBVGY3TQOJQGEZDGNBV") }), false, false},
		"no secret":      {existing(func(e *ImportedDevice) { e.Secret = watchword.Code{} }), false, false},
		"no base32":      {existing(func(e *ImportedDevice) { e.Secret = watchword.NewCode(knownSecret[:31] + "1") }), false, false},
		"not ASCII":      {existing(func(e *ImportedDevice) { e.Secret = watchword.NewCode(knownSecret + "é") }), false, false},
		"no subject":     {existing(func(e *ImportedDevice) { e.Subject = "" }), false, false},
		"no id":          {existing(func(e *ImportedDevice) { e.ID = "" }), false, false},
		"nine digits":    {existing(func(e *ImportedDevice) { e.Digits = 9 }), false, false},
		"SHA-256":        {existing(func(e *ImportedDevice) { e.Algorithm = SHA256 }), true, false},
		"MD5":            {existing(func(e *ImportedDevice) { e.Algorithm = "MD5" }), false, false},
		"a minute":       {existing(func(e *ImportedDevice) { e.Period = time.Minute }), true, false},
		"an hour":        {existing(func(e *ImportedDevice) { e.Period = time.Hour }), false, false},
		"a counter":      {existing(func(e *ImportedDevice) { e.Counter = 5 }), false, true},
		"less than zero": {existing(func(e *ImportedDevice) { e.Counter = -1 }), false, false},
	} {
		f, err := s.Import(c.e)
		g, err2 := h.Import(c.e)
		if (err == nil) != c.totp || (err2 == nil) != c.hotp {
			t.Errorf("%s: totp %v, hotp %v", name, err, err2)
		}
		if err == nil && err2 == nil && f.ID == g.ID {
			t.Errorf("%s: both strategies make the factor %s", name, f.ID)
		}
		if err != nil && c.e.Secret.Reveal() != "" && strings.Contains(err.Error(), c.e.Secret.Reveal()) {
			t.Errorf("%s: the error contains the secret: %v", name, err)
		}
	}
	f, _ := s.Import(plain)
	again, _ := s.Import(existing(func(e *ImportedDevice) { e.Label = "phone" }))
	other, _ := s.Import(existing(func(e *ImportedDevice) { e.ID = "row 8" }))
	if f.ID != again.ID || f.ID == other.ID || again.Label != "phone" {
		t.Error("the id does not follow from subject and id alone")
	}
	k, err := parseKey(f.Data)
	if err != nil || string(k.Secret) != "12345678901234567890" || k.Digits != 6 || !k.acceptStep("287082", 1, 0) {
		t.Errorf("what was imported does not count as before: %+v, %v", k, err)
	}
}

func FuzzDecodeSecret(f *testing.F) {
	f.Add(knownSecret)
	f.Add("gezd-gnbv gy3t qojq==")
	f.Add("====")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := decodeSecret(text)
		if err != nil {
			return
		}
		again, err := decodeSecret(unpaddedBase32.EncodeToString(secret))
		if len(secret) < minSecret || err != nil || !bytes.Equal(secret, again) {
			t.Errorf("%q is read as %d bytes, and these as others (%v)", text, len(secret), err)
		}
	})
}
