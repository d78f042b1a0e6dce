package delivery

import "unicode/utf16"

// The basic and the extension table of the GSM 7-bit default alphabet (3GPP TS 23.038 §6.2.1), without the escape.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿" +
		"abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// Sizes of segments: of a message that is one, and of each of several, which carry a header.
const (
	gsmSingle, gsmPart   = 160, 153 // septets
	ucs2Single, ucs2Part = 70, 67   // UTF-16 code units
)

// An gsmAlphabet measures messages in the GSM 7-bit default alphabet.
type gsmAlphabet map[rune]int // septets of a character

func newGSMAlphabet() gsmAlphabet {
	a := gsmAlphabet{}
	for _, r := range gsmBasic {
		a[r] = 1
	}
	for _, r := range gsmExtension {
		a[r] = 2
	}
	return a
}

// countSegments counts the parts in which a text travels as SMS: GSM-7 if every character is in that alphabet, else UCS-2.
func (a gsmAlphabet) countSegments(text string) (count int, encoding string) {
	encoding, single, part := "GSM-7", gsmSingle, gsmPart
	size := func(r rune) int { return a[r] }
	for _, r := range text {
		if a[r] == 0 {
			encoding, single, part = "UCS-2", ucs2Single, ucs2Part
			size = utf16.RuneLen
			break
		}
	}
	count, total, filled := 1, 0, 0
	for _, r := range text {
		n := max(1, size(r))
		total += n
		if filled += n; filled > part { // neither an escape nor a surrogate pair is torn apart
			count, filled = count+1, n
		}
	}
	if total <= single {
		count = 1
	}
	return count, encoding
}
