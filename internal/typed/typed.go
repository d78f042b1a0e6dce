// Package typed reads what people type as a code. One function does it for every kind of code, so that all forgive alike.
package typed

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxInput is the longest text, in bytes, that is read as a code.
const MaxInput = 256

// Digits is the alphabet of codes that are numbers.
const Digits = "0123456789"

// A Shape is what the codes of one kind look like: from Min to Max symbols of an alphabet of ASCII letters and digits.
type Shape struct {
	Alphabet string
	Min, Max int
}

// Fold returns the one spelling of the code that was typed, or false if the text cannot be a code of this shape.
//
// White space, hyphens, dashes and invisible characters do not count. Decimal digits of any script and full-width letters
// are their ASCII counterparts. A letter counts in either case where the alphabet has only one of them. No other character
// equals an ASCII one, however alike they look: neither by Unicode's case folding (the Kelvin sign, the long s) nor by its
// compatibility mappings.
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

// isCode reports whether a text is spelled as codes are made, as most are.
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

// isIgnored reports whether a character stands between symbols without being one.
func isIgnored(r rune) bool {
	return unicode.IsSpace(r) || isDash(r) || isInvisible(r)
}

// otherDashes are hyphens and dashes by their names that have neither Unicode's general category Pd nor a property that
// says so: the modifier letter minus sign, the hyphen bullet and the heavy minus sign.
const otherDashes = "\u02d7\u2043\u2796"

func isDash(r rune) bool {
	return r == '-' || r > unicode.MaxASCII && (unicode.In(r, unicode.Pd, unicode.Dash, unicode.Hyphen) || strings.ContainsRune(otherDashes, r))
}

// isInvisible reports whether a character shows nothing by itself: format characters and what else Unicode has renderers
// ignore by default, such as variation selectors.
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

// digitValue is the value of a decimal digit (category Nd). Unicode encodes each script's digits in one run from 0 to 9, so
// that every range of the category is made of whole runs.
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

// findSymbol finds a character in the alphabet: as it is or, of a letter, in the other case.
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
