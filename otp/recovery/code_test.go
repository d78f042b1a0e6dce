package recovery

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/internal/typed"
)

// examples returns random parts of codes.
var examples = []string{"222222222222222", "YYYYYYYYYYYYYYY", "3WJT9K4MXCPD27H", "2346789CDFGHJKM", "N8M7K6J4H3G2F9D"}

func TestAlphabetHasNoAmbiguousSymbols(t *testing.T) {
	if !big.NewInt(int64(len(alphabet))).ProbablyPrime(20) {
		t.Errorf("%d symbols: the check character needs a prime number", len(alphabet))
	}
	symbols := strings.Split(alphabet, "")
	slices.Sort(symbols)
	if len(slices.Compact(symbols)) != len(alphabet) || strings.ToUpper(alphabet) != alphabet {
		t.Error("a symbol is there twice, or in lower case")
	}
	for _, alike := range []string{"0OQD", "1IL", "2Z", "5S", "8B", "UV"} {
		n := 0
		for _, r := range alike {
			if strings.ContainsRune(alphabet, r) {
				n++
			}
		}
		if n > 1 {
			t.Errorf("of %s there is more than one", alike)
		}
	}
	if bits := randomSymbols * math.Log2(float64(len(alphabet))); bits < 64 {
		t.Errorf("%.1f bits", bits)
	}
}

// One wrong symbol at every position.
func TestWellFormedRejectsEverySingleWrongSymbol(t *testing.T) {
	for _, random := range examples {
		code := appendCheckCharacter(random)
		if !WellFormed(code) {
			t.Fatalf("%s is not well-formed", code)
		}
		for i := range code {
			for _, wrong := range alphabet {
				typed := code[:i] + string(wrong) + code[i+1:]
				if WellFormed(typed) != (typed == code) {
					t.Errorf("%s typed as %s: well-formed %t", code, typed, WellFormed(typed))
				}
			}
		}
	}
}

// Every transposition of two symbols, adjacent or not.
func TestWellFormedRejectsEveryTransposition(t *testing.T) {
	for i := range codeLength {
		for j := i + 1; j < codeLength; j++ {
			for _, a := range alphabet {
				for _, b := range alphabet {
					code := []byte(appendCheckCharacter(examples[2]))
					code[i], code[j] = byte(a), byte(b)
					code = repair(code, i, j)
					typed := slices.Clone(code)
					typed[i], typed[j] = typed[j], typed[i]
					if !WellFormed(string(code)) || WellFormed(string(typed)) != (a == b) {
						t.Fatalf("%s typed as %s: well-formed %t", code, typed, WellFormed(string(typed)))
					}
				}
			}
		}
	}
}

// repair makes a code well-formed by changing one symbol other than the two.
func repair(code []byte, i, j int) []byte {
	for at := range code {
		if at == i || at == j {
			continue
		}
		for s := range alphabet {
			if code[at] = alphabet[s]; weightedSum(code) == 0 {
				return code
			}
		}
	}
	return code
}

func TestParseCodeAcceptsEverySpelling(t *testing.T) {
	code := appendCheckCharacter(examples[2])
	shown := formatCode(code)
	if len(shown) != 19 || strings.Count(shown, "-") != 3 {
		t.Errorf("shown as %s", shown)
	}
	for text, ok := range map[string]bool{
		code:                                true,
		shown:                               true,
		strings.ToLower(shown):              true,
		strings.ReplaceAll(shown, "-", " "): true,
		" " + strings.ReplaceAll(shown, "-", " - ") + "  ": true,
		shown[1:]:                                false,
		shown + "2":                              false,
		"":                                       false,
		"----":                                   false,
		strings.ReplaceAll(shown, "-", "_"):      false,
		strings.ReplaceAll(shown, "-", "\u2013"): true,
		shown + "\n":                             true,
		shown + "\x00":                           false,
		"O" + shown[1:]:                          false,
		strings.Repeat(" ", typed.MaxInput) + code: false,
		strings.Repeat(code, 1000):                 false,
	} {
		got, is := parseCode(text)
		if is != ok || is && got != code {
			t.Errorf("%.40q: %q, %t", text, got, is)
		}
	}
}

// Spaces, hyphens and case do not change the code; every other change does.
func TestParseCodeReturnsOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		symbol := rapid.SampledFrom([]byte(alphabet))
		code := appendCheckCharacter(string(rapid.SliceOfN(symbol, randomSymbols, randomSymbols).Draw(t, "random")))
		var typed strings.Builder
		for i, b := range []byte(code) {
			if i > 0 {
				typed.WriteString(rapid.SampledFrom([]string{"", " ", "-"}).Draw(t, "between"))
			}
			typed.WriteString(rapid.SampledFrom([]string{string(b), strings.ToLower(string(b))}).Draw(t, "case"))
		}
		if got, ok := parseCode(typed.String()); !ok || got != code {
			t.Fatalf("%q is read as %q, %t", typed.String(), got, ok)
		}
	})
}

func FuzzParseCode(f *testing.F) {
	f.Add(formatCode(appendCheckCharacter(examples[2])))
	f.Add("3wjt 9k4m xcpd 27hf")
	f.Add("\xff-é")
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := parseCode(typed)
		if !ok {
			return
		}
		if len(code) != codeLength || strings.Trim(code, alphabet) != "" {
			t.Errorf("%q is read as %q", typed, code)
		}
		if again, ok := parseCode(formatCode(code)); !ok || again != code {
			t.Errorf("%q is read as %q, and that as %q", typed, code, again)
		}
	})
}
