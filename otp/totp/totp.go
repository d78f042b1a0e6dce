package totp

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
)

// ClockOffset is a name in the Extra of a refused Proof. The value is an int: by how many seconds the device's clock is ahead,
// or behind if negative. It is exact to about half a step.
const ClockOffset = "clock_offset_seconds"

// maxTries is the number of tries of a challenge. Guessing three codes of six digits, of which three are right at a time,
// succeeds in about one of 100,000 challenges.
const maxTries = 3

// A Strategy verifies the codes of authenticator apps. It implements watchword.Enroller and is safe for concurrent use.
type Strategy struct {
	config      Config
	windowSteps int64
}

var (
	_ watchword.Enroller   = (*Strategy)(nil)
	_ watchword.DecoyMaker = (*Strategy)(nil)
)

// New returns a Strategy, or an error with all invalid settings. Config.Warnings lists settings that are valid but not
// recommended.
func New(cfg Config) (*Strategy, error) {
	cfg.setDefaults()
	s := &Strategy{config: cfg, windowSteps: 1}
	if cfg.Exact {
		s.windowSteps = 0
	}
	return s, cfg.check()
}

// Name returns "totp".
func (s *Strategy) Name() string { return "totp" }

// Properties returns the properties of the strategy: wrong answers count against the subject. The code space is that of six
// digits, because a subject may have such a device whatever new devices get.
func (s *Strategy) Properties() watchword.StrategyProperties {
	props := newProperties(int(1 + 2*s.windowSteps))
	props.Source = watchword.SourceApp
	return props
}

// Begin asks for a code. The error is watchword.ErrNotEnrolled if the subject has no device, or the reason why no device can be
// used now.
func (s *Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginCheck(ctx, c)
}

// Verify compares the code with the subject's devices. If a device matches, Proof.Spend is its factor with the code spent.
// Otherwise the error is watchword.ErrMismatch and Proof.Compared holds all compared factors, to be stored with one more
// failure each.
func (s *Strategy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	return verifyCode(ctx, c, answer, s.checkStep(c.Now()))
}

// BeginEnrol returns a secret that is derived from the challenge.
func (s *Strategy) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginEnrol(c, s.newKeySettings(), s.Name(), s.config.Issuer)
}

// newKeySettings returns the settings of new keys.
func (s *Strategy) newKeySettings() key {
	return key{Algorithm: s.config.Algorithm, Digits: s.config.Digits, Period: int64(s.config.Period / time.Second)}
}

// DecoyFactor returns the data of a device that does not exist, with the settings of new devices.
func (s *Strategy) DecoyFactor(c *watchword.Challenge) ([]byte, error) {
	return newDecoyData(c, s.newKeySettings())
}

// VerifyEnrol returns the factor of the device that the first code proves. The code's step is spent.
func (s *Strategy) VerifyEnrol(_ context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	return verifyEnrol(c, answer, s.checkStep(c.Now()))
}

func (s *Strategy) checkStep(now time.Time) codeCheck {
	return func(k *key, code string) (bool, *time.Duration) {
		if k.acceptStep(code, k.stepAt(now), s.windowSteps) {
			return true, nil
		}
		return false, k.trackRefusedStep(code, now, s.windowSteps)
	}
}

func newProperties(accepted int) watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupSubject, Subject: true, Tries: maxTries, AnswerSpace: 1e6, RightAnswers: accepted, Strength: watchword.StrengthOTP, Ask: watchword.AskCode,
		Typed: watchword.Typed{Alphabet: typed.Digits, Min: minDigits, Max: maxDigits}}
}
