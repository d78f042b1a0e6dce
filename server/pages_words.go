package server

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/languages"
)

// fallbackLanguage has every text.
const fallbackLanguage = "en"

// words are the texts of the pages.
type words struct {
	texts   map[string]map[string]string // by language and name
	matcher *languages.Matcher
}

// loadWords reads pages/text.LANGUAGE.json. Every language must have the texts that the fallback has, and no others.
func loadWords(files fs.FS) (words, error) {
	names, err := fs.Glob(files, "pages/text.*.json")
	if err != nil {
		return words{}, err
	}
	w := words{texts: map[string]map[string]string{}}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return words{}, err
		}
		var own map[string]string
		if err := json.Unmarshal(text, &own); err != nil {
			return words{}, fmt.Errorf("%s: %w", name, err)
		}
		w.texts[strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "text."), ".json")] = own
	}
	for language, own := range w.texts {
		for name := range w.texts[fallbackLanguage] {
			if own[name] == "" {
				return words{}, fmt.Errorf("pages: text %q is missing in %q", name, language)
			}
		}
		if len(own) != len(w.texts[fallbackLanguage]) {
			return words{}, fmt.Errorf("pages: %q has texts that %q has not", language, fallbackLanguage)
		}
	}
	w.matcher, err = languages.NewMatcher(slices.Sorted(maps.Keys(w.texts)))
	return w, err
}

// A language says texts.
type language struct {
	Lang  string
	texts map[string]string
}

func (w words) in(lang string) language { return language{lang, w.texts[lang]} }

// T is a text, with pairs of a name in braces and what stands there instead.
func (l language) T(name string, pairs ...any) (string, error) {
	text, ok := l.texts[name]
	if !ok {
		return "", fmt.Errorf("pages: no text %q", name)
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%s}", pairs[n]), fmt.Sprint(pairs[n+1]))
	}
	return text, nil
}

// has reports whether there is such a text.
func (l language) has(name string) bool { return l.texts[name] != "" }

// accepted is the language that serves the browser best.
func (w words) accepted(r *http.Request) language {
	if lang, ok := w.matcher.MatchAccepted(r.Header.Get("Accept-Language")); ok {
		return w.in(lang)
	}
	return w.in(fallbackLanguage)
}

// spoken is the language of the locale that the app named or, if there is none such, that of the browser.
func (w words) spoken(locale string, r *http.Request) language {
	if lang, ok := w.matcher.Match(locale); ok {
		return w.in(lang)
	}
	return w.accepted(r)
}
