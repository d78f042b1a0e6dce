package delivery

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/watchword-auth/watchword/internal/colors"
)

// A flatMessage is a built-in message without a transaction: fixed texts with variables between them, so that rendering it is
// concatenation and escaping. Built-in templates show each variable as it is, and depend on nothing but what a flatKey says.
type flatMessage struct{ text, title, html flatText }

type flatText []flatPart

// A flatPart is a fixed text and the variable after it; nil: no variable.
type flatPart struct {
	fixed string
	value func(*bodyData) string
}

// A flatKey says which variables a flatMessage has.
type flatKey uint8

const (
	flatCode flatKey = 1 << iota
	flatLink
	flatFrom
	flatLogo
	flatCodeInTitle
	flatKeys // the number of keys
)

// flatMessages are the flat messages of one set of templates. Each is made when it is needed first: apps use few of them.
type flatMessages [flatKeys]atomic.Pointer[flatMessage]

const (
	samplePurpose = "sample purpose"
	sampleMinutes = 7351
	sampleUntil   = "07:51 UTC"
	sampleFrom    = "Sample Browser"
)

// flatVariables are the variables of built-in templates, with the sample values by which flattenText finds them. No built-in
// template contains a sample value, and no sample value contains another.
var flatVariables = []struct {
	sample string
	value  func(*bodyData) string
}{
	{sampleApp, func(d *bodyData) string { return d.App }},
	{samplePurpose, func(d *bodyData) string { return d.Purpose }},
	{strconv.Itoa(sampleMinutes), func(d *bodyData) string { return strconv.Itoa(d.Minutes) }},
	{sampleUntil, func(d *bodyData) string { return d.Until }},
	{sampleFrom, func(d *bodyData) string { return d.From }},
	{sampleCode, func(d *bodyData) string { return d.Code }},
	{sampleLink, func(d *bodyData) string { return d.Link }},
	{sampleBrand.Logo, func(d *bodyData) string { return d.Logo }},
	{sampleBrand.Color, func(d *bodyData) string { return d.Color }},
	{sampleBrand.Ink, func(d *bodyData) string { return d.Ink }},
	{sampleBrand.Edge, func(d *bodyData) string { return d.Edge }},
	{sampleBrand.ColorDark, func(d *bodyData) string { return d.ColorDark }},
	{sampleBrand.InkDark, func(d *bodyData) string { return d.InkDark }},
}

// sampleBrand has a different value in each field.
var sampleBrand = brand{Logo: "https://sample.example/logo", Button: colors.Button{Color: "#a70001", Ink: "#a70002", Edge: "#a70003", ColorDark: "#a70004", InkDark: "#a70005"}}

// makeFlat executes the templates with sample values and returns the flat message. A nil message means that they fail.
func (s *templateSet) makeFlat(key flatKey, mail bool) *flatMessage {
	data := bodyData{titleData: titleData{App: sampleApp, Purpose: samplePurpose, Lang: s.locale, Minutes: sampleMinutes, Until: sampleUntil},
		brand: sampleBrand, Dir: s.direction(), codeInTitle: key&flatCodeInTitle != 0}
	if key&flatCode != 0 {
		data.Code = sampleCode
	}
	if key&flatLink != 0 {
		data.Link = sampleLink
	}
	if key&flatFrom != 0 {
		data.From = sampleFrom
	}
	if key&flatLogo == 0 {
		data.Logo = ""
	}
	parts, err := s.execute(&data, mail)
	if err != nil {
		return nil
	}
	return &flatMessage{text: flattenText(parts.text), title: flattenText(parts.title), html: flattenText(parts.html)}
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

// findFlat returns the flat message for the variables, or nil if the templates must be executed: they write one minute
// differently, and leave parts out of a brief message or one without a purpose.
func (s *templateSet) findFlat(data *bodyData, mail bool) *flatMessage {
	if s.flat == nil || len(data.Transaction) > 0 || data.Minutes == 1 || data.Brief || data.Purpose == "" || !isPlainLink(data.Link) {
		return nil
	}
	var key flatKey
	for bit, isSet := range [...]bool{data.Code != "", data.Link != "", data.From != "", data.Logo != "", data.codeInTitle} {
		if isSet {
			key |= 1 << bit
		}
	}
	if flat := s.flat[key].Load(); flat != nil {
		return flat
	}
	flat := s.makeFlat(key, mail)
	s.flat[key].Store(flat)
	return flat
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
		size += len(t[i].fixed)
		if t[i].value != nil {
			size += len(t[i].value(data)) + 8
		}
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
