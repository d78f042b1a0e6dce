package delivery

import (
	"regexp"
	"strings"
	"unicode"
)

// sanitizeText makes a variable harmless in a message: one line of letters, digits and a little punctuation, of at most limit
// characters, in which no phone finds a link. Whatever links, mentions, tags and headers are made of (: / \ @ # < > ? =
// and control, format and other space characters) becomes a space, and a dot inside a word is
// followed by one unless the word is a number: "evil.com" reads "evil. com". What is plain already stays as it is.
func sanitizeText(s string, limit int) string {
	s = separateDots(strings.Map(sanitizeRune, s))
	for i := range s {
		if limit == 0 {
			s = s[:i]
			break
		}
		limit--
	}
	return strings.TrimRight(s, " .") // what follows brings its own full stop
}

// separateDots puts one space between words, and one behind each dot inside a word that is no number.
func separateDots(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if strings.Contains(w, ".") && !decimalPattern.MatchString(w) {
			words[i] = strings.TrimSpace(strings.ReplaceAll(w, ".", ". "))
		}
	}
	return strings.Join(words, " ")
}

// decimalPattern is a word with one dot, which stands between two digits, and no letters: 40.00, (3.5%), €1,234.50.
var decimalPattern = regexp.MustCompile(`^[^\p{L}\p{M}.]*[0-9]\.[0-9][^\p{L}\p{M}.]*$`)

func sanitizeRune(r rune) rune {
	switch {
	case unicode.In(r, unicode.L, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Sc), strings.ContainsRune("'-&,.()+%!", r):
		return r
	case r == '’':
		return '\''
	case r == '–' || r == '—':
		return '-'
	}
	return ' '
}
