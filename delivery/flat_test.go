package delivery

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"
)

// hostileVariables returns variables with any content. They are not sanitized, so that only the escaping protects the message.
func hostileVariables(t *rapid.T, locale string) bodyData {
	value := func(label string) string {
		return rapid.OneOf(hostileText(), rapid.StringOfN(rapid.SampledFrom([]rune("\x00\"&'+<>`/=%\\{}()\u2028\ufffd\ufdd0Äß\t\n ")), 0, 12, -1),
			rapid.SampledFrom([]string{"", "&amp;", "<script>alert(1)</script>", `" onload="x`, "\xff\xfe<", "{{.Code}}", "a'b+c", sampleLink, " x "})).Draw(t, label)
	}
	data := bodyData{Dir: "ltr", titleData: titleData{App: value("app"), Purpose: value("purpose"), Lang: locale, Minutes: rapid.IntRange(1, 600).Draw(t, "minutes"),
		Until: rapid.SampledFrom([]string{"00:00 UTC", "14:03 UTC"}).Draw(t, "until")}}
	data.From = value("from")
	data.Brief = rapid.IntRange(0, 9).Draw(t, "brief") == 0
	data.codeInTitle = rapid.Bool().Draw(t, "code in title")
	look, err := MailConfig{Color: fmt.Sprintf("#%06X", rapid.IntRange(0, 0xffffff).Draw(t, "color")), Logo: drawLogo(t)}.newBrand()
	if err != nil {
		t.Fatal(err)
	}
	data.brand = look
	switch rapid.IntRange(0, 2).Draw(t, "form") {
	case 0:
		data.Code = "4" + value("code")
	case 1:
		data.Link = drawLink(t)
	case 2:
		data.Code, data.Link = "4"+value("code"), drawLink(t)
	}
	return data
}

// drawLogo draws the URL of a logo, or none.
func drawLogo(t *rapid.T) string {
	return rapid.OneOf(rapid.Just(""), rapid.StringMatching(`https://cdn\.example\.com/[0-9A-Za-z!$&*+,/:;=@\[\]._~-]{0,30}`)).Draw(t, "logo")
}

// drawLink draws a link of any printable ASCII, which is what linkPattern allows.
func drawLink(t *rapid.T) string {
	return "https://" + rapid.OneOf(rapid.StringMatching(`[!-~]{1,30}`), rapid.StringMatching(`[0-9A-Za-z!#$&*+,/:;=?@\[\]._~-]{1,30}`)).Draw(t, "link")
}

// A flat message is what the templates make, for every language, purpose and channel, whatever the variables contain.
func TestFlatMessageEqualsExecutedTemplates(t *testing.T) {
	builtIn, err := LoadTemplates(nil)
	if err != nil {
		t.Fatal(err)
	}
	flat, executed := 0, 0
	for key, set := range builtIn.sets {
		mail := key.channel == ChannelEmail
		t.Run(fmt.Sprintf("%s/%s.%s", key.purpose, key.channel, key.locale), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				data := hostileVariables(t, key.locale)
				f := set.findFlat(&data, mail)
				if f == nil {
					executed++
					return
				}
				flat++
				want, err := set.execute(&data, mail)
				if err != nil {
					t.Fatal(err)
				}
				if got := f.render(&data, mail); got != want {
					t.Fatalf("%+v\n got %+v\nwant %+v", data, got, want)
				}
			})
		})
	}
	if flat == 0 || executed == 0 {
		t.Errorf("%d flat messages, %d executed", flat, executed)
	}
}

func TestBuiltInMessagesAreFlatUnlessTheyHaveTransaction(t *testing.T) {
	builtIn, err := LoadTemplates(nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, set := range builtIn.sets {
		for _, m := range sampleMessages(key.channel) {
			data, err := set.templateData(&m, 10*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if isFlat := set.findFlat(&data, key.channel == ChannelEmail) != nil; isFlat != (m.Transaction == nil) {
				t.Errorf("%v, transaction %v: flat is %t", key, m.Transaction, isFlat)
			}
		}
	}
}

// Values of variables are found by sample values, so no text of a template may contain them.
func TestBuiltInTemplatesContainNoSampleValue(t *testing.T) {
	l := &templateLoader{files: map[string][]string{}}
	l.readBuiltIn()
	for name, texts := range l.files {
		for _, v := range flatVariables {
			if strings.Contains(strings.Join(texts, ""), v.sample) {
				t.Errorf("%s contains %q", name, v.sample)
			}
		}
	}
}

func TestLoadTemplatesSharesWhatFolderDoesNotChange(t *testing.T) {
	builtIn, _ := LoadTemplates(nil)
	if again, _ := LoadTemplates(nil); again != builtIn {
		t.Error("built-in templates were parsed twice")
	}
	own, err := LoadTemplates(fstest.MapFS{
		"sign_in/sms.de.tmpl":   templateFile(`{{define "what"}}Ihr Anmeldecode{{end}}`),
		"default/voice.fr.tmpl": templateFile(`{{define "payment"}}{{.Amount}} {{.Currency}} {{.Payee}}{{end}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, set := range builtIn.sets {
		changed := key == templateKey{"sign_in", "sms", "de"} || key.channel == "voice" && key.locale == "fr"
		if shared := own.sets[key] == set; shared == changed {
			t.Errorf("%v: shared is %t", key, shared)
		}
		if changed && own.sets[key].flat != nil {
			t.Errorf("%v: templates of an operator are flat", key)
		}
	}
}
