package testaddress

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchword-auth/watchword"
)

const digits = "0123456789"

// endingMark precedes the right answers of a challenge that ends instead of being approved. No candidate of a strategy begins with it.
const endingMark = "~"

// endings are how the challenges of a persona end when they are answered right.
var endings = map[Persona]watchword.Status{Locked: watchword.Locked, Expired: watchword.Expired}

// A Strategy is a strategy with test addresses. It implements watchword.EndingMatcher and is safe for concurrent use.
type Strategy struct{ watchword.Matcher }

var _ watchword.EndingMatcher = Strategy{}

// WrapStrategy returns a strategy whose codes are Code for test addresses, and which is unchanged for all others. Links and what
// protects them are not fixed. It returns an error if the strategy has codes that are not six digits.
func WrapStrategy(s watchword.Matcher) (Strategy, error) {
	if t := s.Properties().Typed; t.Max > 0 && (t.Alphabet != digits || t.Min > len(Code) || t.Max < len(Code)) {
		return Strategy{}, fmt.Errorf("testaddress: codes of strategy %q are not six digits, as %s is", s.Name(), Code)
	}
	return Strategy{s}, nil
}

// Properties returns those of the wrapped strategy, with DevelopmentOnly.
func (s Strategy) Properties() watchword.StrategyProperties {
	properties := s.Matcher.Properties()
	properties.DevelopmentOnly = true
	return properties
}

// Begin returns the prompt of the wrapped strategy, with Code in place of its code if the address is a test address.
func (s Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	prompt, err := s.Matcher.Begin(ctx, c)
	persona, isTest := Find(c.Address)
	if err != nil || !isTest {
		return prompt, err
	}
	derived := prompt.Code.Reveal()
	for i, a := range prompt.Accepts {
		answer := a.Reveal()
		if rest, isCode := strings.CutPrefix(answer, derived); isCode && derived != "" {
			answer = Code + rest // the rest is the number that a link asks for
		}
		if endings[persona] != "" {
			answer = endingMark + answer
		}
		prompt.Accepts[i] = watchword.NewCode(answer)
	}
	if derived != "" {
		prompt.Code = watchword.NewCode(Code)
	}
	return prompt, nil
}

// Candidates returns those of the wrapped strategy and, for Code and for links, one more that ends the challenge of a persona. Other
// codes are wrong at every test address.
func (s Strategy) Candidates(a watchword.Answer) []watchword.Candidate {
	candidates := s.Matcher.Candidates(a)
	for _, c := range candidates {
		isOtherCode := strings.IndexAny(c.Text, digits) == 0 && !strings.HasPrefix(c.Text, Code)
		if !c.LocksChallenge && !isOtherCode {
			candidates = append(candidates, watchword.Candidate{Text: endingMark + c.Text, LocksChallenge: true})
		}
	}
	return candidates
}

// Ending returns how the challenge ends that a right answer has locked, by the persona of its address.
func (s Strategy) Ending(c *watchword.Challenge) watchword.Status {
	persona, _ := Find(c.Address)
	return endings[persona]
}
