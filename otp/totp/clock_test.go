package totp

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"pgregory.net/rapid"
)

const step = 30 * time.Second

// newDevice returns a TOTP key, its device, and a time well inside a step. Codes have eight digits, so that two steps
// practically never have the same code.
func newDevice() (*key, *device, time.Time) {
	k := &key{Secret: []byte("12345678901234567890"), Algorithm: SHA1, Digits: 8, Period: 30}
	d := &device{secret: unpaddedBase32.EncodeToString(k.Secret), algorithm: SHA1, digits: 8, period: step}
	return k, d, time.Unix(1_800_000_010, 0)
}

func TestAcceptStepAcceptsCodesWithinTheWindow(t *testing.T) {
	for _, c := range []struct {
		off    time.Duration
		window int64
		passes bool
	}{
		{-2 * step, 1, false}, {-step, 1, true}, {0, 1, true}, {step, 1, true}, {2 * step, 1, false},
		{-step, 0, false}, {0, 0, true}, {step, 0, false},
	} {
		k, d, now := newDevice()
		d.clockOffset = c.off
		if got := k.acceptStep(d.codeAt(now), k.stepAt(now), c.window); got != c.passes {
			t.Errorf("%s off, window %d: passes %t", c.off, c.window, got)
		}
	}
}

// One code outside the window reports nothing; the second consecutive one reports the offset. Both are refused and charged.
func TestVerifyReportsClockOffsetAfterTwoRefusedCodes(t *testing.T) {
	k := newKit(t)
	d := k.enrol("totp", "user_42")
	d.clockOffset = -70 * time.Second
	wrong := func(code string) watchword.Proof {
		t.Helper()
		proof, err := k.verifyDirectly("totp", "user_42", code)
		if !errors.Is(err, watchword.ErrMismatch) || len(proof.Compared) != 1 {
			t.Fatalf("far off: %v, compared with %d", err, len(proof.Compared))
		}
		if err := k.checkCode("totp", "user_42", code); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Fatalf("far off: %v", err)
		}
		return proof
	}
	k.advance(time.Hour)
	first := d.codeAt(k.time())
	if p := wrong(first); p.Extra != nil {
		t.Errorf("one code reports %v", p.Extra)
	}
	if p := wrong(first); p.Extra != nil {
		t.Errorf("one code twice reports %v", p.Extra)
	}
	k.advance(40 * time.Second)
	p := wrong(d.codeAt(k.time()))
	if got, ok := p.Extra[ClockOffset].(int); !ok || got < -85 || got > -55 {
		t.Errorf("two codes report %v, want about -70", p.Extra)
	}
	if got := k.onlyFactor("user_42"); got.Failures != 3 {
		t.Errorf("%d failures, want all three charged", got.Failures)
	}
	k.advance(40 * time.Second)
	wrong("000000")
	k.advance(40 * time.Second)
	if p := wrong(d.codeAt(k.time())); p.Extra != nil {
		t.Errorf("a code after a wrong one reports %v", p.Extra)
	}
}

// An offset is reported only after two consecutive codes with that offset, and it is right.
func TestReportedClockOffsetIsCorrect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, d, now := newDevice()
		seconds := rapid.Int64Range(61, 270).Draw(t, "seconds") * rapid.SampledFrom([]int64{-1, 1}).Draw(t, "sign")
		d.clockOffset = time.Duration(seconds) * time.Second
		for n := range 2 {
			now = now.Add(time.Duration(rapid.Int64Range(31, 300).Draw(t, "wait")) * time.Second)
			if k.acceptStep(d.codeAt(now), k.stepAt(now), 1) {
				t.Fatal("a code outside the window is accepted")
			}
			offset := k.trackRefusedStep(d.codeAt(now), now, 1)
			if (n == 1) != (offset != nil) {
				t.Fatalf("code %d: reported %v", n, offset)
			}
			if offset != nil && (*offset-d.clockOffset).Abs() > step/2 {
				t.Fatalf("reported %s, want %s", *offset, d.clockOffset)
			}
		}
	})
}

func TestTrackRefusedStepIgnoresSpentSteps(t *testing.T) {
	k, d, now := newDevice()
	early := d.codeAt(now.Add(-4 * step))
	if !k.acceptStep(d.codeAt(now), k.stepAt(now), 1) {
		t.Fatal("a right code does not pass")
	}
	if k.trackRefusedStep(early, now, 1); k.LastRefused != nil {
		t.Error("a code from before the last accepted one is remembered")
	}
}

// verifyDirectly calls the strategy without effects on the stores.
func (k *kit) verifyDirectly(strategy, subject, code string) (proof watchword.Proof, err error) {
	k.t.Helper()
	spy := &spy{Enroller: k.totp}
	if strategy == "hotp" {
		spy.Enroller = k.hotp
	}
	cfg := k.config
	cfg.Strategies, cfg.Factors = []watchword.Strategy{spy}, readOnly{cfg.Factors}
	e, err := watchword.New(cfg)
	if err != nil {
		k.t.Fatal(err)
	}
	s, err := e.Start(context.Background(), watchword.StartRequest{Strategy: strategy, Purpose: "mfa", Subject: subject})
	if err != nil {
		k.t.Fatal(err)
	}
	_, _ = e.Check(context.Background(), s.ID, watchword.CheckRequest{Purpose: "mfa", Subject: subject, Answer: watchword.Answer{Text: code}})
	return spy.proof, spy.err
}

// A spy records the results of a strategy.
type spy struct {
	watchword.Enroller
	proof watchword.Proof
	err   error
}

func (s *spy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	s.proof, s.err = s.Enroller.Verify(ctx, c, answer)
	return s.proof, s.err
}

// readOnly is a factor store that ignores updates.
type readOnly struct{ watchword.Factors }

func (readOnly) Update(context.Context, watchword.SealedFactor) error { return nil }

// onlyFactor returns the only factor of a subject.
func (k *kit) onlyFactor(subject string) watchword.Factor {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil || len(all) != 1 {
		k.t.Fatalf("%s has %d factors: %v", subject, len(all), err)
	}
	return all[0]
}

func (k *kit) hasEvent(event string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.events, event)
}
