package recovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"github.com/watchword-auth/watchword/internal/typed"
)

const (
	// alphabet has none of 0, O and Q, 1, I and L, 5 and S, U (there is V), Z (there is 2), B (there is 8), and no vowels,
	// which would spell words. Its size must be prime: the check character relies on it.
	alphabet = "2346789CDFGHJKMNPRTVWXY"

	randomSymbols = 15                // symbols of a code that are random: 67.8 bits
	codeLength    = randomSymbols + 1 // with the check character
	groupLength   = 4
)

// WellFormed reports whether what was typed could be a code: of the right length and symbols, and with the right check
// character. If it could not, it has a typing error, and there is no need to spend a try on it.
func WellFormed(text string) bool {
	_, ok := parseCode(text)
	return ok
}

var codeShape = typed.Shape{Alphabet: alphabet, Min: codeLength, Max: codeLength}

// parseCode is the one spelling that is digested, if its check character is right.
func parseCode(text string) (string, bool) {
	code, ok := codeShape.Fold(text)
	return code, ok && weightedSum([]byte(code)) == 0
}

// appendCheckCharacter appends the check character.
func appendCheckCharacter(random string) string {
	missing := (len(alphabet) - weightedSum([]byte(random+alphabet[:1]))) % len(alphabet)
	return random + alphabet[missing:missing+1]
}

// weightedSum is the sum of a code's symbols, the last with the weight 1 and each before it with one more, modulo the size of
// the alphabet.
func weightedSum(code []byte) int {
	sum := 0
	for i, b := range code {
		sum += (len(code) - i) * strings.IndexByte(alphabet, b)
	}
	return sum % len(alphabet)
}

// formatCode is a code as it is shown.
func formatCode(code string) string {
	var b strings.Builder
	for i := 0; i < len(code); i += groupLength {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(code[i : i+groupLength])
	}
	return b.String()
}

// digestCode is what is kept of a code.
func digestCode(key []byte, code string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(code))
	return h.Sum(nil)
}
