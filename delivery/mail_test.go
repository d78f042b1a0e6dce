package delivery

import (
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/watchword-auth/watchword"
)

var builtInLocales = []string{"en", "de", "fr", "es", "pt", "zh"}

// builtInPurposes are the purposes with texts of their own, and one without.
var builtInPurposes = []string{"sign_in", "mfa", "password_reset", "manage_factors", "enrol", "wire_transfer"}

const (
	longName = "Northwind Trading Company"
	longLink = "https://verify.northwind.example/l/ch_5HEgSd7Zd9Rt3d981z070l2gSJfiLsMgoI2iBarV#lk_IgE84xOK3JSDU9mUzjldeQ"
	chrome   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)

// arabicFolder has mails in a language that is written from right to left.
func arabicFolder(t testing.TB) fstest.MapFS {
	const name = "default/email.ar.tmpl"
	text, err := os.ReadFile("testdata/templates/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{name: templateFile(string(text))}
}

// everyMail calls visit with a mail of each language, purpose and form: with a code, a link, or both, and with a transaction.
func everyMail(t testing.TB, locales []string, config MailConfig, visit func(name string, m watchword.Message)) {
	t.Helper()
	render := newTestRenderer(t, arabicFolder(t), func(c *RendererConfig) { c.Mail = config })
	forms := map[string]func(m *watchword.Message){
		"code": func(*watchword.Message) {},
		"link": func(m *watchword.Message) { m.Code, m.Link = watchword.Code{}, watchword.NewCode(longLink) },
		"both": func(m *watchword.Message) { m.Link = watchword.NewCode(longLink) },
		"transaction": func(m *watchword.Message) {
			m.Link = watchword.NewCode(longLink)
			m.Transaction = map[string]string{"amount": "40.25", "currency": "EUR", "payee": "Müller & Co", "iban": "DE89 3704 0044 0532 0130 00"}
		},
	}
	for _, locale := range locales {
		for _, purpose := range builtInPurposes {
			for form, change := range forms {
				m := sampleMessage("email", locale)
				m.App, m.Purpose, m.Client = longName, purpose, watchword.Client{IP: "2001:db8:85a3:1234:5678:8a2e:370:7334", UserAgent: chrome}
				change(&m)
				got, err := render(m)
				if err != nil {
					t.Fatal(err)
				}
				visit(fmt.Sprintf("%s %s with %s", locale, purpose, form), got)
			}
		}
	}
}

func TestMailsAreBelow5kB(t *testing.T) {
	everyMail(t, builtInLocales, MailConfig{Logo: "https://cdn.northwind.example/assets/mail/logo@2x.png"}, func(name string, m watchword.Message) {
		if len(m.HTML) > 5000 {
			t.Errorf("%s: %d bytes", name, len(m.HTML))
		}
	})
}

// Both parts have all that the reader needs: code, link, until when, from where, and what to do about a mail that they did not ask for.
func TestMailPartsAreComplete(t *testing.T) {
	everyMail(t, append(builtInLocales, "ar"), MailConfig{}, func(name string, m watchword.Message) {
		for part, text := range map[string]string{"text": m.Text, "html": html.UnescapeString(m.HTML)} {
			for _, want := range []string{m.Code.Reveal(), m.Link.Reveal(), longName, "12:10 UTC", "10", "Chrome\u00a0· Windows\u00a0· 2001:db8:85a3:1234:5678:8a2e:370:7334"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: %s lacks %q:\n%s", name, part, want, text)
				}
			}
		}
		if strings.Contains(m.Text+m.HTML, "Mozilla") || strings.Contains(m.Text, "<") {
			t.Errorf("%s shows a User-Agent or HTML:\n%s", name, m.Text)
		}
	})
}

// A code says what it is for, so that a stranger cannot ask for it under a pretext: each purpose has titles and sentences of its own, and
// the default text has the name of the app's own purpose.
func TestMessagesSayWhatTheCodeIsFor(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	for _, locale := range builtInLocales {
		for _, channel := range []string{"email", "sms", "voice"} {
			seen := map[string]string{}
			for _, purpose := range builtInPurposes {
				m := sampleMessage(channel, locale)
				m.Purpose = purpose
				got, err := render(m)
				if err != nil {
					t.Fatal(err)
				}
				if first := seen[got.Title+got.Text]; first != "" {
					t.Errorf("%s %s: %s has the text of %s: %s", locale, channel, purpose, first, got.Text)
				}
				seen[got.Title+got.Text] = purpose
				if purpose == "wire_transfer" && channel != "voice" && !strings.Contains(got.Text, "wire transfer") {
					t.Errorf("%s %s does not name the purpose: %s", locale, channel, got.Text)
				}
			}
		}
	}
}

var (
	invisiblePattern = regexp.MustCompile(`(?s)<(title|style)>.*?</(title|style)>|<!--.*?-->|<[^>]*>|\n`)
	previewLength    = 200 // characters; mail programs show fewer
)

// Without CodeInSubject the code is in neither the subject nor the preview, which locked screens show. Mail programs make the preview
// of the first text in the HTML, the hidden one included.
func TestMailShowsCodeInSubjectOnlyIfTheAppWantsIt(t *testing.T) {
	everyMail(t, append(builtInLocales, "ar"), MailConfig{}, func(name string, m watchword.Message) {
		preview := html.UnescapeString(invisiblePattern.ReplaceAllString(m.HTML, ""))
		if at := strings.Index(preview, "492039"); at >= 0 && utf8.RuneCountInString(preview[:at]) < previewLength || strings.Contains(m.Title, "492039") {
			t.Errorf("%s: the code is in title or preview: %q, %q", name, m.Title, preview)
		}
		if lines := strings.SplitN(m.Text, "\n", 3); strings.Contains(lines[0]+lines[1], "492039") {
			t.Errorf("%s: the code is in the first lines: %q", name, m.Text)
		}
	})
	everyMail(t, builtInLocales, MailConfig{CodeInSubject: true}, func(name string, m watchword.Message) {
		if strings.HasPrefix(m.Title, "492039 – ") == m.Code.IsZero() {
			t.Errorf("%s: title %q", name, m.Title)
		}
	})
}

func TestMailNamesNoClientThatIsUnknown(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	for _, c := range []struct {
		client watchword.Client
		want   string
	}{
		{watchword.Client{}, ""},
		{watchword.Client{IP: "::ffff:203.0.113.9", UserAgent: "curl/8"}, "Requested from: 203.0.113.9\n"},
		{watchword.Client{IP: "fe80::1%eth0"}, "Requested from: fe80::1\n"},
		{watchword.Client{IP: "https://evil.com", UserAgent: "<b>https://evil.com</b> Firefox/143.0"}, "Requested from: Firefox\n"},
	} {
		m := sampleMessage("email", "en")
		m.Client = c.client
		got, err := render(m)
		if err != nil || !strings.Contains(got.Text, "\n\n"+c.want+"Didn’t ask for this?") || strings.Contains(got.Text+got.HTML, "evil") {
			t.Errorf("%+v: %v\n%s", c.client, err, got.Text)
		}
	}
}

func TestMailWritesOneMinuteInTheSingular(t *testing.T) {
	render := newTestRenderer(t, nil, nil)
	for locale, want := range map[string]string{"en": "for 1 minute (", "de": "eine Minute lang", "fr": "pendant 1 minute (", "es": "durante 1 minuto (", "pt": "por 1 minuto (", "zh": "1 分钟"} {
		m := sampleMessage("email", locale)
		m.ExpiresAt = noon.Add(5e9)
		if got, err := render(m); err != nil || !strings.Contains(got.Text, want) || !strings.Contains(got.HTML, want) {
			t.Errorf("%s: %v\n%s", locale, err, got.Text)
		}
	}
}

// In a language that is written from right to left, texts of others are isolated, so that they keep their own direction.
func TestMailFromRightToLeftIsolatesTexts(t *testing.T) {
	render := newTestRenderer(t, arabicFolder(t), nil)
	m := sampleMessage("email", "ar-EG")
	m.App, m.Transaction = "Northwind (US)", map[string]string{"payee": "Müller & Co."}
	got, err := render(m)
	if err != nil {
		t.Fatal(err)
	}
	const name = "\u2068Northwind (US)\u2069"
	if got.Language != "ar" || !strings.HasSuffix(got.Title, " "+name) || !strings.Contains(got.Text, name+".") || !strings.Contains(got.Text, "\u2068Müller & Co\u2069") {
		t.Errorf("%q\n%q", got.Title, got.Text)
	}
	for _, want := range []string{`<html lang="ar" dir="rtl">`, "<bdi>" + name + "</bdi>", name + ".</p>"} {
		if !strings.Contains(got.HTML, want) {
			t.Errorf("html lacks %q:\n%s", want, got.HTML)
		}
	}
	if physical := regexp.MustCompile(`(margin|padding|border)-(left|right)|text-align:(left|right)|align="(left|right)"`); physical.MatchString(got.HTML) {
		t.Errorf("html names a side: %s", physical.FindString(got.HTML))
	}
}
