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
	"sync"
	texttemplate "text/template"

	"github.com/watchword-auth/watchword/internal/languages"
)

//go:embed templates
var embeddedTemplates embed.FS

const (
	defaultPurpose = "default"
	defaultLocale  = "en"
	defaultChannel = "sms" // whose templates serve channels without templates
)

// Templates are the texts of messages, by purpose, channel and locale. A folder of templates contains
//
//	{channel}.tmpl                     blocks that all locales share, such as the layout of mails
//	default/{channel}.{locale}.tmpl    the texts
//	{purpose}/{channel}.{locale}.tmpl  texts for one purpose
//
// Each file consists of {{define}} blocks. The files are read in this order, so that a later file can replace single blocks of
// an earlier one. The block "text" is executed for every channel. For email the block "title" and, if it is defined, "html" are
// executed too.
//
// A purpose and channel has the languages that there are files for. A message gets the language that matches its locale, or
// English. A purpose without files uses default. The channels email and voice have their own texts; any other channel
// without files uses those of sms.
type Templates struct {
	sets     map[templateKey]*templateSet
	purposes map[string]bool
	channels map[string]bool
	matchers map[matcherKey]*languages.Matcher // for every known purpose with every known channel
}

type templateKey struct{ purpose, channel, locale string }

type matcherKey struct{ purpose, channel string }

type templateSet struct {
	locale      string
	rightToLeft bool
	parse       func() (parsedTemplates, error) // when it is called first
	flat        *flatMessages                   // of a built-in set; nil: the templates are executed for every message
}

type parsedTemplates struct {
	text *texttemplate.Template
	html *htmltemplate.Template // nil: no HTML
}

// builtInTemplates reads the built-in templates, once in a process: they never change, and an app costs nothing for them. Each set
// is parsed when a message needs it first: parsed, all take 4.5 MiB, and a process uses few of them. A test checks
// them, so that a start does not.
var builtInTemplates = sync.OnceValues(func() (*Templates, error) {
	l := &templateLoader{files: map[string][]string{}}
	l.readBuiltIn()
	return l.load(func(name, purpose, channel, locale string) (*templateSet, error) {
		set := l.newSet(name, purpose, channel, locale)
		set.flat = new(flatMessages)
		return set, nil
	})
})

// LoadTemplates loads the built-in templates and, if folder is not nil, replaces blocks by those of a folder with the same
// structure. It executes what the folder changes with sample data, with and without code, link and transaction. The error lists
// every problem. Templates that the folder does not change are shared by all Templates of the process.
func LoadTemplates(folder fs.FS) (*Templates, error) {
	builtIn, err := builtInTemplates()
	if err != nil || folder == nil {
		return builtIn, err
	}
	l := &templateLoader{files: map[string][]string{}}
	l.readBuiltIn()
	own := l.readFolder(folder)
	return l.load(func(name, purpose, channel, locale string) (*templateSet, error) {
		set := builtIn.sets[templateKey{purpose, channel, locale}]
		if set != nil && !own[name] && !own[layoutName(channel)] && !own[templateName(defaultPurpose, channel, locale)] {
			return set, nil
		}
		set = l.newSet(name, purpose, channel, locale)
		return set, checkTemplates(set, channel)
	})
}

// buildMatchers makes the language matcher of every purpose and channel.
func (t *Templates) buildMatchers() (problems []error) {
	t.matchers = map[matcherKey]*languages.Matcher{}
	for purpose := range t.purposes {
		for channel := range t.channels {
			locales := map[string]bool{}
			for key := range t.sets {
				if slices.Contains(templateChannels(channel), key.channel) && (key.purpose == purpose || key.purpose == defaultPurpose) {
					locales[key.locale] = true
				}
			}
			var err error
			if t.matchers[matcherKey{purpose, channel}], err = languages.NewMatcher(slices.Sorted(maps.Keys(locales))); err != nil {
				problems = append(problems, fmt.Errorf("delivery: templates of %s/%s: %w", purpose, channel, err))
			}
		}
	}
	return problems
}

// templateChannels returns the channels whose templates serve a channel. Mail and voice never use those of sms, which have no
// title and are not written to be heard.
func templateChannels(channel string) []string {
	switch channel {
	case ChannelEmail, ChannelVoice, defaultChannel:
		return []string{channel}
	}
	return []string{channel, defaultChannel}
}

var (
	templateNamePattern = regexp.MustCompile(`^([a-z0-9_]{1,40})/([a-z0-9_]+)\.([A-Za-z0-9-]{2,35})\.tmpl$`)
	layoutNamePattern   = regexp.MustCompile(`^[a-z0-9_]+\.tmpl$`)
)

func layoutName(channel string) string { return channel + ".tmpl" }

func templateName(purpose, channel, locale string) string {
	return purpose + "/" + channel + "." + locale + ".tmpl"
}

func parseTemplateName(name string) (purpose, channel, locale string, ok bool) {
	parts := templateNamePattern.FindStringSubmatch(name)
	if parts == nil {
		return "", "", "", false
	}
	return parts[1], parts[2], parts[3], true
}

// A templateLoader collects the texts of files by name, the built-in text first.
type templateLoader struct {
	files    map[string][]string
	problems []error
}

func (l *templateLoader) readBuiltIn() {
	builtIn, err := fs.Sub(embeddedTemplates, "templates")
	if err != nil {
		l.problems = append(l.problems, err)
		return
	}
	l.readFolder(builtIn)
}

// readFolder adds the files of a folder, and returns their names.
func (l *templateLoader) readFolder(folder fs.FS) (names map[string]bool) {
	names = map[string]bool{}
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !templateNamePattern.MatchString(name) && !layoutNamePattern.MatchString(name) {
			l.problems = append(l.problems, fmt.Errorf("delivery: template %s: is not named like purpose/channel.locale.tmpl", name))
			return nil
		}
		text, err := fs.ReadFile(folder, name)
		l.files[name], names[name] = append(l.files[name], string(text)), true
		return err
	})
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("delivery: templates: %w", err))
	}
	return names
}

// load makes Templates of the files with a function that makes one set.
func (l *templateLoader) load(makeSet func(name, purpose, channel, locale string) (*templateSet, error)) (*Templates, error) {
	t := &Templates{sets: map[templateKey]*templateSet{}, purposes: map[string]bool{}, channels: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		purpose, channel, locale, ok := parseTemplateName(name)
		if !ok {
			continue
		}
		set, err := makeSet(name, purpose, channel, locale)
		if err != nil {
			l.problems = append(l.problems, fmt.Errorf("delivery: template %s: %w", name, err))
			continue
		}
		t.sets[templateKey{purpose, channel, locale}] = set
		t.purposes[purpose], t.channels[channel] = true, true
	}
	if len(l.problems) == 0 {
		l.problems = t.buildMatchers()
	}
	if len(l.problems) > 0 {
		return nil, errors.Join(l.problems...)
	}
	return t, nil
}

// newSet returns the templates of the layout, the default texts and the purpose's texts, so that later blocks replace earlier ones.
func (l *templateLoader) newSet(name, purpose, channel, locale string) *templateSet {
	texts := slices.Concat(l.files[layoutName(channel)], l.files[templateName(defaultPurpose, channel, locale)])
	if purpose != defaultPurpose {
		texts = append(texts, l.files[name]...)
	}
	return &templateSet{locale: locale, rightToLeft: languages.IsRightToLeft(locale), parse: sync.OnceValues(func() (parsedTemplates, error) {
		return parseTemplates(name, texts, channel == ChannelEmail)
	})}
}

func parseTemplates(name string, texts []string, mail bool) (parsed parsedTemplates, err error) {
	parsed.text = texttemplate.New(name).Option("missingkey=zero").Funcs(layoutFunctions())
	html := htmltemplate.New(name).Option("missingkey=zero").Funcs(layoutFunctions())
	for _, text := range texts {
		if _, err := parsed.text.Parse(text); err != nil {
			return parsed, err
		}
		if !mail {
			continue
		}
		if _, err := html.Parse(text); err != nil {
			return parsed, err
		}
	}
	if html.Lookup("html") != nil {
		parsed.html = html
	}
	return parsed, nil
}

// find returns the templates of a message. The reader's language takes precedence over templates of the channel, and those over
// templates of the purpose.
func (t *Templates) find(purpose, channel, locale string) *templateSet {
	if !t.purposes[purpose] {
		purpose = defaultPurpose
	}
	if !t.channels[channel] {
		channel = defaultChannel
	}
	chosen, ok := t.matchers[matcherKey{purpose, channel}].Match(locale)
	if !ok {
		chosen = defaultLocale
	}
	for _, c := range templateChannels(channel) {
		for _, p := range [...]string{purpose, defaultPurpose} {
			if set := t.sets[templateKey{p, c, chosen}]; set != nil {
				return set
			}
		}
	}
	return nil // unreachable: sms, voice and email have default templates in English, and a match is a language that exists
}
