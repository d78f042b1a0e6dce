package recovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
)

const (
	// alphabet has none of 0, O and Q, 1, I and L, 5 and S, U (there is V), Z (there is 2), B (there is 8), and no vowels,
	// which would spell words. Its size must be prime: the check character relies on it.
	alphabet = "2346789CDFGHJKMNPRTVWXY"

	drawn   = 15        // symbols of a code that are random: 67.8 bits
	length  = drawn + 1 // with the check character
	group   = 4
	longest = 4 * length // of what is typed, with spaces and hyphens
)

// WellFormed reports whether what was typed could be a code: of the right length and symbols, and with the right check
// character. If it could not, it has a typing error, and there is no need to spend a try on it.
func WellFormed(typed string) bool {
	_, ok := canonical(typed)
	return ok
}

// canonical is the one spelling that is digested: no spaces and hyphens, capital letters.
func canonical(typed string) (string, bool) {
	if len(typed) > longest {
		return "", false
	}
	code := make([]byte, 0, length)
	for i := range len(typed) {
		b := typed[i]
		switch {
		case b == ' ' || b == '-':
			continue
		case 'a' <= b && b <= 'z':
			b -= 'a' - 'A'
		}
		if len(code) == length || strings.IndexByte(alphabet, b) < 0 {
			return "", false
		}
		code = append(code, b)
	}
	return string(code), len(code) == length && weighted(code) == 0
}

// complete appends the check character.
func complete(random string) string {
	missing := (len(alphabet) - weighted([]byte(random+alphabet[:1]))) % len(alphabet)
	return random + alphabet[missing:missing+1]
}

// weighted is the sum of a code's symbols, the last with the weight 1 and each before it with one more, modulo the size of
// the alphabet.
func weighted(code []byte) int {
	sum := 0
	for i, b := range code {
		sum += (len(code) - i) * strings.IndexByte(alphabet, b)
	}
	return sum % len(alphabet)
}

// grouped is a code as it is shown.
func grouped(code string) string {
	var b strings.Builder
	for i := 0; i < len(code); i += group {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(code[i : i+group])
	}
	return b.String()
}

// digest is what is kept of a code.
func digest(key []byte, code string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(code))
	return h.Sum(nil)
}
