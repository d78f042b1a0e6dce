package typed

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var (
	digits  = Shape{Digits, 6, 8}
	letters = Shape{"34679CDFGHJKMNPRTWXY", 6, 6}
)

func TestFoldIgnoresSpacesDashesAndCase(t *testing.T) {
	for _, c := range []struct {
		shape       Shape
		typed, want string
	}{
		{digits, "492039", "492039"},
		{digits, "004200", "004200"},
		{digits, " 492 039\r\n", "492039"},
		{digits, "492-039", "492039"},
		{digits, "\t49\u00a020\u202f39\u3000", "492039"},
		{digits, "492\u2011039", "492039"},                         // non-breaking hyphen
		{digits, "492\u2013039", "492039"},                         // en dash
		{digits, "492\u2212039", "492039"},                         // minus
		{digits, "492\u00ad039", "492039"},                         // soft hyphen
		{digits, "492\ufe63039", "492039"},                         // small hyphen
		{digits, "492\u2043039\u02d7\u2796", "492039"},             // dashes that no property of Unicode's calls so
		{digits, "\ufeff4\u200b9\u200c2\u200d0\u206039", "492039"}, // byte order mark, zero-width characters
		{digits, "\u202a\u2066492039\u2069\u202c\u200e\u200f\u061c", "492039"},
		{digits, "4\ufe0f92039", "492039"}, // variation selector
		{digits, "４９２０３９", "492039"},
		{digits, "٤٩٢٠٣٩", "492039"},
		{digits, "४९२०३९", "492039"},
		{digits, "\U0001d7d2\U0001d7e1\U0001d7e4\U0001d7ec\U0001d7f9\U0001d7d7", "492039"}, // mathematical digits of five styles
		{letters, "3cdf-gh", "3CDFGH"},
		{letters, "３ＣＤＦｇｈ", "3CDFGH"},
		{letters, "۳CD F\u2010GH", "3CDFGH"},
		{Shape{"abc", 3, 3}, "ABC", "abc"},
		{Shape{"abcABC", 3, 3}, "aBc", "aBc"}, // an alphabet of both cases is exact
	} {
		if got, ok := c.shape.Fold(c.typed); !ok || got != c.want {
			t.Errorf("%+q: %q, %t, want %q", c.typed, got, ok, c.want)
		}
	}
}

func TestFoldRejectsTextsThatCannotBeCodes(t *testing.T) {
	for shape, texts := range map[*Shape][]string{
		&digits: {"", " ", "-", "12345", "123456789", "12345x", "12345²", "12345①", "12345Ⅳ", "12345½", "123456\u0301", "123456\x00",
			"123456\x1b", "123.456", "123,456", "123_456", "+123456", "\xff123456", "12345O", "12345l", "12345Ο", "12345\ud7ff", "123456\ufffd",
			strings.Repeat(" ", MaxInput-5) + "123456"},
		&letters: {"3CDFG", "3CDFGHJ", "3CDFG\u212a", "3CDFG\u017f", "3CDFG\u0130", "3CDFG\u0131", "\u0421CDFGH", "3CDFG\u041d", "3CDFG\u0397",
			"3CDFGA", "3CDFG0", "3CDFG\u1d34", "3CDFG\U0001d407", "3CDFG\u24bd", "3ÇDFGH", "3CDFGH\u0327"},
	} {
		for _, text := range texts {
			if got, ok := shape.Fold(text); ok {
				t.Errorf("%+q is read as %q", text, got)
			}
		}
	}
	if _, ok := digits.Fold(strings.Repeat(" ", MaxInput-6) + "123456"); !ok {
		t.Error("256 bytes are too many")
	}
}

// Of all characters only ASCII letters and full-width letters are letters of a code, and only those of category Nd are digits.
func TestFoldAcceptsNoOtherLetters(t *testing.T) {
	all := Shape{Digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1, 1}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		want := r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || 'Ａ' <= r && r <= 'Ｚ' || 'ａ' <= r && r <= 'ｚ' || unicode.Is(unicode.Nd, r)
		if got, ok := all.Fold(string(r)); ok != want {
			t.Fatalf("%U is read as %q", r, got)
		}
		if isIgnored(r) && (unicode.IsNumber(r) || unicode.IsLetter(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != '\u02d7') {
			t.Errorf("%U is dropped", r)
		}
	}
}

// digitValue relies on how Unicode encodes digits. The test fails if a later version of Unicode differs.
func TestUnicodeDigitRangesAreWholeRuns(t *testing.T) {
	check := func(lo, hi, stride uint32) {
		if stride != 1 || (hi-lo+1)%10 != 0 {
			t.Errorf("%U to %U by %d", lo, hi, stride)
		}
	}
	for _, r := range unicode.Nd.R16 {
		check(uint32(r.Lo), uint32(r.Hi), uint32(r.Stride))
	}
	for _, r := range unicode.Nd.R32 {
		check(r.Lo, r.Hi, r.Stride)
	}
}

// FuzzFold checks that results have the shape, and that Fold is idempotent.
func FuzzFold(f *testing.F) {
	for _, seed := range []string{"492 039", "４９２-０３９", "3cdf\u200bgh", "\u212a", "\xff", "٤٩٢٠٣٩"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range []Shape{digits, letters} {
			code, ok := s.Fold(text)
			if !ok {
				continue
			}
			if len(code) < s.Min || len(code) > s.Max || strings.Trim(code, s.Alphabet) != "" || len(text) > MaxInput {
				t.Errorf("%+q is read as %+q", text, code)
			}
			if again, ok := s.Fold(code); !ok || again != code {
				t.Errorf("%q is read as %q", code, again)
			}
			if spelled, ok := s.Fold(" " + code[:3] + "\u2011" + code[3:]); !ok || spelled != code {
				t.Errorf("%q with a hyphen is read as %q", code, spelled)
			}
		}
	})
}
