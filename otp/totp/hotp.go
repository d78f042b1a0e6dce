package totp

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

// A HOTP verifies the codes of counter-based tokens. It implements watchword.Enroller and is safe for concurrent use.
type HOTP struct{ config HOTPConfig }

var (
	_ watchword.Enroller   = (*HOTP)(nil)
	_ watchword.DecoyMaker = (*HOTP)(nil)
)

// NewHOTP returns a HOTP, or an error with all invalid settings.
func NewHOTP(cfg HOTPConfig) (*HOTP, error) {
	if cfg.Digits == 0 {
		cfg.Digits = defaultDigits
	}
	return &HOTP{cfg}, errors.Join(checkIssuer(cfg.Issuer), checkDigits(cfg.Digits))
}

// Name returns "hotp".
func (s *HOTP) Name() string { return "hotp" }

// Properties returns the properties of the strategy: wrong answers count against the subject, and the codes of three counters
// are right at a time.
func (s *HOTP) Properties() watchword.StrategyProperties {
	props := newProperties(acceptedCounters)
	props.Source = watchword.SourceToken
	return props
}

// Begin asks for a code, like Strategy.Begin.
func (s *HOTP) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginCheck(ctx, c)
}

// Verify compares the code with the subject's tokens, like Strategy.Verify.
func (s *HOTP) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	return verifyCode(ctx, c, answer, checkCounter)
}

// BeginEnrol returns a secret that is derived from the challenge, for a token whose counter is 0.
func (s *HOTP) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	return beginEnrol(c, s.newKeySettings(), s.Name(), s.config.Issuer)
}

// newKeySettings returns the settings of new keys.
func (s *HOTP) newKeySettings() key { return key{Algorithm: SHA1, Digits: s.config.Digits} }

// DecoyFactor returns the data of a token that does not exist, with the settings of new tokens.
func (s *HOTP) DecoyFactor(c *watchword.Challenge) ([]byte, error) {
	return newDecoyData(c, s.newKeySettings())
}

// VerifyEnrol returns the factor of the token that the first code proves. The code's counter is spent.
func (s *HOTP) VerifyEnrol(_ context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	return verifyEnrol(c, answer, checkCounter)
}

func checkCounter(k *key, code string) (bool, *time.Duration) { return k.acceptCounter(code), nil }
