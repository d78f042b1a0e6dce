// Package languages selects the language of a message or page from the available ones. It never replaces a script by another: a
// reader of Traditional Chinese does not get Simplified Chinese.
package languages

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/language"
)

// maxAccepted is the number of entries of an Accept-Language header that are parsed.
const maxAccepted = 32

// A Matcher selects from a list of available languages. It is safe for concurrent use.
type Matcher struct {
	names   []string // the available languages
	matcher language.Matcher
}

// NewMatcher returns a Matcher for a list of BCP 47 tags. The error names the invalid ones.
func NewMatcher(names []string) (*Matcher, error) {
	tags := make([]language.Tag, len(names))
	var problems []error
	for i, name := range names {
		var err error
		if tags[i], err = language.Parse(name); err != nil {
			problems = append(problems, fmt.Errorf("%q is not a language tag (BCP 47)", name))
		}
	}
	if len(names) == 0 {
		problems = append(problems, errors.New("the list of languages is empty"))
	}
	return &Matcher{names: names, matcher: language.NewMatcher(tags)}, errors.Join(problems...)
}

// Match returns the available language for a locale, if there is one.
func (m *Matcher) Match(locale string) (name string, ok bool) {
	if locale == "" || slices.Contains(m.names, locale) { // most messages; parsing a tag takes longer than rendering one
		return locale, locale != ""
	}
	return m.match(language.Make(locale)) // Make drops unknown parts of a tag
}

// MatchAccepted returns the best available language for an Accept-Language header (RFC 9110 §12.5.4), if there is one. Browsers add
// the base language after a regional one (zh-TW, zh;q=0.9). If the script of the regional language is not available, MatchAccepted
// ignores the base language too.
func (m *Matcher) MatchAccepted(header string) (name string, ok bool) {
	var wanted []language.Tag
	otherScript := map[language.Base]bool{}
	for _, tag := range parseAccepted(header) {
		base, _ := tag.Base()
		_, i, confidence := m.matcher.Match(tag)
		if confidence < language.High {
			found, _ := language.Make(m.names[i]).Base()
			otherScript[base] = otherScript[base] || found == base
			continue
		}
		if !otherScript[base] || tag.String() != base.String() {
			wanted = append(wanted, tag)
		}
	}
	return m.match(wanted...)
}

// match accepts only matches of high confidence. The library's confidence for another script is lower.
func (m *Matcher) match(wanted ...language.Tag) (name string, ok bool) {
	_, i, confidence := m.matcher.Match(wanted...)
	if confidence < language.High {
		return "", false
	}
	return m.names[i], true
}

// parseAccepted returns the tags of an Accept-Language header, sorted by descending weight, without invalid entries.
func parseAccepted(header string) []language.Tag {
	type entry struct {
		tag    language.Tag
		weight float32
	}
	var entries []entry
	for i, text := range strings.SplitN(header, ",", maxAccepted+1) {
		tags, weights, err := language.ParseAcceptLanguage(text)
		if err == nil && len(tags) == 1 && i < maxAccepted {
			entries = append(entries, entry{tags[0], weights[0]})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(b.weight, a.weight) })
	tags := make([]language.Tag, len(entries))
	for i, e := range entries {
		tags[i] = e.tag
	}
	return tags
}

// IsRightToLeft reports whether a language (BCP 47) is written from right to left.
func IsRightToLeft(name string) bool {
	script, _ := language.Make(name).Script()
	return slices.Contains([]string{"Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"}, script.String())
}

// Isolate puts a text between the characters that isolate it from the direction of the text around it (U+2068, U+2069), if the text
// around it is written from right to left or the text contains a letter of such a script.
func Isolate(text string, rightToLeft bool) string {
	if text == "" || !rightToLeft && !strings.ContainsFunc(text, isWrittenRightToLeft) {
		return text
	}
	return "\u2068" + text + "\u2069"
}

func isWrittenRightToLeft(r rune) bool {
	return unicode.In(r, unicode.Adlam, unicode.Arabic, unicode.Hebrew, unicode.Hanifi_Rohingya, unicode.Nko, unicode.Syriac, unicode.Thaana)
}
