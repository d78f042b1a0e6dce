package twilio

import (
	"encoding/xml"
	"strings"

	"github.com/watchword-auth/watchword"
)

// A voice reads one language. The names are Twilio's for Amazon Polly's voices.
type voice struct{ language, name string }

var defaultVoice = voice{"en-US", "Polly.Joanna"}

// voices are those of the languages that messages are written in. British English has its own; any other language is
// read by the English one.
var voices = map[string]voice{
	"en":    defaultVoice,
	"en-GB": {"en-GB", "Polly.Amy"},
	"de":    {"de-DE", "Polly.Vicki"},
	"fr":    {"fr-FR", "Polly.Lea"},
	"es":    {"es-ES", "Polly.Lucia"},
	"pt":    {"pt-BR", "Polly.Camila"},
	"zh":    {"cmn-CN", "Polly.Zhiyu"},
}

// twiml is what Twilio does when the call is answered: it reads the message twice. The text is escaped, so that nothing
// in it becomes an instruction.
func (s *sender) twiml(m watchword.Message) string {
	v := s.selectVoice(m)
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(spellOutCode(m))) // a strings.Builder does not fail
	say := `<Say language="` + v.language + `" voice="` + v.name + `">` + text.String() + `</Say>`
	return `<Response>` + say + `<Pause length="1"/>` + say + `</Response>`
}

// selectVoice is the reader's own voice if the words are in that language (a Briton hears an English text in British
// English), else the one of the words.
func (s *sender) selectVoice(m watchword.Message) voice {
	name, _ := s.voices.Match(m.Locale)
	if m.Language != "" && primaryLanguage(name) != primaryLanguage(m.Language) {
		name, _ = s.voices.Match(m.Language)
	}
	if v, ok := voices[name]; ok {
		return v
	}
	return defaultVoice
}

// primaryLanguage is a tag's primary language (RFC 5646 §2.2.1).
func primaryLanguage(tag string) string {
	language, _, _ := strings.Cut(tag, "-")
	return language
}

// spellOutCode is the text with its code taken apart, for 492039 would be read as a number of hundred thousands. Without a
// text it is the code alone.
func spellOutCode(m watchword.Message) string {
	code := m.Code.Reveal()
	if code == "" {
		return m.Text
	}
	apart := strings.Join(strings.Split(code, ""), ", ")
	if m.Text == "" {
		return apart
	}
	return strings.ReplaceAll(m.Text, code, apart)
}
