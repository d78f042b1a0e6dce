package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/watchword-auth/watchword"
)

// lastMessageSender is a sender that keeps the last message.
type lastMessageSender struct{ m watchword.Message }

func (k *lastMessageSender) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	k.m = m
	return watchword.Sent{}, nil
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newTestRenderer(t testing.TB, folder fstest.MapFS, change func(*RendererConfig)) func(watchword.Message) (watchword.Message, error) {
	t.Helper()
	var templates *Templates
	var err error
	if folder == nil {
		templates, err = LoadTemplates(nil)
	} else {
		templates, err = LoadTemplates(folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := &lastMessageSender{}
	cfg := RendererConfig{Next: out, Templates: templates, Now: func() time.Time { return noon }}
	if change != nil {
		change(&cfg)
	}
	r, err := NewRenderer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return func(m watchword.Message) (watchword.Message, error) {
		_, err := r.Send(context.Background(), m)
		return out.m, err
	}
}

func sampleMessage(channel, locale string) watchword.Message {
	return watchword.Message{ID: "msg_1", App: "ACME", Channel: channel, Locale: locale, Purpose: "sign_in", Code: watchword.NewCode("492039"), ExpiresAt: noon.Add(10 * time.Minute)}
}

func TestRendererWritesTextForEveryChannel(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	link := watchword.NewCode("https://verify.example.com/l/ch_1#tok")
	for _, c := range []struct {
		name   string
		change func(m *watchword.Message)
		want   string
	}{
		{"plain", func(*watchword.Message) {}, "ACME: 492039 is your sign-in code. Don't share it."},
		{"purpose of the app's own", func(m *watchword.Message) { m.Purpose = "approve" }, "ACME: 492039 is your code (approve). Don't share it."},
		{"origin", func(m *watchword.Message) { m.Origin = "app.example.com" },
			"ACME: 492039 is your sign-in code. Don't share it.\n@app.example.com #492039"},
		{"transaction", func(m *watchword.Message) {
			m.Transaction = map[string]string{"amount": "40.00", "currency": "EUR", "payee": "Shop & Co.", "order": "17"}
		}, "ACME: 492039 is your sign-in code. Payment: 40.00 EUR to Shop & Co. Order: 17. Don't share it."},
		{"a transaction that is no payment", func(m *watchword.Message) {
			m.Transaction = map[string]string{"action": "change IBAN", "iban": "DE89 3704 0044 0532 0130 00", "new_e-mail": "ann@new.example"}
		}, "ACME: 492039 is your sign-in code. Action: change IBAN. IBAN: DE89 3704 0044 0532 0130 00. New e-mail: ann@new. example. Don't share it."},
		{"a spoken transaction", func(m *watchword.Message) {
			m.Channel, m.Transaction = "voice", map[string]string{"action": "close account"}
		},
			"Hello, this is ACME. Action: close account. Your sign-in code is: 4, 9, 2, 0, 3, 9. Again, your code is: 4, 9, 2, 0, 3, 9. Please don't share it with anyone. Goodbye."},
		{"amount only", func(m *watchword.Message) { m.Transaction = map[string]string{"amount": "40"} },
			"ACME: 492039 is your sign-in code. Payment: 40. Don't share it."},
		{"link", func(m *watchword.Message) { m.Code, m.Link, m.Origin = watchword.Code{}, link, "app.example.com" },
			"ACME: Sign in: https://verify.example.com/l/ch_1#tok Don't share it."},
		{"both", func(m *watchword.Message) { m.Link = link },
			"ACME: 492039 is your sign-in code. Sign in: https://verify.example.com/l/ch_1#tok Don't share it."},
		{"voice", func(m *watchword.Message) { m.Channel = "voice" },
			"Hello, this is ACME. Your sign-in code is: 4, 9, 2, 0, 3, 9. Again, your code is: 4, 9, 2, 0, 3, 9. Please don't share it with anyone. Goodbye."},
		{"whatsapp speaks like sms, without the last line", func(m *watchword.Message) { m.Channel, m.Origin = "whatsapp", "app.example.com" },
			"ACME: 492039 is your sign-in code. Don't share it."},
	} {
		m := sampleMessage("sms", "en")
		c.change(&m)
		if got, err := render(m); err != nil || got.Text != c.want || got.Title != "" || got.HTML != "" {
			t.Errorf("%s: %v\n got %q\nwant %q", c.name, err, got.Text, c.want)
		}
	}
}

func TestRendererWritesTitleTextAndHTMLOfMail(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	m := sampleMessage("email", "de-AT")
	m.Link = watchword.NewCode("https://verify.example.com/l/ch_1#tok")
	m.Transaction = map[string]string{"amount": "40.00", "currency": "EUR", "payee": "Bäcker & Co", "iban": "DE89 3704", "zweck": "Müll & mehr"}
	m.Client = watchword.Client{IP: "203.0.113.9", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"}
	got, err := render(m)
	if err != nil {
		t.Fatal(err)
	}
	text := `Mit diesem Code melden Sie sich bei ACME an.
Er ist 10 Minuten lang gültig (bis 12:10 UTC) und funktioniert nur einmal.

Zahlung: 40.00 EUR an Bäcker & Co
IBAN: DE89 3704
Zweck: Müll & mehr

Ihr Code: 492039

Oder öffnen Sie diesen Link:
https://verify.example.com/l/ch_1#tok

Angefordert von: Firefox · Linux · 203.0.113.9
Nicht angefordert? Dann ignorieren Sie diese E-Mail; es passiert nichts. Geben Sie den Code an niemanden weiter: ACME fragt Sie nie danach.`
	if got.Text != text {
		t.Errorf("text:\n%s", got.Text)
	}
	if got.Title != "Bei ACME anmelden" {
		t.Errorf("title %q", got.Title)
	}
	for _, want := range []string{`<html lang="de" dir="ltr">`, `>492039</td>`, `href="https://verify.example.com/l/ch_1#tok"`, ">Anmelden</a>", "<bdi>Firefox · Linux · 203.0.113.9</bdi>",
		"Bäcker &amp; Co", "<bdi>IBAN</bdi>: <b><bdi>DE89 3704</bdi></b><br><bdi>Zweck</bdi>: <b><bdi>Müll &amp; mehr</bdi></b>"} {
		if !strings.Contains(got.HTML, want) {
			t.Errorf("html lacks %s:\n%s", want, got.HTML)
		}
	}
}

// With both lines, the origin is on the last one.
func TestRendererPutsRetrieverHashBeforeOriginLine(t *testing.T) {
	render := newTestRenderer(t, nil, func(c *RendererConfig) { c.RetrieverHash = "FA+9qCX9VSu" })
	m := sampleMessage("sms", "en")
	if got, _ := render(m); !strings.HasSuffix(got.Text, "share it.\nFA+9qCX9VSu") {
		t.Errorf("%q", got.Text)
	}
	m.Origin = "app.example.com"
	if got, _ := render(m); !strings.HasSuffix(got.Text, "share it.\nFA+9qCX9VSu\n@app.example.com #492039") {
		t.Errorf("%q", got.Text)
	}
	m.Channel = "email"
	if got, _ := render(m); strings.Contains(got.Text+got.HTML, "FA+9qCX9VSu") {
		t.Errorf("%q", got.Text)
	}
	templates, _ := LoadTemplates(nil)
	for _, hash := range []string{"short", "FA+9qCX9VS\n", "FA+9qCX9VSu1"} {
		if _, err := NewRenderer(RendererConfig{Next: &lastMessageSender{}, Templates: templates, RetrieverHash: hash}); err == nil {
			t.Errorf("%q is accepted as a hash", hash)
		}
	}
}

func TestRendererRejectsInvalidCodesLinksAndOrigins(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	for name, change := range map[string]func(m *watchword.Message){
		"nothing": func(m *watchword.Message) { m.Code = watchword.Code{} },
		"a spoken link": func(m *watchword.Message) {
			m.Channel, m.Code, m.Link = "voice", watchword.Code{}, watchword.NewCode("https://a.example/#t")
		},
		"a code of two lines":     func(m *watchword.Message) { m.Code = watchword.NewCode("12\n34") },
		"a link of two lines":     func(m *watchword.Message) { m.Link = watchword.NewCode("https://a.example/\nx") },
		"a link of two words":     func(m *watchword.Message) { m.Link = watchword.NewCode("https://a.example/ x") },
		"a link by ftp":           func(m *watchword.Message) { m.Link = watchword.NewCode("ftp://a.example/x") },
		"a link that is a word":   func(m *watchword.Message) { m.Link = watchword.NewCode("a.example") },
		"a code with an end":      func(m *watchword.Message) { m.Code = watchword.NewCode("123456-") },
		"a code with two hyphens": func(m *watchword.Message) { m.Code = watchword.NewCode("123--456") },
		"a link that is a script": func(m *watchword.Message) { m.Link = watchword.NewCode("javascript:alert(1)") },
		"an origin of two lines":  func(m *watchword.Message) { m.Origin = "a.example\n" },
		"an origin that is more":  func(m *watchword.Message) { m.Origin = "a.example #999999" },
	} {
		m := sampleMessage("sms", "en")
		change(&m)
		_, err := render(m)
		var failed *watchword.SendError
		if !errors.As(err, &failed) || !failed.Permanent {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for _, channel := range []string{"sms", "email"} {
		b.Run(channel, func(b *testing.B) {
			render := newTestRenderer(b, nil, nil)
			m := sampleMessage(channel, "en")
			m.Client = watchword.Client{IP: "203.0.113.9", UserAgent: chrome}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := render(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
