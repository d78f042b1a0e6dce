package delivery

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/watchword-auth/watchword"
)

// longHost has 26 characters.
const longHost = "login.northwind-trading.co"

// Without a transaction and a link, an SMS has one segment in every language, with every purpose, with a long name and host.
func TestSMSWithCodeHasOneSegment(t *testing.T) {
	var log bytes.Buffer
	render := newTestRenderer(t, nil, func(c *RendererConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, locale := range builtInLocales {
		for _, purpose := range append(builtInPurposes, strings.Repeat("long_name_", 4)) {
			for _, app := range []string{"ACME", longName, "Panadería Gómez", strings.Repeat("Long Name ", 4)} {
				m := sampleMessage("sms", locale)
				m.App, m.Purpose, m.Origin = app, purpose, longHost
				got, err := render(m)
				if err != nil {
					t.Fatal(err)
				}
				if n, encoding := gsm.countSegments(got.Text); n != 1 || log.Len() > 0 {
					t.Errorf("%s %s: %d segments of %s: %q", locale, purpose, n, encoding, got.Text)
				}
				if !strings.HasSuffix(got.Text, "\n@"+longHost+" #492039") || strings.Count(got.Text, "492039") != 2 {
					t.Errorf("%s %s: %q", locale, purpose, got.Text)
				}
				if first, _, _ := strings.Cut(app, " "); locale != "zh" && app == longName && !strings.Contains(got.Text, app) || !strings.Contains(got.Text, first[:min(len(first), 4)]) {
					t.Errorf("%s %s does not name the app: %q", locale, purpose, got.Text)
				}
				log.Reset()
			}
		}
	}
}

// A long text loses first the accents in the app's name, then what is not necessary, then the name of a purpose that has no text, then
// the end of the app's name.
func TestSMSIsShortenedInOrder(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	m := sampleMessage("sms", "es")
	m.App, m.Origin = "Panadería Gómez", longHost
	if got, err := render(m); err != nil || got.Text != "Panaderia Gomez: 492039 es su codigo para iniciar sesion. No lo comparta.\n@"+longHost+" #492039" {
		t.Errorf("%v: %q", err, got.Text)
	}
	m.App, m.Origin = "Café Ría", ""
	if got, err := render(m); err != nil || got.Text != "Café Ría: 492039 es su codigo para iniciar sesion. No lo comparta." {
		t.Errorf("%v: %q", err, got.Text)
	}
	for _, c := range []struct{ app, purpose, want string }{
		{"ACME", "wire_transfer", "【ACME】验证码（wire transfer）：492039"},
		{"北风", "wire_transfer", "【北风】验证码（wire transfer）：492039"},
		{"Northwind", "wire_transfer", "【Northwind】验证码：492039"},
		{"Northwind", "sign_in", "【Northwind】登录验证码：492039，请勿泄露。"},
		{longName, "sign_in", "【Northwind Trading】登录验证码：492039"},
		{strings.Repeat("北", 40), "sign_in", "【" + strings.Repeat("北", 20) + "】登录验证码：492039"},
	} {
		m := sampleMessage("sms", "zh")
		m.App, m.Purpose, m.Origin = c.app, c.purpose, longHost
		if got, err := render(m); err != nil || got.Text != c.want+"\n@"+longHost+" #492039" {
			t.Errorf("%v\n got %q\nwant %q", err, got.Text, c.want)
		}
	}
}

// What cannot have one segment is sent complete, and logged without its code.
func TestSMSThatCannotBeShortenedIsSentComplete(t *testing.T) {
	own := strings.Repeat("x", 200)
	var log bytes.Buffer
	render := newTestRenderer(t, fstest.MapFS{"default/sms.en.tmpl": templateFile(
		`{{define "text"}}{{.App}} {{.Code}}{{.Link}}{{range .Transaction}}{{.Name}}: {{.Value}}{{end}} ` + own + `{{end}}`)},
		func(c *RendererConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	m := sampleMessage("sms", "en")
	m.App = longName
	if got, err := render(m); err != nil || got.Text != longName+" 492039 "+own || !strings.Contains(log.String(), "segments=2 encoding=GSM-7") || strings.Contains(log.String(), "492039") {
		t.Errorf("%v: %q: %s", err, got.Text, log.String())
	}
	log.Reset()
	m = sampleMessage("sms", "zh")
	m.Link = watchword.NewCode(longLink)
	if got, err := render(m); err != nil || !strings.Contains(got.Text, longLink) || !strings.HasSuffix(got.Text, "请勿泄露。") || !strings.Contains(log.String(), "encoding=UCS-2") {
		t.Errorf("%v: %q: %s", err, got.Text, log.String())
	}
}
