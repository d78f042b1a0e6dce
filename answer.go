package watchword

import (
	"strings"

	"github.com/watchword-auth/watchword/internal/typed"
)

// Typed is what the codes of a strategy look like that people type, for StrategyProperties: from Min to Max symbols of an Alphabet of
// ASCII letters and digits. The zero Typed says that answers are exact.
//
// What people type is forgiven before a strategy sees it: white space, hyphens, dashes and invisible characters do not
// count, nor does the case of letters (of an alphabet with one case); digits of any script and full-width letters are ASCII.
// What then cannot be a code of the strategy is an invalid_request that costs no try.
type Typed struct {
	Alphabet string
	Min, Max int
	Exact    string // the prefix of answers that nobody types, a link's token say: they pass as they are; empty: there are none
	Number   int    // how many digits Answer.Number has, which everybody but the starter must give; 0: there is none
}

// notACode is the reason given for every text that cannot be a code, whatever is wrong with it.
const notACode = "cannot be a code: it has characters that no code has, or is too long or too short"

// readAnswer refuses what cannot be an answer to a strategy, and returns the one spelling of what was typed. That is decided
// before anything is read, so it costs nothing and tells nobody anything.
func readAnswer(s Strategy, a Answer) (_ Answer, err error) {
	t := s.Properties()
	switch {
	case a.Text == "":
		return a, invalid("answer", "is required")
	case a.Object && !t.Object:
		return a, invalid("answer", "must be a string")
	case !a.Object && t.Object:
		return a, invalid("answer", "must be an object")
	}
	if reader, ok := s.(AnswerReader); ok {
		a.Text, err = reader.ReadAnswer(a.Text)
		return a, err
	}
	var isCode bool
	if a.Text, isCode = t.Typed.read(a.Text); !isCode {
		return a, invalid("answer", notACode)
	}
	if t.Typed.Number == 0 || a.Starter {
		return a, nil
	}
	number := typed.Shape{Alphabet: typed.Digits, Min: t.Typed.Number, Max: t.Typed.Number}
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
