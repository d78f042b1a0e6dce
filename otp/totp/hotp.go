package totp

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

// A HOTP checks the codes of tokens that count. It is a watchword.Enroller.
type HOTP struct{ config HOTPConfig }

var (
	_ watchword.Enroller   = (*HOTP)(nil)
	_ watchword.DecoyMaker = (*HOTP)(nil)
)

// NewHOTP makes the strategy, or reports everything that is wrong with its settings.
func NewHOTP(cfg HOTPConfig) (*HOTP, error) {
	if cfg.Digits == 0 {
		cfg.Digits = defaultDigits
	}
	return &HOTP{cfg}, errors.Join(checkIssuer(cfg.Issuer), checkDigits(cfg.Digits))
}

// Name is "hotp".
func (s *HOTP) Name() string { return "hotp" }

// StrategyProperties says that guesses are counted by subject, and that three counters pass.
func (s *HOTP) Properties() watchword.StrategyProperties { return newProperties(acceptedCounters) }

// Begin is Strategy.Begin.
func (s *HOTP) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginCheck(ctx, c)
}

// Verify is Strategy.Verify with counters for steps.
func (s *HOTP) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	return verifyCode(ctx, c, answer, checkCounter)
}

// BeginEnrol shows a secret that is derived from the challenge, to be counted from 0.
func (s *HOTP) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginEnrol(c, s.newKeySettings(), s.Name(), s.config.Issuer)
}

// newKeySettings are those of a new key.
func (s *HOTP) newKeySettings() key { return key{Algorithm: SHA1, Digits: s.config.Digits} }

// DecoyFactor makes a token that nobody has, like one that is enrolled now.
func (s *HOTP) DecoyFactor(c *watchword.Challenge) ([]byte, error) {
	return newDecoyData(c, s.newKeySettings())
}

// VerifyEnrol returns the token that the first code proves; the code's counter is spent.
func (s *HOTP) VerifyEnrol(_ context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	return verifyEnrol(c, answer, checkCounter)
}

func checkCounter(k *key, code string) (bool, *time.Duration) { return k.acceptCounter(code), nil }
