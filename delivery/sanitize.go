package delivery

import (
	"regexp"
	"strings"
	"unicode"
)

// sanitizeText makes an untrusted variable safe to show in a message. The result is one line of letters, digits and basic
// punctuation, at most limit characters long, in which no phone detects a link. The characters of links, mentions, tags and
// headers (: / \ @ # < > ? = and control, format and other space characters) become spaces. A space is added after a dot
// inside a word, unless the word is a number: "evil.com" becomes "evil. com". The function is idempotent.
func sanitizeText(s string, limit int) string {
	if len(s) <= limit && isPlainWord(s) {
		return s
	}
	s = separateDots(strings.Map(sanitizeRune, s))
	for i := range s {
		if limit == 0 {
			s = s[:i]
			break
		}
		limit--
	}
	return strings.TrimRight(s, " .") // templates write their own full stop
}

// isPlainWord reports whether a text has ASCII letters and digits only, as the names of most apps and purposes. It is safe as it is.
func isPlainWord(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// separateDots joins the words of a text by single spaces and adds a space after each dot inside a word that is not a number.
func separateDots(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if strings.Contains(w, ".") && !decimalPattern.MatchString(w) {
			words[i] = strings.TrimSpace(strings.ReplaceAll(w, ".", ". "))
		}
	}
	return strings.Join(words, " ")
}

// decimalPattern matches a word without letters whose only dot is between two digits: 40.00, (3.5%), €1,234.50.
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
