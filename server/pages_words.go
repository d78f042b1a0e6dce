package server

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// fallbackLanguage has every text.
const fallbackLanguage = "en"

// words are the texts of the pages, by language and name.
type words map[string]map[string]string

// loadWords reads pages/text.LANGUAGE.json. Every language must have the texts that the fallback has, and no others.
func loadWords(files fs.FS) (words, error) {
	names, err := fs.Glob(files, "pages/text.*.json")
	if err != nil {
		return nil, err
	}
	w := words{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var own map[string]string
		if err := json.Unmarshal(text, &own); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w[strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "text."), ".json")] = own
	}
	for language, own := range w {
		for name := range w[fallbackLanguage] {
			if own[name] == "" {
				return nil, fmt.Errorf("pages: text %q is missing in %q", name, language)
			}
		}
		if len(own) != len(w[fallbackLanguage]) {
			return nil, fmt.Errorf("pages: %q has texts that %q has not", language, fallbackLanguage)
		}
	}
	return w, nil
}

// A language says texts.
type language struct {
	Lang  string
	texts map[string]string
}

func (w words) in(lang string) language { return language{lang, w[lang]} }

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

// accepted is the language of the browser: the first of its list that there is.
func (w words) accepted(r *http.Request) language {
	for tag := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ = strings.Cut(tag, ";")
		if lang := primary(tag); w[lang] != nil {
			return w.in(lang)
		}
	}
	return w.in(fallbackLanguage)
}

// spoken is the language that the app named or, if there is none such, that of the browser.
func (w words) spoken(locale string, r *http.Request) language {
	if lang := primary(locale); w[lang] != nil {
		return w.in(lang)
	}
	return w.accepted(r)
}

// primary is a language tag's first part (RFC 5646 §2.2.1), in lower case.
func primary(tag string) string {
	if at := strings.IndexAny(tag, "-_"); at >= 0 {
		tag = tag[:at]
	}
	return strings.ToLower(strings.TrimSpace(tag))
}
