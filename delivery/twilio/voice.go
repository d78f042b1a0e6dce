package twilio

import (
	"encoding/xml"
	"strings"

	"github.com/watchword-auth/watchword"
)

// A voice is a text-to-speech voice. The names are Twilio's names of Amazon Polly's voices.
type voice struct{ language, name string }

var defaultVoice = voice{"en-US", "Polly.Joanna"}

// voices has a voice for each language of the built-in messages, and one for British English. Other languages use defaultVoice.
var voices = map[string]voice{
	"en":    defaultVoice,
	"en-GB": {"en-GB", "Polly.Amy"},
	"de":    {"de-DE", "Polly.Vicki"},
	"fr":    {"fr-FR", "Polly.Lea"},
	"es":    {"es-ES", "Polly.Lucia"},
	"pt":    {"pt-BR", "Polly.Camila"},
	"zh":    {"cmn-CN", "Polly.Zhiyu"},
}

// twiml returns the TwiML document of a call, which reads the message twice. The text is escaped, so that it cannot contain TwiML
// instructions.
func (s *sender) twiml(m watchword.Message) string {
	v := s.selectVoice(m)
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(spellOutCode(m))) // writing to a strings.Builder cannot fail
	say := `<Say language="` + v.language + `" voice="` + v.name + `">` + text.String() + `</Say>`
	return `<Response>` + say + `<Pause length="1"/>` + say + `</Response>`
}

// selectVoice returns the voice of the person's locale if the text is in the same language, and else the voice of the text's
// language. So a person with the locale en-GB hears an English text in British English.
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

// primaryLanguage returns the primary language subtag of a tag (RFC 5646 §2.2.1).
func primaryLanguage(tag string) string {
	language, _, _ := strings.Cut(tag, "-")
	return language
}

// spellOutCode returns the message's text with the code written as separate digits, so that it is not read as one large number.
// Without a text it returns the code alone.
func spellOutCode(m watchword.Message) string {
	code := m.Code.Reveal()
	if code == "" {
		return m.Text
	}
	spelled := strings.Join(strings.Split(code, ""), ", ")
	if m.Text == "" {
		return spelled
	}
	return strings.ReplaceAll(m.Text, code, spelled)
}
