package watchword

import (
	"strings"

	"github.com/watchword-auth/watchword/internal/typed"
)

// Typed describes the codes of a strategy that people type: from Min to Max symbols of Alphabet, which holds ASCII letters
// and digits. With the zero Typed, answers are compared exactly.
//
// The engine normalizes typed text before a strategy receives it. White space, hyphens, dashes and invisible characters are
// removed. Digits of any script and full-width letters become ASCII. Letter case is ignored if the alphabet has one case.
// Text that cannot be a code of the strategy after that is refused with ErrInvalidRequest, and no try is charged.
type Typed struct {
	// Alphabet holds the symbols of a code; empty: answers are compared exactly.
	Alphabet string
	// Min and Max are the least and the greatest number of symbols.
	Min, Max int
	// Exact is the prefix of answers that are not typed, such as a link's token. The engine does not change them. Empty:
	// there are none.
	Exact string
	// Number is the number of digits of Answer.Number, which every caller except the starter must send; 0: no number is
	// needed.
	Number int
}

// notACode is the reason for every text that cannot be a code. It does not depend on what is wrong with the text.
const notACode = "cannot be a code: it has characters that no code has, or is too long or too short"

// answerTo returns the answer as it counts for the challenge. A link that lives long is confirmed without a number: whoever opens it
// has no starting screen.
func answerTo(id challengeID, a Answer) Answer {
	a.Starter = a.Starter || id.isLongLived()
	return a
}

// readAnswer returns the normalized answer, or refuses a text that cannot be an answer to the strategy. It decides by the
// text alone, before the store is read, so a refusal costs no try and reveals nothing.
func readAnswer(s Strategy, a Answer) (_ Answer, err error) {
	props := s.Properties()
	switch {
	case a.Text == "":
		return a, invalid("answer", "is required")
	case a.Object && !props.Object:
		return a, invalid("answer", "must be a string")
	case !a.Object && props.Object:
		return a, invalid("answer", "must be an object")
	}
	if reader, ok := s.(AnswerReader); ok {
		a.Text, err = reader.ReadAnswer(a.Text)
		return a, err
	}
	var isCode bool
	if a.Text, isCode = props.Typed.read(a.Text); !isCode {
		return a, invalid("answer", notACode)
	}
	if props.Typed.Number == 0 || a.Starter {
		return a, nil
	}
	number := typed.Shape{Alphabet: typed.Digits, Min: props.Typed.Number, Max: props.Typed.Number}
	if a.Number, isCode = number.Fold(a.Number); !isCode {
		return a, invalid("number", notACode)
	}
	return a, nil
}

func (t Typed) read(text string) (string, bool) {
	if t.Alphabet == "" || t.Exact != "" && strings.HasPrefix(text, t.Exact) {
		return text, true
	}
	return typed.Shape{Alphabet: t.Alphabet, Min: t.Min, Max: t.Max}.Fold(text)
}
