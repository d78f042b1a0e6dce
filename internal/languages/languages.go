// Package languages chooses the language of a text among those that there are, for messages and pages alike. Scripts are
// not exchanged: whoever reads Traditional Chinese gets no Simplified.
package languages

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// maxAccepted bounds how many entries of an Accept-Language header are read.
const maxAccepted = 32

// A Matcher knows the languages that there are. It is safe for concurrent use.
type Matcher struct {
	names   []string // as they were given
	matcher language.Matcher
}

// NewMatcher makes a Matcher of BCP 47 tags, or names those that are none.
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
		problems = append(problems, errors.New("there is no language"))
	}
	return &Matcher{names: names, matcher: language.NewMatcher(tags)}, errors.Join(problems...)
}

// Match returns the one of the Matcher's languages that a reader of a locale reads, if there is one.
func (m *Matcher) Match(locale string) (name string, ok bool) {
	return m.match(language.Make(locale)) // what it does not know of a tag it leaves out
}

// MatchAccepted returns the one that serves a browser best, by its Accept-Language header (RFC 9110 §12.5.4). Browsers
// list the bare language behind a more special one (zh-TW, zh;q=0.9): where that is written in another script than there
// is, the bare one is no other wish.
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

// match believes the library where it is sure; of another script it is not.
func (m *Matcher) match(wanted ...language.Tag) (name string, ok bool) {
	_, i, confidence := m.matcher.Match(wanted...)
	if confidence < language.High {
		return "", false
	}
	return m.names[i], true
}

// parseAccepted lists the tags of an Accept-Language header, the most wanted first. What cannot be read is left out.
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
