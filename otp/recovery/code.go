package recovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"github.com/watchword-auth/watchword/internal/typed"
)

const (
	// alphabet has no symbols that look alike (0, O and Q; 1, I and L; 5 and S; U and V; Z and 2; B and 8: at most one of each
	// group) and no vowels, so that codes form no words. Its size must be prime for the check character to work.
	alphabet = "2346789CDFGHJKMNPRTVWXY"

	randomSymbols = 15                // symbols of a code that are random: 67.8 bits
	codeLength    = randomSymbols + 1 // with the check character
	groupLength   = 4
)

// WellFormed reports whether text has the form of a code: the right length, symbols and check character. If not, it contains a
// typing error and should not be sent, because it would cost a try.
func WellFormed(text string) bool {
	_, ok := parseCode(text)
	return ok
}

var codeShape = typed.Shape{Alphabet: alphabet, Min: codeLength, Max: codeLength}

// parseCode normalizes what a person typed. ok is false if it is not well-formed.
func parseCode(text string) (string, bool) {
	code, ok := codeShape.Fold(text)
	return code, ok && weightedSum([]byte(code)) == 0
}

// appendCheckCharacter returns the code of its random symbols.
func appendCheckCharacter(random string) string {
	missing := (len(alphabet) - weightedSum([]byte(random+alphabet[:1]))) % len(alphabet)
	return random + alphabet[missing:missing+1]
}

// weightedSum returns the sum of a code's symbols modulo the size of the alphabet. The last symbol has the weight 1, each symbol
// before it one more.
func weightedSum(code []byte) int {
	sum := 0
	for i, b := range code {
		sum += (len(code) - i) * strings.IndexByte(alphabet, b)
	}
	return sum % len(alphabet)
}

// formatCode returns a code with hyphens between its groups, for display.
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

// digestCode returns the digest of a code that is stored.
func digestCode(key []byte, code string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(code))
	return h.Sum(nil)
}
