package magiclink

import (
	"context"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/internal/typed"
)

// A Confirm is what the link's page asks of a person before the link counts.
type Confirm string

// The ways to confirm.
const (
	ConfirmMatch  Confirm = "match"  // the number that the starting screen shows; the default
	ConfirmButton Confirm = "button" // a press: for apps that accept scanners that press, and links that strangers started
)

// Config says what a link asks for. The zero value asks for the number and sends a code beside the link.
type Config struct {
	Confirm Confirm
	NoCode  bool // the message carries the link alone
}

// A Strategy sends links. It is a watchword.Matcher.
type Strategy struct {
	requiresNumber bool
	sendsCode      bool
}

var _ watchword.Matcher = (*Strategy)(nil)

// New makes the strategy, or says what is wrong with its settings.
func New(cfg Config) (*Strategy, error) {
	switch cfg.Confirm {
	case "", ConfirmMatch, ConfirmButton:
		return &Strategy{requiresNumber: cfg.Confirm != ConfirmButton, sendsCode: !cfg.NoCode}, nil
	}
	return nil, setting.Errorf("Confirm", "must be match or button")
}

// The three secrets of a challenge. A token is 22 letters and digits, 2^131 of them: no hyphen, dot or underscore stands
// at its end, which programs that find links in texts would leave out. No code has its prefix.
const (
	alphanumeric = typed.Digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	tokenPrefix  = "lk_"
	tokenSymbols = 22
	codeDigits   = 6
	codeSpace    = 1e6
	numberDigits = 2
)

// The channels that a link travels by.
const (
	channelEmail = "email"
	channelSMS   = "sms"
)

// Name is "magiclink".
func (s *Strategy) Name() string { return "magiclink" }

// StrategyProperties says that links are sent, by e-mail if nobody says otherwise. A token cannot be guessed and belongs to no group;
// where a code is sent beside it, all tries of the challenge count as guesses of the address.
func (s *Strategy) Properties() watchword.StrategyProperties {
	t := watchword.StrategyProperties{Group: watchword.GroupNone, Sends: true, Channel: channelEmail, Strength: watchword.StrengthSent}
	if s.sendsCode {
		t.Group, t.Space, t.RightAnswers = watchword.GroupAddress, codeSpace, 1
		t.Typed = watchword.Typed{Alphabet: typed.Digits, Min: codeDigits, Max: codeDigits, Exact: tokenPrefix}
	}
	if s.requiresNumber {
		t.Typed.Number = numberDigits
	}
	return t
}

// Begin derives the link's token, the code and the number: always the same for the same challenge, so that the message
// can be sent again. Public is for the starter's screen: "number" where the link's page asks for it, "code" where the
// message has one to type.
func (s *Strategy) Begin(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	if c.Channel != channelEmail && c.Channel != channelSMS {
		return watchword.Prompt{}, &watchword.Error{Code: watchword.ErrInvalidRequest.Code,
			Fields: []watchword.FieldError{{Field: "channel", Reason: "carries no links: use email or sms"}}}
	}
	token := tokenPrefix + c.DeriveCode("link", alphanumeric, tokenSymbols).Reveal()
	p := watchword.Prompt{Ask: watchword.AskLink, Link: watchword.NewCode(token), Public: map[string]any{"code": s.sendsCode}}
	answers := []string{token}
	if s.sendsCode {
		p.Code = c.DeriveCode("code", typed.Digits, codeDigits)
		answers = append(answers, p.Code.Reveal())
	}
	number := ""
	if s.requiresNumber {
		number = c.DeriveStableCode("number", typed.Digits, numberDigits).Reveal()
		p.Public["number"] = number
	}
	for _, a := range answers {
		p.Accepts = append(p.Accepts, watchword.NewCode(a))
		if s.requiresNumber {
			p.Accepts = append(p.Accepts, watchword.NewCode(joinNumber(a, number)))
		}
	}
	return p, nil
}

// joinNumber is an answer together with the number; neither holds a bar.
func joinNumber(answer, number string) string { return answer + "|" + number }

// Candidates is what the table in the package's comment says. A stranger's answer without a number ends nothing; the engine
// refuses it before, so that it costs no try either.
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

// isAnswer reports whether a text is a token or a code.
func (s *Strategy) isAnswer(answer string) bool {
	if rest, ok := strings.CutPrefix(answer, tokenPrefix); ok {
		return consistsOf(rest, alphanumeric, tokenSymbols)
	}
	return s.sendsCode && consistsOf(answer, typed.Digits, codeDigits)
}

// consistsOf reports whether a text is n symbols of an alphabet.
func consistsOf(text, alphabet string, n int) bool {
	return len(text) == n && strings.Trim(text, alphabet) == ""
}

// AMR is "sms" where the message really went that way. A mailbox adds nothing: e-mail is no out-of-band factor, and RFC
// 8176 has no value for it, nor for links.
func (s *Strategy) AMR(c *watchword.Challenge) []string {
	channel := c.SentChannel()
	if channel == channelSMS {
		return []string{channelSMS}
	}
	return nil
}
