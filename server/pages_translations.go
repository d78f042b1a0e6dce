package server

import (
	"errors"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/watchword-auth/watchword/internal/languages"
)

// fallbackLanguage is used if no language matches.
const fallbackLanguage = "en"

// Translations are the texts of the hosted pages in all languages. They are safe for concurrent use.
type Translations struct {
	texts   map[string]map[string]string // by language and name
	matcher *languages.Matcher
}

// builtInTranslations reads the built-in texts, once in a process.
var builtInTranslations = sync.OnceValues(func() (*Translations, error) {
	names, err := fs.Glob(pageFiles, "pages/text.*.json")
	if err != nil {
		return nil, err
	}
	t := &Translations{texts: map[string]map[string]string{}}
	for _, name := range names {
		content, err := fs.ReadFile(pageFiles, name)
		if err == nil {
			language := strings.TrimSuffix(strings.TrimPrefix(name, "pages/text."), ".json")
			t.texts[language], err = decodeTexts(content)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for language, own := range t.texts {
		if err := errors.Join(checkTexts(own, t.texts[fallbackLanguage])...); err != nil {
			return nil, fmt.Errorf("pages: texts in %q: %w", language, err)
		}
	}
	t.matcher, err = languages.NewMatcher(slices.Sorted(maps.Keys(t.texts)))
	return t, err
})

// LoadTranslations returns the built-in texts and, if folder is not nil, replaces texts by those of a folder. It contains files
// LANGUAGE.json (BCP 47), each an object of texts by name. A language that is built in keeps the texts that its file does not have.
// Any other language needs all texts. Texts with the name purpose_ and a purpose, or transaction_ and the name of a row, are added
// for the app's own purposes and rows. A text has no other words in braces than the English one. The error lists every problem.
func LoadTranslations(folder fs.FS) (*Translations, error) {
	builtIn, err := builtInTranslations()
	if err != nil || folder == nil {
		return builtIn, err
	}
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("server: texts: %w", err)
	}
	t := &Translations{texts: maps.Clone(builtIn.texts)}
	var problems []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") { // such as the links of a mounted ConfigMap
			continue
		}
		for _, problem := range t.readFile(folder, entry.Name()) {
			problems = append(problems, fmt.Errorf("server: texts %s: %w", entry.Name(), problem))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	t.matcher, err = languages.NewMatcher(slices.Sorted(maps.Keys(t.texts)))
	return t, err
}

var textFilePattern = regexp.MustCompile(`^([A-Za-z0-9-]{2,35})\.json$`)

// readFile adds the texts of a file. It returns all problems of the file.
func (t *Translations) readFile(folder fs.FS, name string) []error {
	match := textFilePattern.FindStringSubmatch(name)
	if match == nil {
		return []error{errors.New("is not named like LANGUAGE.json")}
	}
	if _, err := languages.NewMatcher(match[1:]); err != nil {
		return []error{errors.New("is no language (BCP 47)")}
	}
	content, err := fs.ReadFile(folder, name)
	if err != nil {
		return []error{err}
	}
	own, err := decodeTexts(content)
	if err != nil {
		return []error{err}
	}
	texts := maps.Clone(t.texts[match[1]])
	if texts == nil {
		texts = map[string]string{}
	}
	maps.Copy(texts, own)
	t.texts[match[1]] = texts
	return checkTexts(texts, t.texts[fallbackLanguage])
}

// pageTexts are the texts of the pages in one language.
type pageTexts struct {
	Lang        string
	rightToLeft bool
	texts       map[string]string
}

func (t *Translations) inLanguage(lang string) pageTexts {
	return pageTexts{lang, languages.IsRightToLeft(lang), t.texts[lang]}
}

// Dir returns the direction of the language, as the attribute dir has it. Templates call it.
func (l pageTexts) Dir() string {
	if l.rightToLeft {
		return "rtl"
	}
	return "ltr"
}

// T returns a text after replacing each name in braces by its value. Pairs are names and values. Templates call it.
func (l pageTexts) T(name string, pairs ...any) (string, error) {
	text, ok := l.texts[name]
	if !ok {
		return "", fmt.Errorf("pages: no text %q", name)
	}
	for n := 0; n+1 < len(pairs); n += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%s}", pairs[n]), languages.Isolate(fmt.Sprint(pairs[n+1]), l.rightToLeft))
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
		if text, isText := pairs[n+1].(string); isText {
			direction := ""
			if !strings.ContainsFunc(text, unicode.IsLetter) { // a number of a phone, which a browser would turn around
				direction = ` dir="ltr"`
			}
			value = "<bdi" + direction + ">" + value + "</bdi>"
		}
		marked = strings.ReplaceAll(marked, fmt.Sprintf("{%s}", pairs[n]), value)
	}
	return template.HTML(marked), nil
}

// has reports whether a text exists.
func (l pageTexts) has(name string) bool { return l.texts[name] != "" }

// forBrowser returns the texts in the language that matches Accept-Language best.
func (t *Translations) forBrowser(r *http.Request) pageTexts {
	if lang, ok := t.matcher.MatchAccepted(r.Header.Get("Accept-Language")); ok {
		return t.inLanguage(lang)
	}
	return t.inLanguage(fallbackLanguage)
}

// forLocale returns the texts in the language of the locale that the app named or, if it has none, of the browser.
func (t *Translations) forLocale(locale string, r *http.Request) pageTexts {
	if lang, ok := t.matcher.Match(locale); ok {
		return t.inLanguage(lang)
	}
	return t.forBrowser(r)
}
