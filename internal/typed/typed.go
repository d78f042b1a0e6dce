// Package typed normalizes codes that people type. All kinds of codes use it, so that all accept the same spellings.
package typed

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxInput is the longest text, in bytes, that can be a code.
const MaxInput = 256

// Digits is the alphabet of numeric codes.
const Digits = "0123456789"

// A Shape describes the codes of one kind: Min to Max symbols of an alphabet of ASCII letters and digits.
type Shape struct {
	Alphabet string
	Min, Max int
}

// Fold returns the canonical spelling of a typed code, or false if the text cannot be a code of this shape.
//
// It ignores white space, hyphens, dashes and invisible characters. It converts decimal digits of any script and full-width letters
// to ASCII. It accepts a letter in either case if the alphabet has it in one case only. No other character is converted to an
// ASCII one: Fold applies neither Unicode's case folding (the Kelvin sign, the long s) nor its compatibility mappings.
func (s Shape) Fold(text string) (string, bool) {
	if s.isCode(text) {
		return text, true
	}
	if len(text) > MaxInput || !utf8.ValidString(text) {
		return "", false
	}
	code := make([]byte, 0, s.Max)
	for _, r := range text {
		b, ok := s.findSymbol(toASCII(r))
		if !ok && isIgnored(r) {
			continue
		}
		if !ok || len(code) == s.Max {
			return "", false
		}
		code = append(code, b)
	}
	return string(code), len(code) >= s.Min
}

// isCode reports whether a text is in canonical spelling already, which is the usual case.
func (s Shape) isCode(text string) bool {
	if len(text) < s.Min || len(text) > min(s.Max, MaxInput) {
		return false
	}
	for i := range len(text) {
		if strings.IndexByte(s.Alphabet, text[i]) < 0 {
			return false
		}
	}
	return true
}

// isIgnored reports whether a character is ignored if it is not in the alphabet.
func isIgnored(r rune) bool {
	return unicode.IsSpace(r) || isDash(r) || isInvisible(r)
}

// otherDashes are characters named hyphen or minus that have neither the general category Pd nor the property Dash or Hyphen: the
// modifier letter minus sign, the hyphen bullet and the heavy minus sign.
const otherDashes = "\u02d7\u2043\u2796"

func isDash(r rune) bool {
	return r == '-' || r > unicode.MaxASCII && (unicode.In(r, unicode.Pd, unicode.Dash, unicode.Hyphen) || strings.ContainsRune(otherDashes, r))
}

// isInvisible reports whether a character is a format character or one that renderers ignore by default, such as a variation
// selector.
func isInvisible(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// toASCII returns the ASCII counterpart of a decimal digit or a full-width letter, and any other character as it is.
func toASCII(r rune) rune {
	const fullWidth = 'Ａ' - 'A'
	switch {
	case r <= unicode.MaxASCII:
		return r
	case 'Ａ' <= r && r <= 'Ｚ', 'ａ' <= r && r <= 'ｚ':
		return r - fullWidth
	}
	if value, ok := digitValue(r); ok {
		return '0' + value
	}
	return r
}

// digitValue returns the value of a decimal digit (category Nd). Unicode encodes the digits of each script consecutively from 0 to 9,
// so every range of the category consists of complete runs.
func digitValue(r rune) (rune, bool) {
	for _, run := range unicode.Nd.R16 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return (r - rune(run.Lo)) % 10, true
		}
	}
	for _, run := range unicode.Nd.R32 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return (r - rune(run.Lo)) % 10, true
		}
	}
	return 0, false
}

// findSymbol returns the symbol of the alphabet for a character: the character itself or, for a letter, its other case.
func (s Shape) findSymbol(r rune) (byte, bool) {
	if r > unicode.MaxASCII {
		return 0, false
	}
	b := byte(r)
	if strings.IndexByte(s.Alphabet, b) >= 0 {
		return b, true
	}
	if 'a' <= b|0x20 && b|0x20 <= 'z' && strings.IndexByte(s.Alphabet, b^0x20) >= 0 {
		return b ^ 0x20, true
	}
	return 0, false
}
