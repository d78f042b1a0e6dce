package delivery

import (
	"strings"
	"unicode/utf8"
)

const (
	maskDot     = "•"
	groupLength = 3
	minUnmasked = 7 // digits of a number whose last two may be shown
	minInitial  = 3 // characters of a name whose first may be shown
)

// maskDigits masks all national digits of a number but the last two, or the last one of a short number. The digits are in
// groups of three; the last group has four rather than leave a single digit.
func maskDigits(national string) string {
	shown := 1
	if len(national) >= minUnmasked {
		shown = 2
	}
	var b strings.Builder
	for i := range national {
		if rest := len(national) - i; i > 0 && i%groupLength == 0 && rest > 1 {
			b.WriteByte(' ')
		}
		if i < len(national)-shown {
			b.WriteString(maskDot)
		} else {
			b.WriteByte(national[i])
		}
	}
	return b.String()
}

// maskMailbox shows the first character of the local part, and the domain, by which people know which of their mailboxes to open. The
// number of dots is constant, so that it does not reveal the length.
func maskMailbox(local, domain string) string { return maskName(local) + "@" + domain }

func maskName(name string) string {
	if utf8.RuneCountInString(name) < minInitial {
		return strings.Repeat(maskDot, 3)
	}
	_, size := utf8.DecodeRuneInString(name)
	return name[:size] + strings.Repeat(maskDot, 3)
}
