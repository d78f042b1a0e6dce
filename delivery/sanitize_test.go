package delivery

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSanitizeTextRemovesWhatMakesLinks(t *testing.T) {
	for in, want := range map[string]string{
		"ACME GmbH":                            "ACME GmbH",
		"ACME Inc.":                            "ACME Inc",
		"J.P. Morgan & Sons, London":           "J. P. Morgan & Sons, London",
		"O’Hara – Söhne":                       "O'Hara - Söhne",
		"40.25":                                "40.25",
		"€1,234.50":                            "€1,234.50",
		"(3.5%)":                               "(3.5%)",
		"1.234.567,00":                         "1. 234. 567,00",
		"evil.com":                             "evil. com",
		"https://evil.com/a?b=c#d":             "https evil. com a b c d",
		"www.evil.com.":                        "www. evil. com",
		"1.2.3.4":                              "1. 2. 3. 4",
		"bob@evil.com":                         "bob evil. com",
		"a\r\nBcc: b":                          "a Bcc b",
		"a\n@evil.com #123":                    "a evil. com 123",
		"a\u2028b\u0085c\u00a0d\u200be\u202ef": "a b c d e f",
		"<b>bold</b> {{.Code}} $(x)":           "b bold b . Code $(x)",
		"evil。com evil．com evil․com":           "evil com evil com evil com",
		"例え株式会社":                               "例え株式会社",
		"\xff\xfe":                             "",
		"  ":                                   "",
		"0123456789012345678901234567890123456789": "012345678901234567890123456789",
	} {
		if got := sanitizeText(in, 30); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// autoLinkPattern matches what phones show as links: a scheme, an address, or a name with a dot inside.
var autoLinkPattern = regexp.MustCompile(`://|www|@|[^\s]\.\pL|\pL\.[^\s]|[0-9]\.[0-9]+\.[0-9]`)

// hostileText generates strings from the parts of injections.
func hostileText() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"\n", "\r", "\r\n", "\u2028", "\u2029", "\u0085", "\v", "\f", "\x00", "\x1b[31m", "\u202e", "\u200d", "@", "#", ".", "/", "//", ":",
			"https://", "http://evil.com", "evil.com", ".com", "@evil.com #999999", "javascript:", "Bcc: x", "<a href=x>", "\"", "{{.Code}}", " ", "。", "．", "e\u0301", "1.2", "40.25"}),
		rapid.String(), rapid.StringMatching(`[a-z0-9. ]{0,8}`))
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "") })
}

func TestSanitizeTextIsBoundedHarmlessAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, limit := hostileText().Draw(t, "in"), rapid.IntRange(0, 80).Draw(t, "limit")
		got := sanitizeText(in, limit)
		if utf8.RuneCountInString(got) > limit || !utf8.ValidString(got) {
			t.Fatalf("%q is longer than %d, or no text", got, limit)
		}
		if autoLinkPattern.MatchString(strings.ReplaceAll(got, "www", "")) || strings.ContainsFunc(got, func(r rune) bool {
			return r != ' ' && (unicode.IsSpace(r) || unicode.Is(unicode.C, r)) || strings.ContainsRune("@#:/\\<>\"=?{}[]|~^`;*_", r)
		}) {
			t.Fatalf("%q became %q", in, got)
		}
		if again := sanitizeText(got, limit); again != got {
			t.Fatalf("%q is plain, but became %q", got, again)
		}
	})
}

func TestCountSegmentsByEncoding(t *testing.T) {
	for _, c := range []struct {
		text     string
		count    int
		encoding string
	}{
		{"", 1, "GSM-7"},
		{strings.Repeat("a", 160), 1, "GSM-7"}, {strings.Repeat("a", 161), 2, "GSM-7"}, {strings.Repeat("a", 306), 2, "GSM-7"}, {strings.Repeat("a", 307), 3, "GSM-7"},
		{strings.Repeat("€", 80), 1, "GSM-7"}, {strings.Repeat("€", 81), 2, "GSM-7"},
		{strings.Repeat("€", 153), 3, "GSM-7"}, // 76 to a part: an escape is not torn from what it escapes
		{strings.Repeat("ä", 160), 1, "GSM-7"},
		{strings.Repeat("ç", 70), 1, "UCS-2"}, {strings.Repeat("ç", 71), 2, "UCS-2"}, {strings.Repeat("ç", 134), 2, "UCS-2"}, {strings.Repeat("ç", 135), 3, "UCS-2"},
		{strings.Repeat("😀", 35), 1, "UCS-2"}, {strings.Repeat("😀", 36), 2, "UCS-2"}, {strings.Repeat("😀", 67), 3, "UCS-2"},
		{strings.Repeat("a", 70) + "`", 2, "UCS-2"},
	} {
		if count, encoding := gsm.countSegments(c.text); count != c.count || encoding != c.encoding {
			t.Errorf("%.10q… (%d): %d %s, want %d %s", c.text, utf8.RuneCountInString(c.text), count, encoding, c.count, c.encoding)
		}
	}
	lengths := map[int]int{}
	for r := range rune(1 << 16) {
		lengths[gsm.septets(r)]++
	}
	if lengths[1] != 127 || lengths[2] != 10 {
		t.Errorf("characters by length %v, want 127 and 10", lengths)
	}
}
