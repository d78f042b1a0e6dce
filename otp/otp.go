// Package otp proves an address by a code that is sent to it: by SMS, voice, WhatsApp or e-mail.
//
// The ceremony: Start derives a code from the challenge (nothing code-like is stored), keeps a keyed digest of it and
// hands the message to the outbox. The person types the code; Check turns it into the one spelling that counts and
// the store compares digests in the same step that charges the try. A resend sends the same code again, because text
// messages are slow and the older one may still arrive.
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
	// Unambiguous is an alphabet whose symbols are not mistaken for one another: none of 0 and O, 1, I and L, 2 and Z,
	// 5 and S, 8 and B, U and V; and no vowels, which would spell words.
	Unambiguous = "34679CDFGHJKMNPRTWXY"

	minLength, maxLength = 6, 10
)

// Config says what codes look like. The zero value is six digits.
type Config struct {
	Length        int              // 6 to 10; default 6
	Letters       bool             // of the alphabet Unambiguous instead of digits; case does not matter then
	TestAddresses []TestIdentity   // for app review and end-to-end tests
	Clock         func() time.Time // default time.Now
	Logger        *slog.Logger     // hears loudly of test identities; default: nobody
}

// A TestIdentity answers with a fixed code and is never sent anything. It is counted and limited like everybody else.
type TestIdentity struct {
	Address  string // literally, in canonical form
	Code     string
	Purposes []string  // the only ones it works for
	Until    time.Time // at most 90 days ahead
}

const maxTestLifetime = 90 * 24 * time.Hour

// A Strategy sends codes. It is a watchword.Matcher.
type Strategy struct {
	alphabet       string
	length         int
	letters        bool
	testIdentities map[string]TestIdentity
	logger         *slog.Logger
}

var _ watchword.Matcher = (*Strategy)(nil)

// New makes the strategy, or reports everything that is wrong with its settings.
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
		s.logger.Warn("a test identity with a fixed code is configured", "purposes", t.Purposes, "until", t.Until)
	}
	return problems
}

// Name is "otp".
func (s *Strategy) Name() string { return "otp" }

// StrategyProperties says that codes are sent, and that guesses are counted by address.
func (s *Strategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupAddress, Sends: true, Strength: watchword.StrengthSent,
		Typed: watchword.Typed{Alphabet: s.alphabet, Min: s.length, Max: s.length},
		Space: math.Pow(float64(len(s.alphabet)), float64(s.length)), RightAnswers: 1}
}

// Begin derives the code: always the same for the same challenge, so that it can be sent again.
func (s *Strategy) Begin(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	code := c.DeriveCode("otp", s.alphabet, s.length)
	test, silent := s.findTestIdentity(c)
	if silent {
		s.logger.Warn("a test identity is used: its code is fixed and nothing is sent", "challenge", c.ID, "purpose", c.Purpose)
		code = watchword.NewCode(test.Code)
	}
	prompt := watchword.Prompt{Ask: watchword.AskCode, Accepts: []watchword.Code{code}, Code: code, Silent: silent}
	if s.letters {
		prompt.Public = map[string]any{"letters": true} // so that a page does not show digits only to type on
	}
	return prompt, nil
}

func (s *Strategy) findTestIdentity(c *watchword.Challenge) (TestIdentity, bool) {
	t, ok := s.testIdentities[c.Address]
	return t, ok && c.Now().Before(t.Until) && slices.Contains(t.Purposes, c.Purpose)
}

// Candidates is the answer, if it is a code at all.
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

// AMR is "otp", with "sms" or "tel" where the code really went that way. A mailbox adds nothing: e-mail is no
// out-of-band factor, and RFC 8176 has no value for it.
func (s *Strategy) AMR(c *watchword.Challenge) []string {
	switch c.SentChannel() {
	case "sms":
		return []string{"otp", "sms"}
	case "voice":
		return []string{"otp", "tel"}
	}
	return []string{"otp"}
}
