package twilio

import (
	"encoding/xml"
	"strings"

	"github.com/watchword-auth/watchword"
)

// A voice reads one language. The names are Twilio's for Amazon Polly's voices.
type voice struct{ language, name string }

var english = voice{"en-US", "Polly.Joanna"}

// voices are those of the languages that messages are written in. British English has its own; any other language is
// read by the English one.
var voices = map[string]voice{
	"en":    english,
	"en-gb": {"en-GB", "Polly.Amy"},
	"de":    {"de-DE", "Polly.Vicki"},
	"fr":    {"fr-FR", "Polly.Lea"},
	"es":    {"es-ES", "Polly.Lucia"},
	"pt":    {"pt-BR", "Polly.Camila"},
	"zh":    {"cmn-CN", "Polly.Zhiyu"},
}

// twiml is what Twilio does when the call is answered: it reads the message twice. The text is escaped, so that nothing
// in it becomes an instruction.
func twiml(m watchword.Message) string {
	v := voiceOf(m.Locale)
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(spoken(m))) // a strings.Builder does not fail
	say := `<Say language="` + v.language + `" voice="` + v.name + `">` + text.String() + `</Say>`
	return `<Response>` + say + `<Pause length="1"/>` + say + `</Response>`
}

func voiceOf(locale string) voice {
	locale = strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
	if v, ok := voices[locale]; ok {
		return v
	}
	language, _, _ := strings.Cut(locale, "-")
	if v, ok := voices[language]; ok {
		return v
	}
	return english
}

// spoken is the text with its code taken apart, for 492039 would be read as a number of hundred thousands. Without a
// text it is the code alone.
func spoken(m watchword.Message) string {
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
