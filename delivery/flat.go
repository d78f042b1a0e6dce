package delivery

import (
	"strconv"
	"strings"
)

// A flatMessage is a built-in message without a transaction: fixed texts with variables between them, so that rendering it is
// concatenation and escaping. Built-in templates show each variable as it is, and depend on nothing but whether there is a
// code and a link.
type flatMessage struct{ text, title, html flatText }

type flatText []flatPart

// A flatPart is a fixed text and the variable after it; nil: no variable.
type flatPart struct {
	fixed string
	value func(*bodyData) string
}

// A flatKey says which variables a flatMessage has.
type flatKey struct{ code, link bool }

const (
	samplePurpose = "sample purpose"
	sampleMinutes = 7351
)

// flatVariables are the variables of built-in templates, with the sample values by which flattenText finds them. No built-in
// template contains a sample value.
var flatVariables = []struct {
	sample string
	value  func(*bodyData) string
}{
	{sampleApp, func(d *bodyData) string { return d.App }},
	{samplePurpose, func(d *bodyData) string { return d.Purpose }},
	{strconv.Itoa(sampleMinutes), func(d *bodyData) string { return strconv.Itoa(d.Minutes) }},
	{sampleCode, func(d *bodyData) string { return d.Code }},
	{sampleLink, func(d *bodyData) string { return d.Link }},
}

// flatten makes the flat messages of a built-in set. It executes the templates with sample values.
func (s *templateSet) flatten(channel string) error {
	flat := map[flatKey]*flatMessage{}
	for _, key := range []flatKey{{code: true}, {link: true}, {code: true, link: true}} {
		data := bodyData{titleData: titleData{App: sampleApp, Purpose: samplePurpose, Lang: s.locale, Minutes: sampleMinutes}}
		if key.code {
			data.Code = sampleCode
		}
		if key.link {
			data.Link = sampleLink
		}
		parts, err := s.execute(&data, channel == ChannelEmail)
		if err != nil {
			return err
		}
		flat[key] = &flatMessage{text: flattenText(parts.text), title: flattenText(parts.title), html: flattenText(parts.html)}
	}
	s.flat = flat
	return nil
}

// flattenText splits a text that was rendered with sample values at these values.
func flattenText(rendered string) (out flatText) {
	for {
		at, size, part := len(rendered), 0, flatPart{}
		for _, v := range flatVariables {
			if n := strings.Index(rendered, v.sample); n >= 0 && n < at {
				at, size, part.value = n, len(v.sample), v.value
			}
		}
		part.fixed = rendered[:at]
		out = append(out, part)
		if part.value == nil {
			return out
		}
		rendered = rendered[at+size:]
	}
}

// findFlat returns the flat message for the variables, or nil if the templates must be executed.
func (s *templateSet) findFlat(data *bodyData) *flatMessage {
	if len(data.Transaction) > 0 || !isPlainLink(data.Link) {
		return nil
	}
	return s.flat[flatKey{data.Code != "", data.Link != ""}]
}

// isPlainLink reports whether html/template changes nothing in a link but what it escapes in every text. An attribute of HTML
// percent-encodes all other characters.
func isPlainLink(link string) bool {
	return !strings.ContainsFunc(link, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$&*+,/:;=?@[]-._~", r)
	})
}

// htmlEscaper escapes as html/template does in texts, quoted attributes and titles.
var htmlEscaper = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;")

func (f *flatMessage) render(data *bodyData, mail bool) messageParts {
	parts := messageParts{text: strings.TrimSpace(f.text.join(data, nil))}
	if mail {
		parts.title, parts.html = strings.TrimSpace(f.title.join(data, nil)), f.html.join(data, htmlEscaper)
	}
	return parts
}

// join puts the variables between the fixed texts. A nil escaper changes nothing.
func (t flatText) join(data *bodyData, escaper *strings.Replacer) string {
	size := 0
	for i := range t {
		size += len(t[i].fixed) + len(sampleLink)
	}
	var b strings.Builder
	b.Grow(size)
	for i := range t {
		b.WriteString(t[i].fixed)
		switch {
		case t[i].value == nil:
		case escaper == nil:
			b.WriteString(t[i].value(data))
		default:
			_, _ = escaper.WriteString(&b, t[i].value(data)) // a Builder does not fail
		}
	}
	return b.String()
}
