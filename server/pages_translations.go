package server

import (
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/languages"
)

// fallbackLanguage is used if no language matches.
const fallbackLanguage = "en"

// translations are the texts of the pages in all languages.
type translations struct {
	texts   map[string]map[string]string // by language and name
	matcher *languages.Matcher
}

// loadTranslations reads pages/text.LANGUAGE.json. Every language must have the same texts as the fallback language.
func loadTranslations(files fs.FS) (translations, error) {
	names, err := fs.Glob(files, "pages/text.*.json")
	if err != nil {
		return translations{}, err
	}
	t := translations{texts: map[string]map[string]string{}}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return translations{}, err
		}
		var own map[string]string
		if err := json.Unmarshal(text, &own); err != nil {
			return translations{}, fmt.Errorf("%s: %w", name, err)
		}
		t.texts[strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "text."), ".json")] = own
	}
	for language, own := range t.texts {
		for name := range t.texts[fallbackLanguage] {
			if own[name] == "" {
				return translations{}, fmt.Errorf("pages: text %q is missing in %q", name, language)
			}
		}
		if len(own) != len(t.texts[fallbackLanguage]) {
			return translations{}, fmt.Errorf("pages: %q has texts that %q does not have", language, fallbackLanguage)
		}
	}
	t.matcher, err = languages.NewMatcher(slices.Sorted(maps.Keys(t.texts)))
	return t, err
}

// pageTexts are the texts of the pages in one language.
type pageTexts struct {
	Lang  string
	texts map[string]string
}

func (t translations) inLanguage(lang string) pageTexts { return pageTexts{lang, t.texts[lang]} }

// T returns a text after replacing each name in braces by its value. Pairs are names and values. Templates call it.
func (l pageTexts) T(name string, pairs ...any) (string, error) {
	text, ok := l.texts[name]
	if !ok {
		return "", fmt.Errorf("pages: no text %q", name)
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%s}", pairs[n]), fmt.Sprint(pairs[n+1]))
	}
	return text, nil
}

// Marked returns a text as T does, as HTML. A value that is a string is isolated from the direction of the text around
// it, and emphasized.
func (l pageTexts) Marked(name string, pairs ...any) (template.HTML, error) {
	text, ok := l.texts[name]
	if !ok {
		return "", fmt.Errorf("pages: no text %q", name)
	}
	marked := html.EscapeString(text)
	for n := 0; n+1 < len(pairs); n += 2 {
		value := html.EscapeString(fmt.Sprint(pairs[n+1]))
		if _, isText := pairs[n+1].(string); isText {
			value = "<bdi>" + value + "</bdi>"
		}
		marked = strings.ReplaceAll(marked, fmt.Sprintf("{%s}", pairs[n]), value)
	}
	return template.HTML(marked), nil
}

// has reports whether a text exists.
func (l pageTexts) has(name string) bool { return l.texts[name] != "" }

// forBrowser returns the texts in the language that matches Accept-Language best.
func (t translations) forBrowser(r *http.Request) pageTexts {
	if lang, ok := t.matcher.MatchAccepted(r.Header.Get("Accept-Language")); ok {
		return t.inLanguage(lang)
	}
	return t.inLanguage(fallbackLanguage)
}

// forLocale returns the texts in the language of the locale that the app named or, if it has none, of the browser.
func (t translations) forLocale(locale string, r *http.Request) pageTexts {
	if lang, ok := t.matcher.Match(locale); ok {
		return t.inLanguage(lang)
	}
	return t.forBrowser(r)
}
