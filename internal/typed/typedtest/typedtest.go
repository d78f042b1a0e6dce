// Package typedtest generates spellings of codes that must be accepted, and texts that must be rejected.
package typedtest

import (
	"strings"

	"github.com/watchword-auth/watchword/internal/typed"
)

// zeros are the zero digits of thirteen scripts and styles. The digits 1 to 9 follow each.
var zeros = []rune{'0', '０', '٠', '۰', '०', '০', '๐', '໐', '༠', '០', '၀', '\U0001d7ce', '\U0001e950'}

// ignoredTexts are ignored between symbols: white space, dashes and invisible characters.
var ignoredTexts = []string{"", " ", "\t", "\r\n", "\u0085", "\u00a0", "\u2009", "\u202f", "\u3000", "\u2028", "-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014",
	"\u2212", "\u00ad", "\ufe63", "\uff0d", "\u301c", "\u2043", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u200e", "\u200f", "\u202b", "\u2067", "\u061c", "\ufe0f", " - "}

// SpellingCount is the number of texts that Spellings returns.
const SpellingCount = 200

// Spellings returns different texts that are all spellings of the same code.
func Spellings(code string) []string {
	out := make([]string, 0, SpellingCount)
	for n := range SpellingCount {
		zero, gap := zeros[n%len(zeros)], ignoredTexts[n%len(ignoredTexts)]
		symbols := make([]string, 0, len(code))
		for at, r := range code {
			symbols = append(symbols, respell(r, zero, n+at))
		}
		half := len(symbols) / 2
		switch n % 4 {
		case 0:
			out = append(out, gap+strings.Join(symbols, ""))
		case 1:
			out = append(out, strings.Join(symbols, "")+gap)
		case 2:
			out = append(out, strings.Join(symbols[:half], "")+gap+strings.Join(symbols[half:], ""))
		case 3:
			out = append(out, gap+strings.Join(symbols, gap)+gap)
		}
	}
	return out
}

// respell returns a symbol in another script, case or width.
func respell(r, zero rune, n int) string {
	switch {
	case '0' <= r && r <= '9':
		return string(r - '0' + zero)
	case n%3 == 0:
		return strings.ToLower(string(r))
	case n%3 == 1:
		return string(r - 'A' + 'Ａ')
	}
	return string(r)
}

// lookAlikes resemble letters, digits or separators, or are mapped to them by a Unicode mapping.
var lookAlikes = []string{"\u212a", "\u017f", "\u0130", "\u0131", "С", "Н", "М", "Т", "Р", "Х", "а", "Χ", "Ν", "Τ", "ᴄ", "ᴛ", "Ꮯ", "Ꭰ", "𝐂", "𝓗", "Ⓒ", "ⓒ", "🄲", "ℂ", "ℌ",
	"ᶜ", "ₓ", "É", "ç", "²", "³", "₂", "①", "⑴", "⒈", "Ⅳ", "ⅵ", "½", "〇", "一", "四", "٫", "٬", "\u0301", "\u20e3", "\x00", "\x1b", "\x7f", "\u0080",
	"\ufffd", "\ue000", ".", ",", "_", "+", "*", "#", "/", "\\", "|", ":", ";", "'", "\"", "(", ")", "%", "&", "=", "<", "$", "@", "!", "?", "~", "^", "`", "•", "…", "·", "😀"}

// NotCodes returns at least a hundred texts that cannot be codes of a shape, derived from a code of the shape. The shape's alphabet
// must have no vowels.
func NotCodes(shape typed.Shape, code string) []string {
	out := []string{" ", "---", "\u200b", code[:shape.Min-1], code[:1], strings.Repeat(code, shape.Max), code + strings.Repeat(code[:1], shape.Max-len(code)+1),
		"0x" + code, code + "e0", "a" + code, code + "A", "code" + code, strings.Repeat(" ", typed.MaxInput+1-len(code)) + code, strings.Repeat("\u200b", 100) + code}
	for n, c := range lookAlikes {
		at := n % len(code)
		out = append(out, code[:at]+c+code[at+1:])
		if n%2 == 0 {
			out = append(out, code+c)
		}
	}
	return out
}
