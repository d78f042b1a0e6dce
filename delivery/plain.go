package delivery

import (
	"regexp"
	"strings"
	"unicode"
)

// plain makes a variable harmless in a message: one line of letters, digits and a little punctuation, of at most limit
// characters, in which no phone finds a link. Whatever links, mentions, tags and headers are made of (: / \ @ # < > ? =
// and control, format and other space characters) becomes a space, and a dot inside a word is
// followed by one unless the word is a number: "evil.com" reads "evil. com". What is plain already stays as it is.
func plain(s string, limit int) string {
	s = spaceDots(strings.Map(plainRune, s))
	for i := range s {
		if limit == 0 {
			s = s[:i]
			break
		}
		limit--
	}
	return strings.TrimRight(s, " .") // what follows brings its own full stop
}

// spaceDots puts one space between words, and one behind each dot inside a word that is no number.
func spaceDots(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if strings.Contains(w, ".") && !decimal.MatchString(w) {
			words[i] = strings.TrimSpace(strings.ReplaceAll(w, ".", ". "))
		}
	}
	return strings.Join(words, " ")
}

// decimal is a word with one dot, which stands between two digits, and no letters: 40.00, (3.5%), €1,234.50.
var decimal = regexp.MustCompile(`^[^\p{L}\p{M}.]*[0-9]\.[0-9][^\p{L}\p{M}.]*$`)

func plainRune(r rune) rune {
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
