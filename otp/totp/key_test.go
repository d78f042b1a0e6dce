package totp

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed/typedtest"
)

// RFC 4226 appendix D.
func TestGenerateCodeMatchesRFC4226Vectors(t *testing.T) {
	v := vectors(t)
	k := key{Secret: []byte(v.HOTP.Secret), Algorithm: SHA1, Digits: v.HOTP.Digits}
	for n, want := range v.HOTP.Codes {
		if got := k.generateCode(unpaddedBase32.EncodeToString(k.Secret), int64(n)); got != want {
			t.Errorf("counter %d: %s, want %s", n, got, want)
		}
		fresh := k
		if fresh.NextCounter = int64(n); !fresh.acceptCounter(want) || fresh.NextCounter != int64(n)+1 {
			t.Errorf("counter %d: %s does not pass", n, want)
		}
	}
}

// RFC 6238 appendix B with errata 2866, including T = 20000000000.
func TestGenerateCodeMatchesRFC6238Vectors(t *testing.T) {
	v := vectors(t)
	latest := int64(0)
	for _, c := range v.TOTP.Cases {
		now := time.Unix(int64(c["time"].(float64)), 0)
		latest = max(latest, now.Unix())
		for algorithm, secret := range v.TOTP.Secret {
			code := c[string(algorithm)].(string)
			k := &key{Secret: []byte(secret), Algorithm: algorithm, Digits: v.TOTP.Digits, Period: v.TOTP.Period}
			if !k.acceptStep(code, k.stepAt(now), 0) || k.NextCounter != now.Unix()/30+1 {
				t.Errorf("%s at %d: %s does not pass", algorithm, now.Unix(), code)
			}
			d := device{secret: unpaddedBase32.EncodeToString(k.Secret), algorithm: algorithm, digits: 8, period: 30 * time.Second}
			if d.codeAt(now) != code {
				t.Errorf("%s at %d: the tests' own device shows %s, want %s", algorithm, now.Unix(), d.codeAt(now), code)
			}
		}
	}
	if latest != 20000000000 {
		t.Errorf("the latest vector is of T = %d", latest)
	}
}

// For random secrets, algorithms, digits and times, the code of an independent device is accepted at its step. It is then
// spent, and so is the step before.
func TestAcceptStepAcceptsEachCodeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &key{
			Secret:    rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "secret"),
			Algorithm: rapid.SampledFrom([]Algorithm{SHA1, SHA256, SHA512}).Draw(t, "algorithm"),
			Digits:    rapid.IntRange(6, 8).Draw(t, "digits"),
			Period:    rapid.Int64Range(15, 120).Draw(t, "period"),
		}
		now := time.Unix(rapid.Int64Range(1e9, 2e10).Draw(t, "now"), 0)
		d := device{secret: unpaddedBase32.EncodeToString(k.Secret), algorithm: k.Algorithm, digits: k.Digits, period: time.Duration(k.Period) * time.Second}
		d.clockOffset = time.Duration(rapid.Int64Range(-1, 1).Draw(t, "steps")) * d.period
		present := k.stepAt(now)
		if !k.acceptStep(d.codeAt(now), present, 1) {
			t.Fatal("a right code does not pass")
		}
		for _, before := range []time.Duration{0, -d.period} {
			old := d.codeAt(now.Add(before))
			if old == d.codeAt(now.Add(d.period)) || old == d.codeAt(now.Add(2*d.period)) {
				t.Skip("two steps that share a code")
			}
			if k.acceptStep(old, present, 1) {
				t.Fatalf("a code passes again, of %s before", before)
			}
		}
	})
}

// The step is spent, not the text: another spelling of a spent code is refused.
func TestCheckRefusesSpentCodeInAnySpelling(t *testing.T) {
	k := newKit(t)
	d := k.enrol("totp", "user_42")
	k.advance(30 * time.Second)
	code := d.codeAt(k.time())
	spelled := typedtest.Spellings(code)
	if err := k.checkCode("totp", "user_42", spelled[3]); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(spelled); n += 23 { // nine failures; the tenth would lock the factor for an hour
		if err := k.checkCode("totp", "user_42", spelled[n]); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Errorf("%+q after the code is spent: %v", spelled[n], err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	k := &key{Secret: []byte("12345678901234567890"), Algorithm: SHA1, Digits: 6, Period: 30}
	present := int64(37037036) // of RFC 6238 appendix B: T = 1111111109
	right := map[string]bool{}
	for n := present - 1; n <= present+1; n++ {
		right[k.generateCode(unpaddedBase32.EncodeToString(k.Secret), n)] = true
	}
	f.Add("081804")
	f.Add(" 081804")
	f.Add("０81804")
	f.Fuzz(func(t *testing.T, answer string) {
		fresh := *k
		passes := fresh.acceptStep(answer, present, 1)
		if passes != right[answer] {
			t.Errorf("%q passes: %t", answer, passes)
		}
	})
}

func TestParseKeyRefusesDamagedData(t *testing.T) {
	whole := key{Secret: []byte("12345678901234567890"), Algorithm: SHA256, Digits: 8, Period: 30, NextCounter: 1 << 40, Drift: -3, LastOffset: -4, LastRefused: &refusedCode{Counter: 7, Offset: -2}}
	data, err := whole.encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := parseKey(data); err != nil || !reflect.DeepEqual(*back, whole) {
		t.Fatalf("%+v %v", back, err)
	}
	for n := range len(data) - len(whole.Secret) + 1 {
		if k, err := parseKey(data[:n]); err == nil {
			t.Errorf("%d bytes of it are the key %+v", n, k)
		}
	}
	for name, change := range map[string]func([]byte){
		"format": func(d []byte) { d[0]++ }, "algorithm": func(d []byte) { d[1] = 6 }, "negative algorithm": func(d []byte) { d[1] = 1 }, "digits": func(d []byte) { d[2] = 60 },
	} {
		changed := bytes.Clone(data)
		change(changed)
		if _, err := parseKey(changed); err == nil {
			t.Errorf("another %s is a key", name)
		}
	}
	if _, err := (&key{Algorithm: "MD5"}).encode(); err == nil {
		t.Error("an unknown algorithm was written")
	}
}

func TestNewRefusesInvalidSettings(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		ok  bool
	}{
		{Config{Issuer: "Shop"}, true},
		{Config{Issuer: "Shop", Algorithm: SHA512, Digits: 8, Period: 2 * time.Minute, Exact: true}, true},
		{Config{}, false},
		{Config{Issuer: "  "}, false},
		{Config{Issuer: "Shop\n"}, false},
		{Config{Issuer: "Shop\xff"}, false},
		{Config{Issuer: strings.Repeat("x", 101)}, false},
		{Config{Issuer: "Shop", Algorithm: "MD5"}, false},
		{Config{Issuer: "Shop", Digits: 5}, false},
		{Config{Issuer: "Shop", Digits: 9}, false},
		{Config{Issuer: "Shop", Period: time.Second}, false},
		{Config{Issuer: "Shop", Period: 121 * time.Second}, false},
		{Config{Issuer: "Shop", Period: 30500 * time.Millisecond}, false},
	} {
		if _, err := New(c.cfg); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	if _, err := NewHOTP(HOTPConfig{Issuer: "Shop", Digits: 9}); err == nil {
		t.Error("a token of nine digits is allowed")
	}
}

func TestWarningsNameUnusualSettings(t *testing.T) {
	if w := (Config{Issuer: "Shop"}).Warnings(); len(w) != 0 {
		t.Errorf("the defaults warn: %q", w)
	}
	w := strings.Join(Config{Algorithm: SHA256, Digits: 8, Period: time.Minute}.Warnings(), "\n")
	for _, what := range []string{"SHA256", "8 digits", "60 seconds"} {
		if !strings.Contains(w, what) {
			t.Errorf("no warning about %s in %q", what, w)
		}
	}
}

// The number of tries and of right codes must keep the chance of guessing below the engine's limit of 1 in 100,000.
func TestNewRefusesSettingsThatAreTooEasyToGuess(t *testing.T) {
	s, _ := New(Config{Issuer: "Shop"})
	h, _ := NewHOTP(HOTPConfig{Issuer: "Shop"})
	exact, _ := New(Config{Issuer: "Shop", Exact: true})
	for _, c := range []struct {
		s        watchword.Strategy
		accepted int
	}{{s, 3}, {h, 3}, {exact, 1}} {
		if got := c.s.Properties(); got.RightAnswers != c.accepted || float64(got.Tries*got.RightAnswers)/got.AnswerSpace > 1e-5 {
			t.Errorf("%s: %s", c.s.Name(), fmt.Sprintf("%+v", got))
		}
	}
}
