package delivery

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword"
)

// renderOptions are the settings of a Renderer that change messages.
type renderOptions struct {
	retrieverHash string
	brand         brand
	codeInSubject bool
}

// render sets Text, Title, HTML and Language.
func (s *templateSet) render(m *watchword.Message, lifetime time.Duration, o renderOptions) error {
	data, err := s.templateData(m, lifetime)
	if err != nil {
		return err
	}
	data.brand, data.codeInTitle = o.brand, o.codeInSubject && data.Code != ""
	parts, err := s.renderParts(&data, m.Channel)
	if err != nil {
		return err
	}
	m.Text, m.Title, m.HTML, m.Language = parts.text, parts.title, parts.html, s.locale
	if m.Channel == ChannelSMS {
		m.Text += smsSuffix(m, o.retrieverHash)
	}
	return nil
}

// minNameLength is the number of characters to which a name may be cut.
const minNameLength = 8

// shorten renders an SMS with a code again, in one segment if that is possible. It leaves out, until the text fits: the accents in
// the app's name, if no other character needs UCS-2; what is not necessary; the name of a purpose that has no text of its own; the
// end of the app's name.
func (s *templateSet) shorten(m *watchword.Message, lifetime time.Duration, o renderOptions) error {
	data, err := s.templateData(m, lifetime)
	if err != nil {
		return err
	}
	suffix := smsSuffix(m, o.retrieverHash)
	for _, step := range shorterVariables(data.App) {
		step(&data)
		parts, err := s.renderParts(&data, ChannelSMS)
		if err != nil {
			return err
		}
		if gsm.fitsOneSegment(parts.text + suffix) {
			m.Text = parts.text + suffix
			return nil
		}
	}
	return nil
}

// shorterVariables returns the steps of shorten for an app's name.
func shorterVariables(name string) []func(*bodyData) {
	if plain := dropAccents(name); gsm.contains(plain) {
		name = plain
	}
	steps := []func(*bodyData){
		func(d *bodyData) { d.App = name },
		func(d *bodyData) { d.Brief = true },
		func(d *bodyData) { d.Purpose = "" },
	}
	for length := utf8.RuneCountInString(name) - 1; length >= minNameLength; length-- {
		steps = append(steps, func(d *bodyData) { d.App = cutName(name, length) })
	}
	return steps
}

// dropAccents returns a text in which letters have no diacritical marks.
func dropAccents(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text))
}

// cutName returns the first characters of a name, whole words if enough is left.
func cutName(name string, length int) string {
	cut := sanitizeText(name, length)
	if at := strings.LastIndexByte(cut, ' '); at >= minNameLength && !strings.HasPrefix(name[len(cut):], " ") && len(cut) < len(name) {
		return cut[:at]
	}
	return cut
}

// messageParts are the texts of one message. Only mail has a title and, if there is a template for it, html.
type messageParts struct{ text, title, html string }

// renderParts renders a message, by its flat form if there is one.
func (s *templateSet) renderParts(data *bodyData, channel string) (messageParts, error) {
	mail := channel == ChannelEmail
	if flat := s.findFlat(data, mail); flat != nil {
		return flat.render(data, mail), nil
	}
	return s.execute(data, mail)
}

// execute executes the templates.
func (s *templateSet) execute(data *bodyData, mail bool) (parts messageParts, err error) {
	parsed, err := s.parse()
	if err != nil {
		return parts, err
	}
	var b strings.Builder
	if err := parsed.text.ExecuteTemplate(&b, "text", *data); err != nil {
		return parts, fmt.Errorf("text: %w", err)
	}
	parts.text = strings.TrimSpace(b.String())
	if !mail {
		return parts, nil
	}
	b.Reset()
	if data.codeInTitle {
		err = parsed.text.ExecuteTemplate(&b, "title_with_code", *data)
	} else {
		err = parsed.text.ExecuteTemplate(&b, "title", data.titleData)
	}
	if err != nil {
		return parts, fmt.Errorf("title: %w", err)
	}
	parts.title = strings.TrimSpace(b.String())
	if parsed.html == nil {
		return parts, nil
	}
	b.Reset()
	if err := parsed.html.ExecuteTemplate(&b, "html", *data); err != nil {
		return parts, fmt.Errorf("html: %w", err)
	}
	parts.html = b.String()
	return parts, nil
}

// smsSuffix returns the lines for programs. A browser reads the code from a last line "@host #code" and offers it only on pages
// of that host.
func smsSuffix(m *watchword.Message, hash string) string {
	suffix := ""
	if hash != "" {
		suffix += "\n" + hash
	}
	if m.Origin != "" && !m.Code.IsZero() {
		suffix += "\n@" + m.Origin + " #" + m.Code.Reveal()
	}
	return suffix
}
