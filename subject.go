package watchword

import (
	"strings"
	"unicode"
)

// subjectReason is the reason given for a subject that isSubject refuses.
const subjectReason = "is at most 255 bytes, all of them visible, with no space at either end, and not ., .. or / alone"

// isSubject reports whether a text can name a subject, or is empty and names nobody. All of it can be seen, and it can be a
// segment of the path under which everything of a subject is removed: clients and servers take . and .. out of a path,
// however they are escaped, and net/http takes an escaped / alone for the end of one. Every other text arrives when it is
// escaped.
func isSubject(text string) bool {
	switch text {
	case ".", "..", "/":
		return false
	}
	return isPlainText(text, maxText) && text == strings.TrimSpace(text) && !strings.ContainsFunc(text, isInvisible)
}

// illegibleReason is the reason given for a text that legible refuses.
const illegibleReason = "is too long or holds control characters, or such as cannot be seen"

// isLegibleText reports whether a plain text, which people are to read, is read as it is: nothing in it is hidden, or changes the
// direction of what is around it. Joiners and variation selectors stay, since scripts and emoji need them.
func isLegibleText(text string, longest int) bool {
	return isPlainText(text, longest) && !strings.ContainsFunc(text, func(r rune) bool { return isInvisible(r) && !isJoiner(r) })
}

// isInvisible is about Default_Ignorable_Code_Point (Unicode Standard Annex 44), to which format characters belong; of
// these a few in Arabic and Syriac are visible.
func isInvisible(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

func isJoiner(r rune) bool {
	return unicode.In(r, unicode.Join_Control, unicode.Variation_Selector)
}
