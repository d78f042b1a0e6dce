// Package otp implements the strategy "otp": it verifies an address by a one-time code that is sent to it by SMS, voice,
// WhatsApp or e-mail.
//
// Start derives a code from the challenge, stores a keyed digest of it, and puts the message into the outbox. The code itself
// is never stored. When the person types the code, Check normalizes it, and the store compares digests in the same atomic
// step that charges the try. A resend sends the same code again, because an older text message may still arrive.
package otp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/internal/typed"
)

const (
	// Unambiguous is an alphabet without symbols that look alike (0 and O; 1, I and L; 2 and Z; 5 and S; 8 and B; U and V)
	// and without vowels, so that codes form no words.
	Unambiguous = "34679CDFGHJKMNPRTWXY"

	minLength, maxLength = 6, 10
)

// Config configures a Strategy. The zero value sends codes of six digits.
type Config struct {
	Length        int              // symbols of a code, 6 to 10; default 6
	Letters       bool             // use the alphabet Unambiguous instead of digits; case does not matter
	TestAddresses []TestIdentity   // for app review and end-to-end tests
	Clock         func() time.Time // default time.Now
	Logger        *slog.Logger     // receives warnings about test identities; default: nothing is logged
}

// A TestIdentity is an address with a fixed code, to which nothing is sent. All limits apply to it.
type TestIdentity struct {
	Address  string    // in normalized form
	Code     string    // in normalized form, of the configured length and alphabet
	Purposes []string  // for which it is valid; required
	Until    time.Time // when it expires, at most 90 days ahead; required
}

const maxTestLifetime = 90 * 24 * time.Hour

// A Strategy sends codes. It implements watchword.Matcher and is safe for concurrent use.
type Strategy struct {
	alphabet       string
	length         int
	letters        bool
	testIdentities map[string]TestIdentity
	logger         *slog.Logger
	properties     watchword.StrategyProperties
}

var _ watchword.Matcher = (*Strategy)(nil)

// New returns a Strategy, or an error with all invalid settings.
func New(cfg Config) (*Strategy, error) {
	s := &Strategy{alphabet: typed.Digits, length: cfg.Length, letters: cfg.Letters, testIdentities: map[string]TestIdentity{}, logger: cfg.Logger}
	now := time.Now()
	if cfg.Clock != nil {
		now = cfg.Clock()
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.letters {
		s.alphabet = Unambiguous
	}
	if s.length == 0 {
		s.length = minLength
	}
	var problems []error
	if s.length < minLength || s.length > maxLength {
		problems = append(problems, setting.Errorf("Length", "a code has %d to %d symbols, not %d", minLength, maxLength, s.length))
	}
	for i, t := range cfg.TestAddresses {
		problems = append(problems, s.addTestIdentity(fmt.Sprintf("TestAddresses[%d]", i), t, now)...)
	}
	s.properties = watchword.StrategyProperties{Group: watchword.GroupAddress, SendsMessages: true, Strength: watchword.StrengthSent, Ask: watchword.AskCode,
		Typed:       watchword.Typed{Alphabet: s.alphabet, Min: s.length, Max: s.length},
		AnswerSpace: math.Pow(float64(len(s.alphabet)), float64(s.length)), RightAnswers: 1}
	return s, errors.Join(problems...)
}

func (s *Strategy) addTestIdentity(field string, t TestIdentity, now time.Time) (problems []error) {
	refuse := func(bad bool, name, format string, args ...any) {
		if bad {
			problems = append(problems, setting.Errorf(field+name, format, args...))
		}
	}
	code, ok := s.codeShape().Fold(t.Code)
	refuse(t.Address == "", ".Address", "missing")
	refuse(!ok || code != t.Code, ".Code", "needs %d symbols of %s", s.length, s.alphabet)
	refuse(len(t.Purposes) == 0, ".Purposes", "missing: those that the test identity may be used for")
	refuse(t.Until.IsZero() || t.Until.After(now.Add(maxTestLifetime)), ".Until", "needs an expiry date at most 90 days ahead")
	if len(problems) == 0 {
		s.testIdentities[t.Address] = t
		s.logger.Warn("test identity with a fixed code configured", "purposes", t.Purposes, "until", t.Until)
	}
	return problems
}

// Name returns "otp".
func (s *Strategy) Name() string { return "otp" }

// Properties returns the properties of the strategy: codes are sent, and wrong answers count against the address.
func (s *Strategy) Properties() watchword.StrategyProperties { return s.properties }

// Begin derives the code. It is always the same for the same challenge, so that it can be sent again.
func (s *Strategy) Begin(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	code := c.DeriveCode("otp", s.alphabet, s.length)
	test, silent := s.findTestIdentity(c)
	if silent {
		s.logger.Warn("test identity used: the code is fixed and nothing is sent", "challenge", c.ID, "purpose", c.Purpose)
		code = watchword.NewCode(test.Code)
	}
	prompt := watchword.Prompt{Ask: watchword.AskCode, Accepts: []watchword.Code{code}, Code: code, Silent: silent}
	prompt.Public = map[string]any{"length": s.length, "alphabet": s.alphabet}
	if s.letters {
		prompt.Public["letters"] = true // so that pages show no numeric keyboard
	}
	return prompt, nil
}

func (s *Strategy) findTestIdentity(c *watchword.Challenge) (TestIdentity, bool) {
	t, ok := s.testIdentities[c.Address]
	return t, ok && c.Now().Before(t.Until) && slices.Contains(t.Purposes, c.Purpose)
}

// Candidates returns the normalized answer, or nothing if the answer cannot be a code.
func (s *Strategy) Candidates(a watchword.Answer) []watchword.Candidate {
	code, ok := s.codeShape().Fold(a.Text)
	if !ok {
		return nil
	}
	return []watchword.Candidate{{Text: code}}
}

func (s *Strategy) codeShape() typed.Shape {
	return typed.Shape{Alphabet: s.alphabet, Min: s.length, Max: s.length}
}

// AMR returns "otp", and "sms" or "tel" if the code was sent over that channel. RFC 8176 has no value for e-mail.
func (s *Strategy) AMR(c *watchword.Challenge) []string {
	switch c.SentChannel() {
	case "sms":
		return []string{"otp", "sms"}
	case "voice":
		return []string{"otp", "tel"}
	}
	return []string{"otp"}
}
