package totp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
)

// A codeCheck verifies a code of the right length against one key and updates the key, whether the code is accepted or not.
// offset is how far the device's clock is off; nil if unknown.
type codeCheck func(k *key, code string) (passed bool, offset *time.Duration)

// beginCheck asks for a code if a device may answer. Prompt.Public has the length of the code if all devices agree on it.
func beginCheck(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	devices, err := usableDevices(ctx, c)
	if err != nil {
		return watchword.Prompt{}, err
	}
	prompt := watchword.Prompt{Ask: watchword.AskCode}
	if digits := commonDigits(devices); digits != 0 {
		prompt.Public = map[string]any{"length": digits, "alphabet": typed.Digits}
	}
	return prompt, nil
}

// commonDigits returns the number of digits of all devices' codes, or 0 if they differ.
func commonDigits(devices []watchword.Factor) (digits int) {
	for _, f := range devices {
		k, err := decodeKey(f.Data)
		if err != nil || digits != 0 && k.Digits != digits {
			return 0
		}
		digits = k.Digits
	}
	return digits
}

// usableDevices returns the devices that may answer now: the one that the challenge names, or all that are neither disabled nor
// temporarily locked. If there is none, the error is the reason: a fault of the server, or else the refusal of the device
// that is usable first.
func usableDevices(ctx context.Context, c *watchword.Challenge) ([]watchword.Factor, error) {
	enrolled, err := c.Factors(ctx)
	if err != nil {
		return nil, err
	}
	var out []watchword.Factor
	var fault error
	refusal := error(watchword.ErrNotEnrolled)
	if c.Factor != "" {
		refusal = watchword.ErrUnknownFactor
	}
	for _, f := range enrolled {
		if c.Factor != "" && f.ID != c.Factor {
			continue
		}
		if err := f.Usable(c); errors.Is(err, watchword.ErrUnavailable) {
			fault = err
			continue
		} else if err != nil {
			refusal = chooseRefusal(refusal, err)
			continue
		}
		out = append(out, f)
	}
	switch {
	case len(out) == 0 && fault != nil:
		return nil, fault
	case len(out) == 0:
		return nil, refusal
	}
	return out, nil
}

// chooseRefusal returns the error of the device that is usable first: a temporarily locked one before a disabled one before
// none.
func chooseRefusal(a, b error) error {
	wait := func(err error) time.Duration {
		var known *watchword.Error
		if errors.As(err, &known) {
			return known.RetryAfter
		}
		return 0
	}
	if wait(b) == 0 && wait(a) > 0 || wait(a) > 0 && wait(a) < wait(b) {
		return a
	}
	return b
}

func verifyCode(ctx context.Context, c *watchword.Challenge, answer string, try codeCheck) (watchword.Proof, error) {
	devices, err := usableDevices(ctx, c)
	if err != nil {
		return watchword.Proof{}, err
	}
	var refused watchword.Proof
	for _, f := range devices {
		k, err := parseKey(f.Data)
		if err != nil {
			return watchword.Proof{}, err
		}
		if len(answer) != k.Digits {
			continue
		}
		passed, offset := try(k, answer)
		if f.Data, err = k.encode(); err != nil {
			return watchword.Proof{}, err
		}
		if passed {
			return watchword.Proof{AMR: []string{"otp"}, Spend: &f}, nil
		}
		refused.Compared = append(refused.Compared, f)
		if offset != nil {
			refused.Extra = map[string]any{ClockOffset: int(offset.Seconds())}
		}
	}
	return refused, watchword.ErrMismatch
}

// newDecoyData returns the data of a device that does not exist.
func newDecoyData(c *watchword.Challenge, settings key) ([]byte, error) {
	_, size, _ := settings.Algorithm.parameters()
	for part := 0; len(settings.Secret) < size; part++ {
		settings.Secret = append(settings.Secret, c.DeriveBytes(fmt.Sprintf("decoy %d", part), min(size-len(settings.Secret), 32))...)
	}
	return settings.encode()
}
