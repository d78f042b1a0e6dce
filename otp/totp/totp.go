package totp

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
)

// ClockOffset is a name in the Extra of a refused Proof: by how many seconds the device's clock seems to be off, as an
// int, negative if it is behind. It is exact to about half a step.
const ClockOffset = "clock_offset_seconds"

// maxTries of a challenge: three codes of six digits, each right in three ways, are guessed once in 100,000 challenges.
const maxTries = 3

// A Strategy checks the codes of authenticator apps. It is a watchword.Enroller.
type Strategy struct {
	config      Config
	windowSteps int64
}

var (
	_ watchword.Enroller   = (*Strategy)(nil)
	_ watchword.DecoyMaker = (*Strategy)(nil)
)

// New makes the strategy, or reports everything that is wrong with its settings. What is allowed but unwise,
// Config.Warnings says.
func New(cfg Config) (*Strategy, error) {
	cfg.setDefaults()
	s := &Strategy{config: cfg, windowSteps: 1}
	if cfg.Exact {
		s.windowSteps = 0
	}
	return s, cfg.check()
}

// Name is "totp".
func (s *Strategy) Name() string { return "totp" }

// StrategyProperties says that guesses are counted by subject. The code space is that of six digits, whatever new devices get.
func (s *Strategy) Properties() watchword.StrategyProperties {
	return newProperties(int(1 + 2*s.windowSteps))
}

// Begin asks for a code. ErrNotEnrolled if the subject has no device, or why none of them can be used now.
func (s *Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginCheck(ctx, c)
}

// Verify compares the code with the subject's devices. Proof.Spend is the one whose code it is, one step on; beside
// ErrMismatch, Proof.Compared is all of them, as they are to be stored with one failure more.
func (s *Strategy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	return verifyCode(ctx, c, answer, s.checkStep(c.Now()))
}

// BeginEnrol shows a secret that is derived from the challenge.
func (s *Strategy) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginEnrol(c, s.newKeySettings(), s.Name(), s.config.Issuer)
}

// newKeySettings are those of a new key.
func (s *Strategy) newKeySettings() key {
	return key{Algorithm: s.config.Algorithm, Digits: s.config.Digits, Period: int64(s.config.Period / time.Second)}
}

// DecoyFactor makes a device that nobody has, like one that is enrolled now.
func (s *Strategy) DecoyFactor(c *watchword.Challenge) ([]byte, error) {
	return newDecoyData(c, s.newKeySettings())
}

// VerifyEnrol returns the device that the first code proves; the code's step is spent.
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
	return watchword.StrategyProperties{Group: watchword.GroupSubject, Subject: true, Tries: maxTries, Space: 1e6, RightAnswers: accepted, Strength: watchword.StrengthOTP,
		Typed: watchword.Typed{Alphabet: typed.Digits, Min: minDigits, Max: maxDigits}}
}
