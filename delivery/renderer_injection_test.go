package delivery

import (
	"errors"
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
)

// Variables with any content add no lines and no links, and the title is one line.
func TestRendererVariablesInjectNoLinesOrLinks(t *testing.T) {
	const link = "https://verify.example.com/l/ch_1#tok"
	render := newTestRenderer(t, nil, nil)
	rapid.Check(t, func(t *rapid.T) {
		m := sampleMessage(rapid.SampledFrom([]string{"sms", "voice", "whatsapp", "email"}).Draw(t, "channel"),
			rapid.SampledFrom([]string{"en", "de", "fr", "es", "pt", "zh", "", "../../etc", "en\n"}).Draw(t, "locale"))
		m.Purpose = rapid.SampledFrom([]string{"sign_in", "mfa", "password_reset", "own"}).Draw(t, "purpose")
		m.App = hostileText().Draw(t, "app")
		m.Transaction = rapid.MapOf(rapid.OneOf(rapid.SampledFrom([]string{"amount", "currency", "payee", "x\ny"}), hostileText()), hostileText()).Draw(t, "transaction")
		m.Origin = rapid.SampledFrom([]string{"", "app.example.com"}).Draw(t, "origin")
		harmless := m
		harmless.App, harmless.Transaction = "ACME", map[string]string{}
		for i, key := range slices.Sorted(maps.Keys(m.Transaction)) {
			if !slices.Contains(leadingKeys, key) {
				key = fmt.Sprint("x", i)
			}
			harmless.Transaction[key] = "x"
		}
		if rapid.Bool().Draw(t, "link") {
			m.Link, harmless.Link = watchword.NewCode(link), watchword.NewCode(link)
		}
		want, _ := render(harmless)
		got, err := render(m)
		if err != nil {
			requireNamedRows(t, err, m.Transaction)
			return
		}
		requireNothingInjected(t, m, got, want, link)
		requireRowsShown(t, m, got)
	})
}

// requireNamedRows checks that an error of the renderer is about the transaction and names its rows.
func requireNamedRows(t *rapid.T, err error, rows map[string]string) {
	var refusal *watchword.Error
	if !errors.As(err, &refusal) || refusal.Code != watchword.ErrInvalidRequest.Code || len(refusal.Fields) == 0 {
		t.Fatalf("%v", err)
	}
	for _, f := range refusal.Fields {
		if _, named := rows[strings.TrimPrefix(f.Field, "transaction.")]; !named && f.Field != "transaction" {
			t.Fatalf("%q is named for %v", f.Field, rows)
		}
	}
}

// requireRowsShown checks that the rendered message shows every row completely, except for invisible characters, white space and
// dots at the end.
func requireRowsShown(t *rapid.T, m, got watchword.Message) {
	squeeze := func(text string) string {
		return strings.TrimRight(strings.Map(func(r rune) rune {
			switch {
			case unicode.IsSpace(r), unicode.In(r, unicode.Join_Control, unicode.Variation_Selector):
				return -1
			case r == '’':
				return '\''
			case r == '–' || r == '—':
				return '-'
			}
			return r
		}, text), ".")
	}
	for _, text := range []string{got.Text, html.UnescapeString(got.HTML)} {
		for name, value := range m.Transaction {
			if text != "" && !strings.Contains(squeeze(text), squeeze(value)) {
				t.Fatalf("%q=%q is not in %q", name, value, text)
			}
		}
	}
}

// countAtSigns counts the at signs at the start of a word, which browsers treat as the start of an origin.
func countAtSigns(text string) int { return len(atSignPattern.FindAllString(text, -1)) }

var atSignPattern = regexp.MustCompile(`(^|[^\pL\pN\pM])@`)

func requireNothingInjected(t *rapid.T, m, got, want watchword.Message, link string) {
	for part, texts := range map[string][2]string{"text": {got.Text, want.Text}, "html": {html.UnescapeString(got.HTML), html.UnescapeString(want.HTML)}, "title": {got.Title, want.Title}} {
		text, calm := texts[0], texts[1]
		if strings.Count(text, "\n") != strings.Count(calm, "\n") || strings.ContainsAny(text, "\r\u2028\u2029\u0085\v\f") {
			t.Fatalf("%s has lines of its own: %q", part, text)
		}
		if strings.Count(text, "://") != strings.Count(calm, "://") || strings.Count(text, link) != strings.Count(calm, link) {
			t.Fatalf("%s has links of its own: %q", part, text)
		}
		if countAtSigns(text) != countAtSigns(calm) || strings.Count(text, "#") != strings.Count(calm, "#") || strings.Count(text, "<") != strings.Count(calm, "<") {
			t.Fatalf("%s has signs of its own: %q", part, text)
		}
		if bare := strings.ReplaceAll(strings.ReplaceAll(text, link, ""), "@app.example.com", ""); part != "html" && regexp.MustCompile(`[\pL\pN]\.\pL`).MatchString(bare) {
			t.Fatalf("%s has a name that becomes a link: %q", part, text)
		}
	}
	lines := strings.Split(got.Text, "\n")
	if last := lines[len(lines)-1]; m.Channel == "sms" && m.Origin != "" && last != "@app.example.com #492039" {
		t.Fatalf("the last line is %q", last)
	}
	if strings.Contains(got.Title, "492039") {
		t.Fatalf("the title shows the code: %q", got.Title)
	}
}

// FuzzRender checks the same property with the strings of a fuzzer.
func FuzzRender(f *testing.F) {
	render := newTestRenderer(f, nil, nil)
	f.Add("ACME", "40.00", "EUR", "Shop", "en")
	f.Add("evil.com", "1\n2", "@evil.com #123456", "https://evil.com", "zh")
	f.Fuzz(func(t *testing.T, app, amount, currency, payee, locale string) {
		m := sampleMessage("sms", locale)
		m.App, m.Origin = app, "app.example.com"
		m.Transaction = map[string]string{"amount": amount, "currency": currency, "payee": payee}
		got, err := render(m)
		if err != nil {
			if !errors.Is(err, watchword.ErrInvalidRequest) {
				t.Fatal(err)
			}
			return
		}
		body, last, _ := strings.Cut(got.Text, "\n")
		if last != "@app.example.com #492039" || strings.ContainsAny(body, "#\r") || linkInRow.MatchString(body) {
			t.Errorf("%q", got.Text)
		}
	})
}
