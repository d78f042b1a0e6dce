package delivery

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The basic and the extension table of the GSM 7-bit default alphabet (3GPP TS 23.038 §6.2.1), without the escape.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿" +
		"abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// Sizes of segments: of a message of one segment, and of each segment of a longer message, which also has a header.
const (
	gsmSingle, gsmPart   = 160, 153 // septets
	ucs2Single, ucs2Part = 70, 67   // UTF-16 code units
)

// A gsmAlphabet holds the length, in septets, of the characters of the GSM 7-bit default alphabet.
type gsmAlphabet struct {
	ascii  [utf8.RuneSelf]uint8 // 0: not in the alphabet
	others map[rune]uint8
}

var gsm = newGSMAlphabet()

func newGSMAlphabet() *gsmAlphabet {
	a := &gsmAlphabet{others: map[rune]uint8{}}
	add := func(characters string, septets uint8) {
		for _, r := range characters {
			if r < utf8.RuneSelf {
				a.ascii[r] = septets
			} else {
				a.others[r] = septets
			}
		}
	}
	add(gsmBasic, 1)
	add(gsmExtension, 2)
	return a
}

// septets returns the length of a character, 0 if it is not in the alphabet.
func (a *gsmAlphabet) septets(r rune) int {
	if r < utf8.RuneSelf {
		return int(a.ascii[r])
	}
	return int(a.others[r])
}

// CountSegments returns the number of SMS segments of a text and its encoding: GSM-7 if every character is in that alphabet (3GPP
// TS 23.038 §6.2.1), else UCS-2.
func CountSegments(text string) (count int, encoding string) { return gsm.countSegments(text) }

// countSegments returns the number of SMS segments of a text and its encoding: GSM-7 if every character is in that alphabet,
// else UCS-2.
func (a *gsmAlphabet) countSegments(text string) (count int, encoding string) {
	encoding, single, part := "GSM-7", gsmSingle, gsmPart
	size := a.septets
	if !a.contains(text) {
		encoding, single, part = "UCS-2", ucs2Single, ucs2Part
		size = utf16.RuneLen
	}
	count, total, filled := 1, 0, 0
	for _, r := range text {
		n := max(1, size(r))
		total += n
		if filled += n; filled > part { // an escape sequence or a surrogate pair is never split
			count, filled = count+1, n
		}
	}
	if total <= single {
		count = 1
	}
	return count, encoding
}

// contains reports whether all characters of a text are in the alphabet.
func (a *gsmAlphabet) contains(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return a.septets(r) == 0 })
}

// fitsOneSegment reports whether a text is an SMS of one segment.
func (a *gsmAlphabet) fitsOneSegment(text string) bool {
	count, _ := a.countSegments(text)
	return count == 1
}
