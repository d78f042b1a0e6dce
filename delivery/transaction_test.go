package delivery

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/watchword-auth/watchword"
)

// linkInRow matches what phones and browsers show as links or parse as an origin-bound code.
var linkInRow = regexp.MustCompile(`://|(^|[^\pL\pN\pM])@|[\pL\pN]\.\pL|\pL\.[\pL\pN]|[0-9]\.[0-9]+\.[0-9]`)

func TestSanitizeLosslessShowsAllOrRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"change IBAN": "change IBAN", "DE89 3704 0044 0532 0130 00": "DE89 3704 0044 0532 0130 00", "Müller & Söhne GmbH": "Müller & Söhne GmbH", "ACME Inc.": "ACME Inc",
		"40.00": "40.00", "€1,234.50": "€1,234.50", "1.234,56 €": "1.234,56 €", "1\u202f234,56\u00a0€": "1 234,56 €", "-12%": "-12%", "O’Hara – Söhne": "O'Hara - Söhne",
		"Novo Nordisk A/S": "Novo Nordisk A/S", "c/o Ann": "c/o Ann", "17/2026": "17/2026", "12:30": "12:30", "ann@new.example": "ann@new. example", "Really? \"Yes\"; do!": "Really? \"Yes\"; do!",
		"例え株式会社": "例え株式会社", "شركة": "شركة", "می\u200cخواهم": "میخواهم", "J.P. Morgan": "J. P. Morgan", "evil.com": "evil. com", "evil.com/x": "evil. com/x",
	} {
		if got, ok := sanitizeLossless(text); !ok || got != want || linkInRow.MatchString(got) {
			t.Errorf("%q: %q %t, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", " ", "...", "a\nb", "a\rb", "a\u2028b", "a\tb", "a\x00b", "https://evil.com", "//evil.com", "javascript:alert(1)", "tel:1900", "@evil.com #123456", "ok @evil #123456", "ok\n@evil.com #123456",
		"a@", "@a", "a/", "/a", ":", "12:", "#17", "<b>", "a=b", "*a*", "_a_", "~a~", "`a`", "[a](b)", "a\\b", "evil。com", "evil．com", "evil․com", "a\u200bb", "a\u202eb", "a\u2066b", "\xff", "😀", "a|b", "{{.Code}}"} {
		if got, ok := sanitizeLossless(text); ok {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

func TestDescribeTransactionNamesEveryRow(t *testing.T) {
	got, err := DescribeTransaction(map[string]string{"zone": "4", "currency": "EUR", "a_b": "c", "amount": "4", "payee": "Ann"})
	if want := "Amount: 4, Currency: EUR, Payee: Ann, A b: c, Zone: 4"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	_, err = DescribeTransaction(map[string]string{"amount": "4", "note": "see https://evil.com", "b:c": "d"})
	var refusal *watchword.Error
	if !errors.As(err, &refusal) || len(refusal.Fields) != 2 || refusal.Fields[0].Field != "transaction.b:c" || refusal.Fields[1].Field != "transaction.note" {
		t.Errorf("%+v", err)
	}
}

// Every row is shown completely in the text and the HTML, for every channel and language.
func TestRendererShowsEveryTransactionRowInEveryMessage(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	long := strings.Repeat("Lange Strasse 12, ", 13) + "Ende"
	for _, rows := range append(sampleTransactions()[1:], map[string]string{"address": long}) {
		for _, locale := range []string{"en", "de", "fr", "es", "pt", "zh", "it"} {
			for _, channel := range []string{"sms", "voice", "whatsapp", "email", "pigeon"} {
				m := sampleMessage(channel, locale)
				m.Transaction = rows
				got, err := render(m)
				if channel == "sms" && errors.Is(err, watchword.ErrInvalidRequest) && len(rows) != 2 {
					continue // too long for an SMS, which another test covers
				}
				for name, value := range rows {
					if err != nil || !strings.Contains(got.Text, value) || channel == "email" && !strings.Contains(got.HTML, value) {
						t.Errorf("%s %s: %s=%q is not shown: %v %q", locale, channel, name, value, err, got.Text)
					}
				}
			}
		}
	}
}

func TestRendererLimitsTransactionSMSToThreeSegments(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	fits := func(text string) error {
		m := sampleMessage("sms", "en")
		m.Origin, m.Transaction = "app.example.com", map[string]string{"a": text[:min(len(text), 250)], "b": text[min(len(text), 250):] + "x"}
		_, err := render(m)
		return err
	}
	n := 1
	for fits(strings.Repeat("a", n)) == nil && n < 500 {
		n++
	}
	if n < 300 || n > 459 {
		t.Errorf("%d letters make the SMS too long", n)
	}
	var refusal *watchword.Error
	if err := fits(strings.Repeat("a", n)); !errors.As(err, &refusal) || refusal.Code != watchword.ErrInvalidRequest.Code || refusal.Fields[0].Field != "transaction" {
		t.Errorf("%v", err)
	}
	if err := fits(strings.Repeat("ж", 120)); err == nil {
		t.Error("120 letters in UCS-2 fit")
	}
	m := sampleMessage("sms", "en")
	m.App = strings.Repeat("ж", 40)
	m.Link = watchword.NewCode("https://verify.example.com/l/" + strings.Repeat("a", 250))
	if _, err := render(m); err != nil {
		t.Errorf("without a transaction: %v", err)
	}
}

func TestLoadTemplatesRejectsTemplatesThatHideARow(t *testing.T) {
	body := `{{.Code}} {{.Link}} `
	for name, text := range map[string]string{
		"nothing of it":       body,
		"the payment only":    body + `{{with .Transaction}}{{.Amount}} {{.Currency}} {{.Payee}}{{end}}`,
		"the others only":     body + `{{range .Transaction.Others}}{{.Value}}{{end}}`,
		"the names only":      body + `{{range .Transaction}}{{.Name}}{{end}}`,
		"the first row":       body + `{{with .Transaction}}{{(index . 0).Value}}{{end}}`,
		"only beside a code":  body + `{{if .Code}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`,
		"at most five":        body + `{{if le (len .Transaction) 5}}{{range .Transaction}}{{.Value}}{{end}}{{end}}`,
		"no row without name": body + `{{range .Transaction}}{{if eq .Name "amount"}}{{.Value}}{{end}}{{end}}`,
		"cut":                 body + `{{range .Transaction}}{{printf "%.5s" .Value}}{{end}}`,
		"a field of old":      body + `{{with .Transaction}}{{.amount}}{{end}}`,
	} {
		_, err := LoadTemplates(fstest.MapFS{"pay/sms.en.tmpl": templateFile(`{{define "text"}}` + text + `{{end}}`)})
		if err == nil || !strings.Contains(err.Error(), "pay/sms.en.tmpl: ") || !strings.Contains(err.Error(), "ransaction") {
			t.Errorf("%s: %v", name, err)
		}
	}
	html := `{{define "html"}}{{.Code}}{{if .Link}}<a href="{{.Link}}">{{.Link}}</a>{{end}}%{{end}}`
	if _, err := LoadTemplates(fstest.MapFS{"email.tmpl": templateFile(strings.ReplaceAll(html, "%", ""))}); err == nil || !strings.Contains(err.Error(), "html does not show the transaction") {
		t.Errorf("a mail whose HTML hides it: %v", err)
	}
	if _, err := LoadTemplates(fstest.MapFS{"email.tmpl": templateFile(strings.ReplaceAll(html, "%", "{{range .Transaction}}{{.Name}} {{.Value}}{{end}}"))}); err != nil {
		t.Error(err)
	}
}

func TestLoadTemplatesAcceptsExamplesOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, block := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		if block[1] != "" {
			continue // of another language
		}
		examples++
		name, text := "pay/sms.en.tmpl", block[2]
		switch {
		case strings.Contains(text, `"title"`):
			name = "pay/email.en.tmpl"
		case !strings.Contains(text, "define"):
			text = `{{define "text"}}{{.Code}} {{.Link}} ` + text + `{{end}}`
		}
		if _, err := LoadTemplates(fstest.MapFS{name: templateFile(text)}); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	if examples != 3 {
		t.Errorf("%d examples", examples)
	}
}
