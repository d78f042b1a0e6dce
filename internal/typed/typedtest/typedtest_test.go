package typedtest

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/typed"
)

// The properties hold for every alphabet, and no text occurs twice.
func TestSpellingsFoldToTheCodeAndNotCodesDoNot(t *testing.T) {
	for code, shape := range map[string]typed.Shape{
		"492039":           {Alphabet: typed.Digits, Min: 6, Max: 6},
		"004200":           {Alphabet: typed.Digits, Min: 6, Max: 8},
		"3CDFGH":           {Alphabet: "34679CDFGHJKMNPRTWXY", Min: 6, Max: 6},
		"3WJT9K4MXCPD27H9": {Alphabet: "2346789CDFGHJKMNPRTVWXY", Min: 16, Max: 16},
	} {
		seen := map[string]bool{}
		for _, text := range Spellings(code) {
			if got, ok := shape.Fold(text); !ok || got != code || seen[text] {
				t.Errorf("%+q is read as %q, seen %t", text, got, seen[text])
			}
			seen[text] = true
		}
		for _, text := range NotCodes(shape, code) {
			if got, ok := shape.Fold(text); ok || seen[text] {
				t.Errorf("%+q is read as %q", text, got)
			}
			seen[text] = true
		}
		if len(seen) < SpellingCount+100 {
			t.Errorf("%d texts", len(seen))
		}
	}
}
