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

// maskDigits shows the last two of a number's national digits, the last one of a short number, in groups of three with
// a group of four rather than a single digit at the end.
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

// maskMailbox shows the first characters of the local part and of the domain, and the domain's last label. The number
// of dots says nothing of the length.
func maskMailbox(local, domain string) string {
	end := strings.LastIndexByte(domain, '.')
	return maskName(local) + "@" + maskName(domain[:end]) + domain[end:]
}

func maskName(name string) string {
	if utf8.RuneCountInString(name) < minInitial {
		return strings.Repeat(maskDot, 3)
	}
	_, size := utf8.DecodeRuneInString(name)
	return name[:size] + strings.Repeat(maskDot, 3)
}
