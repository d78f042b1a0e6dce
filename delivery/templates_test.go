package delivery

import (
	"strings"
	"testing"
	"testing/fstest"
)

func templateFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestTemplatesFallBackByLocalePurposeAndChannel(t *testing.T) {
	render := newTestRenderer(t, fstest.MapFS{
		"default/sms.it.tmpl":       templateFile(`{{define "text"}}it default {{.Code}}{{.Link}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
		"sign_in/sms.it.tmpl":       templateFile(`{{define "text"}}it sign_in {{.Code}}{{.Link}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
		"sign_in/sms.en.tmpl":       templateFile(`{{define "what"}}your entry code{{end}}`),
		"default/whatsapp.en.tmpl":  templateFile(`{{define "text"}}en whatsapp {{.Code}}{{.Link}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
		"default/sms.pt-BR.tmpl":    templateFile(`{{define "text"}}br {{.Code}}{{.Link}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
		"default/sms.zh-Hant.tmpl":  templateFile(`{{define "text"}}hant {{.Code}}{{.Link}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
		"wire_transfer/sms.en.tmpl": templateFile(`{{define "what"}}your wire code{{end}}`),
	}, nil)
	for _, c := range []struct{ purpose, channel, locale, want string }{
		{"sign_in", "sms", "it", "it sign_in 492039"},
		{"sign_in", "sms", "it-CH", "it sign_in 492039"},
		{"mfa", "sms", "IT_ch", "it default 492039"},
		{"sign_in", "sms", "en", "ACME: 492039 is your entry code. Don't share it."},
		{"wire_transfer", "sms", "en", "ACME: 492039 is your wire code. Don't share it."},
		{"password_reset", "sms", "en", "ACME: 492039 is your code to reset your password. Don't share it."},
		{"mfa", "sms", "xx", "ACME: 492039 is your code to finish signing in. Don't share it."},
		{"mfa", "sms", "", "ACME: 492039 is your code to finish signing in. Don't share it."},
		{"mfa", "sms", "pt-br", "br 492039"},
		{"mfa", "sms", "pt-PT", "ACME: 492039 é seu codigo para concluir o acesso. Nunca compartilhe."},
		{"mfa", "sms", "zh-Hant-TW", "hant 492039"},
		{"mfa", "sms", "zh-CN", "【ACME】登录二次验证码：492039，请勿泄露。"},
		{"mfa", "whatsapp", "en", "en whatsapp 492039"},
		{"mfa", "whatsapp", "de", "ACME: 492039 ist Ihr Code zum Abschließen der Anmeldung. Nicht weitergeben."}, // the language matters more
		{"mfa", "pigeon", "de", "ACME: 492039 ist Ihr Code zum Abschließen der Anmeldung. Nicht weitergeben."},
	} {
		m := sampleMessage(c.channel, c.locale)
		m.Purpose = c.purpose
		if got, err := render(m); err != nil || got.Text != c.want {
			t.Errorf("%s %s %s: %v\n got %q\nwant %q", c.purpose, c.channel, c.locale, err, got.Text, c.want)
		}
	}
}

// Custom templates of one channel serve only that channel, and Simplified Chinese does not serve readers of other scripts.
func TestTemplatesChooseLanguageForEachChannel(t *testing.T) {
	render := newTestRenderer(t, fstest.MapFS{
		"default/sms.it.tmpl": templateFile(`{{define "what"}}il codice{{end}}{{define "here"}}qui:{{end}}{{define "payment"}}pago {{.Amount}} {{.Currency}} {{.Payee}}{{end}}` +
			`{{define "text"}}it {{.Code}}{{.Link}}{{with .Transaction}} {{template "payment" .}}{{end}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
		"wire/voice.it.tmpl": templateFile(`{{define "text"}}pronto {{.Code}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`),
	}, nil)
	for _, c := range []struct{ purpose, channel, locale, want string }{
		{"mfa", "sms", "it", "it 492039"},
		{"mfa", "whatsapp", "it", "it 492039"},
		{"mfa", "email", "it", "Use this code to finish signing in to ACME."},
		{"sign_in", "email", "it-IT", "Use this code to sign in to ACME."},
		{"mfa", "voice", "it", "Hello, this is ACME."},
		{"wire", "voice", "it", "pronto 4, 9, 2, 0, 3, 9"},
		{"wire", "sms", "it", "it 492039"},
		{"mfa", "email", "de-LI", "Mit diesem Code"},
		{"mfa", "sms", "zh", "【ACME】"}, {"mfa", "email", "zh-Hans-HK", "请使用此验证码"},
		{"mfa", "sms", "zh-TW", "ACME: 492039"}, {"mfa", "email", "zh-Hant", "Use this code"}, {"mfa", "voice", "zh-HK", "Hello, this is"}, {"mfa", "whatsapp", "zh-MO", "ACME: 492039"},
	} {
		m := sampleMessage(c.channel, c.locale)
		m.Purpose = c.purpose
		got, err := render(m)
		if err != nil || !strings.HasPrefix(got.Text, c.want) || (c.channel == "email") != (got.Title != "" && got.HTML != "") {
			t.Errorf("%s %s %s: %v\n got %q\nwant %q", c.purpose, c.channel, c.locale, err, got.Text, c.want)
		}
	}
}

func TestLoadTemplatesRejectsUnknownLanguage(t *testing.T) {
	words := templateFile(`{{define "text"}}{{.Code}}{{.Link}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`)
	if _, err := LoadTemplates(fstest.MapFS{"default/sms.italiano.tmpl": words}); err == nil || !strings.Contains(err.Error(), `"italiano"`) {
		t.Errorf("error %v", err)
	}
}

func TestLoadTemplatesReplacesMailLayout(t *testing.T) {
	render := newTestRenderer(t, fstest.MapFS{"email.tmpl": templateFile(
		`{{define "html"}}<h1>{{.App}}</h1>{{template "intro" .}} {{.Code}} <a href="{{.Link}}">{{.Link}}</a> {{range .Transaction}}{{.Name}}: {{.Value}}{{end}}{{end}}`)}, nil)
	m := sampleMessage("email", "fr")
	if got, err := render(m); err != nil || !strings.HasPrefix(got.HTML, "<h1>ACME</h1>Utilisez ce code") || !strings.Contains(got.Text, "Votre code\u00a0: 492039") {
		t.Errorf("%v\n%s\n%s", err, got.HTML, got.Text)
	}
}

func TestLoadTemplatesReportsEveryProblem(t *testing.T) {
	_, err := LoadTemplates(fstest.MapFS{
		"default/sms.it.tmpl":   templateFile(`{{define "text"}}{{.Code}}`),
		"default/sms.nl.tmpl":   templateFile(`{{define "what"}}geen tekst{{end}}`),
		"default/sms.sv.tmpl":   templateFile(`{{define "text"}}ingen kod{{end}}`),
		"default/sms.da.tmpl":   templateFile(`{{define "text"}}{{.Code}} {{.Link}} {{.Kode}}{{end}}`),
		"sign_in/email.en.tmpl": templateFile(`{{define "title"}}Your code is {{.Code}}{{end}}`),
		"sign_in/email.de.tmpl": templateFile("{{define \"title\"}}zwei\nZeilen{{end}}"),
		"default/voice.en.tmpl": templateFile(`{{define "text"}}Listen: {{.App}}{{end}}`),
		"mfa/email.fr.tmpl":     templateFile(`{{define "html"}}<a href="{{.Link}}>{{.Code}}{{end}}`),
		"mfa/sms.en.tmpl":       templateFile(`{{define "text"}}{{.Code}}{{.Link}}{{end}}`),
		"mfa/sms_en.txt":        templateFile(`x`),
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"default/sms.it.tmpl", "default/sms.nl.tmpl", "default/sms.sv.tmpl: text does not show the code", "default/sms.da.tmpl: text", "sign_in/email.en.tmpl: title: template",
		"sign_in/email.de.tmpl: title is not one line", "default/voice.en.tmpl: text does not show the code", "mfa/email.fr.tmpl", "mfa/sms.en.tmpl: text does not show the transaction", "mfa/sms_en.txt"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not reported in\n%v", want, err)
		}
	}
}

func TestBuiltInTemplatesAreCompleteInEveryLanguage(t *testing.T) {
	templates, err := LoadTemplates(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, locale := range []string{"en", "de", "fr", "es", "pt", "zh"} {
		for _, channel := range []string{"sms", "voice", "email"} {
			for _, purpose := range []string{"default", "sign_in", "mfa", "password_reset", "manage_factors", "enrol"} {
				set := templates.find(purpose, channel, locale)
				if set == nil || set.locale != locale {
					t.Errorf("%s %s %s is missing", purpose, channel, locale)
				} else if err := checkTemplates(set, channel); err != nil {
					t.Errorf("%s %s %s: %v", purpose, channel, locale, err)
				}
			}
		}
	}
}
