package delivery

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
)

//go:embed templates
var embedded embed.FS

const (
	defaultPurpose = "default"
	defaultLocale  = "en"
	defaultChannel = "sms" // whose words serve channels that have none of their own
)

// Templates are the words of messages, by purpose, channel and locale. A folder of templates holds
//
//	{channel}.tmpl                     what all locales share: the layout of mails
//	default/{channel}.{locale}.tmpl    the words
//	{purpose}/{channel}.{locale}.tmpl  other words for one purpose
//
// each a file of {{define}} blocks that are read in this order, so that a later file replaces single blocks of an earlier
// one. "text" is executed for every channel and, where they are defined, "title" and "html". A locale without a file
// falls back to its language and then to English (RFC 4647 §3.4), a purpose to default, a channel to sms.
type Templates struct {
	sets map[templateKey]*templateSet
}

type templateKey struct{ purpose, channel, locale string } // locale in lower case

type templateSet struct {
	locale string // as the file spells it
	text   *texttemplate.Template
	html   *htmltemplate.Template // nil: no HTML
}

// LoadTemplates reads the built-in templates and, over them, a folder with the same structure; nil: none. Every
// template is executed with sample data in every combination of code, link, transaction and origin. The error lists
// everything that is wrong.
func LoadTemplates(folder fs.FS) (*Templates, error) {
	builtIn, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	l := &loader{files: map[string][]string{}}
	l.read(builtIn)
	if folder != nil {
		l.read(folder)
	}
	t := &Templates{sets: map[templateKey]*templateSet{}}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		purpose, channel, locale, ok := splitName(name)
		if !ok {
			continue
		}
		set, err := l.parse(name, purpose, channel, locale)
		if err == nil {
			err = checkSet(set, channel)
		}
		if err != nil {
			l.problems = append(l.problems, fmt.Errorf("delivery: template %s: %w", name, err))
			continue
		}
		t.sets[templateKey{purpose, channel, strings.ToLower(locale)}] = set
	}
	if len(l.problems) > 0 {
		return nil, errors.Join(l.problems...)
	}
	return t, nil
}

var (
	wordsName  = regexp.MustCompile(`^([a-z0-9_]{1,40})/([a-z0-9_]+)\.([A-Za-z0-9-]{2,35})\.tmpl$`)
	layoutName = regexp.MustCompile(`^[a-z0-9_]+\.tmpl$`)
)

func splitName(name string) (purpose, channel, locale string, ok bool) {
	parts := wordsName.FindStringSubmatch(name)
	if parts == nil {
		return "", "", "", false
	}
	return parts[1], parts[2], parts[3], true
}

// A loader collects the files' texts, of one name those of the built-in file first.
type loader struct {
	files    map[string][]string
	problems []error
}

func (l *loader) read(folder fs.FS) {
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !wordsName.MatchString(name) && !layoutName.MatchString(name) {
			l.problems = append(l.problems, fmt.Errorf("delivery: template %s: is not named like purpose/channel.locale.tmpl", name))
			return nil
		}
		text, err := fs.ReadFile(folder, name)
		l.files[name] = append(l.files[name], string(text))
		return err
	})
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("delivery: templates: %w", err))
	}
}

// parse puts one purpose's words over the default ones and those over the layout.
func (l *loader) parse(name, purpose, channel, locale string) (*templateSet, error) {
	texts := append([]string{}, l.files[channel+".tmpl"]...)
	texts = append(texts, l.files[defaultPurpose+"/"+channel+"."+locale+".tmpl"]...)
	if purpose != defaultPurpose {
		texts = append(texts, l.files[name]...)
	}
	set := &templateSet{
		locale: locale,
		text:   texttemplate.New(name).Option("missingkey=zero"),
		html:   htmltemplate.New(name).Option("missingkey=zero"),
	}
	for _, text := range texts {
		if _, err := set.text.Parse(text); err != nil {
			return nil, err
		}
		if _, err := set.html.Parse(text); err != nil {
			return nil, err
		}
	}
	if set.html.Lookup("html") == nil {
		set.html = nil
	}
	return set, nil
}

// find returns the words for a message. The reader's language matters more than words made for the channel, and those
// more than words made for the purpose.
func (t *Templates) find(purpose, channel, locale string) *templateSet {
	for _, l := range fallbacks(locale) {
		for _, c := range [...]string{channel, defaultChannel} {
			for _, p := range [...]string{purpose, defaultPurpose} {
				if set := t.sets[templateKey{p, c, l}]; set != nil {
					return set
				}
			}
		}
	}
	return nil // cannot be: there is default/sms.en.tmpl
}

// fallbacks lists the locales that serve a reader: his own, ever less of it, and English.
func fallbacks(locale string) []string {
	locale = strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
	out := make([]string, 0, 4)
	for locale != "" {
		out = append(out, locale)
		locale = locale[:max(0, strings.LastIndexByte(locale, '-'))]
	}
	return append(out, defaultLocale)
}
