package delivery

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

var (
	afterFullWidth  = regexp.MustCompile(`[：，。？！；] +\S`)
	frenchPlainSign = regexp.MustCompile(`[^\x{00a0}\x{202f}/0-9]:(\s|$)|[^\x{202f}][?!;]`)
)

// Chinese full-width punctuation has its space in itself, and French writes a no-break space before colons and question marks.
func TestMailPunctuationIsThatOfTheLanguage(t *testing.T) {
	everyMail(t, []string{"fr", "zh"}, MailConfig{}, func(name string, m watchword.Message) {
		text := html.UnescapeString(invisiblePattern.ReplaceAllString(strings.ReplaceAll(m.HTML, m.Link.Reveal(), ""), ""))
		for part, text := range map[string]string{"text": strings.ReplaceAll(m.Text, m.Link.Reveal(), ""), "title": m.Title, "html": text} {
			wrong := frenchPlainSign
			if strings.HasPrefix(name, "zh") {
				wrong = afterFullWidth
			}
			if found := wrong.FindString(text); found != "" {
				t.Errorf("%s: %s has %q:\n%s", name, part, found, text)
			}
		}
	})
}
