package magiclink

import (
	"context"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/internal/typed"
)

// A Confirm is the way in which a person confirms a link on its page.
type Confirm string

// The ways to confirm.
const (
	ConfirmMatch  Confirm = "match"  // type the number that the starting screen shows; the default
	ConfirmButton Confirm = "button" // click a button; see the risks in the package documentation
)

// Config configures a Strategy. The zero value asks for the number and sends a code with the link.
type Config struct {
	Confirm Confirm // default ConfirmMatch
	NoCode  bool    // send the link without a code
}

// A Strategy sends links. It implements watchword.Matcher and is safe for concurrent use.
type Strategy struct {
	requiresNumber bool
	sendsCode      bool
}

var _ watchword.Matcher = (*Strategy)(nil)

// New returns a Strategy, or an error if Config.Confirm is unknown.
func New(cfg Config) (*Strategy, error) {
	switch cfg.Confirm {
	case "", ConfirmMatch, ConfirmButton:
		return &Strategy{requiresNumber: cfg.Confirm != ConfirmButton, sendsCode: !cfg.NoCode}, nil
	}
	return nil, setting.Errorf("Confirm", "must be match or button")
}

// The formats of a challenge's three secrets. A token has 22 letters and digits (131 bits). It has no punctuation, because
// programs that detect links in texts leave punctuation at the end out.
const (
	alphanumeric = typed.Digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	tokenPrefix  = "lk_"
	tokenSymbols = 22
	codeDigits   = 6
	codeSpace    = 1e6
	numberDigits = 2
)

// The channels over which links are sent.
const (
	channelEmail = "email"
	channelSMS   = "sms"
)

// Name returns "magiclink".
func (s *Strategy) Name() string { return "magiclink" }

// Properties returns the properties of the strategy: links are sent, by e-mail unless the challenge names another channel. A
// token cannot be guessed. If a code is sent too, all wrong answers count against the address.
func (s *Strategy) Properties() watchword.StrategyProperties {
	t := watchword.StrategyProperties{Group: watchword.GroupNone, SendsMessages: true, Channel: channelEmail, Strength: watchword.StrengthSent,
		Ask: watchword.AskLink, LongLived: true}
	if s.sendsCode {
		t.Group, t.AnswerSpace, t.RightAnswers = watchword.GroupAddress, codeSpace, 1
		t.Typed = watchword.Typed{Alphabet: typed.Digits, Min: codeDigits, Max: codeDigits, Exact: tokenPrefix}
	}
	if s.requiresNumber {
		t.Typed.Number = numberDigits
	}
	return t
}

// Begin derives the token, the code and the number. A link that lives long has neither a code nor a number. They are always the
// same for the same challenge, so that the message can be sent again. Prompt.Public is for the starting screen: "number" is the number, if the link's page asks for it; "code" is
// true if the message contains a code, with its length and alphabet.
func (s *Strategy) Begin(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	if c.Channel != channelEmail && c.Channel != channelSMS {
		return watchword.Prompt{}, &watchword.Error{Code: watchword.ErrInvalidRequest.Code,
			Fields: []watchword.FieldError{{Field: "channel", Reason: "cannot carry links: use email or sms"}}}
	}
	token := tokenPrefix + c.DeriveCode("link", alphanumeric, tokenSymbols).Reveal()
	sendsCode, requiresNumber := s.sendsCode && !c.LongLived, s.requiresNumber && !c.LongLived
	p := watchword.Prompt{Ask: watchword.AskLink, Link: watchword.NewCode(token), Public: map[string]any{"code": sendsCode}}
	answers := []string{token}
	if sendsCode {
		p.Code = c.DeriveCode("code", typed.Digits, codeDigits)
		answers = append(answers, p.Code.Reveal())
		p.Public["length"], p.Public["alphabet"] = codeDigits, typed.Digits
	}
	number := ""
	if requiresNumber {
		number = c.DeriveStableCode("number", typed.Digits, numberDigits).Reveal()
		p.Public["number"] = number
	}
	for _, a := range answers {
		p.Accepts = append(p.Accepts, watchword.NewCode(a))
		if requiresNumber {
			p.Accepts = append(p.Accepts, watchword.NewCode(joinNumber(a, number)))
		}
	}
	return p, nil
}

// joinNumber joins an answer and a number. Neither contains a bar.
func joinNumber(answer, number string) string { return answer + "|" + number }

// Candidates implements the table in the package documentation. An answer on another page without a number does not lock the
// challenge: the engine refuses it before, at no cost in tries.
func (s *Strategy) Candidates(a watchword.Answer) []watchword.Candidate {
	switch {
	case !s.isAnswer(a.Text):
		return nil
	case a.Starter || !s.requiresNumber:
		return []watchword.Candidate{{Text: a.Text}}
	case !consistsOf(a.Number, typed.Digits, numberDigits):
		return nil
	}
	return []watchword.Candidate{{Text: joinNumber(a.Text, a.Number)}, {Text: a.Text, LocksChallenge: true}}
}

// isAnswer reports whether a text has the form of a token or a code.
func (s *Strategy) isAnswer(answer string) bool {
	if rest, ok := strings.CutPrefix(answer, tokenPrefix); ok {
		return consistsOf(rest, alphanumeric, tokenSymbols)
	}
	return s.sendsCode && consistsOf(answer, typed.Digits, codeDigits)
}

// consistsOf reports whether a text has n symbols of an alphabet and nothing else.
func consistsOf(text, alphabet string, n int) bool {
	return len(text) == n && strings.Trim(text, alphabet) == ""
}

// AMR returns "sms" if the message was sent by SMS, and nothing otherwise: RFC 8176 has no value for e-mail or links.
func (s *Strategy) AMR(c *watchword.Challenge) []string {
	channel := c.SentChannel()
	if channel == channelSMS {
		return []string{channelSMS}
	}
	return nil
}
