package delivery

import (
	"errors"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// Sample values for checking templates. No built-in template contains them.
const (
	sampleApp    = "Sample App"
	sampleCode   = "492039"
	sampleSpoken = "4, 9, 2, 0, 3, 9"
	sampleLink   = "https://verify.example.com/l/ch_sample#token"
)

// sampleTransactions returns no transaction, complete and partial payments, and other transactions with up to 16 rows.
func sampleTransactions() []map[string]string {
	many := map[string]string{"amount": "40.25", "payee": "Payee GmbH"}
	for i := len(many); i < 16; i++ {
		many[fmt.Sprintf("row_%c", 'a'+i)] = fmt.Sprintf("%c%c sample %d", 'A'+i, 'Z'-i, 7000+i)
	}
	return []map[string]string{nil,
		{"amount": "40.25", "currency": "EUR", "payee": "Payee GmbH"},
		{"amount": "40.25", "currency": "EUR"}, {"payee": "Payee GmbH", "action": "remove a payee"}, {"currency": "EUR"},
		{"action": "change IBAN", "iban": "DE89 3704 0044 0532 0130 00"}, {"new_email": "ann@new-example"},
		many,
	}
}

// checkTemplates executes the templates for all sample messages and checks that the results show everything that the person
// needs. It reports each problem once.
func checkTemplates(set *templateSet, channel string) error {
	problems := map[string]bool{}
	for _, m := range sampleMessages(channel) {
		for _, problem := range checkSample(set, m, renderOptions{brand: sampleBrand}) {
			problems[problem] = true
		}
		if channel != ChannelEmail || m.Code.IsZero() {
			continue
		}
		for _, problem := range checkSample(set, m, renderOptions{codeInSubject: true}) {
			problems[problem] = true
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(slices.Sorted(maps.Keys(problems)), "; "))
}

func sampleMessages(channel string) (out []watchword.Message) {
	for _, transaction := range sampleTransactions() {
		for _, link := range []string{"", sampleLink} {
			for _, code := range []string{"", sampleCode} {
				if code == "" && (link == "" || channel == ChannelVoice) {
					continue
				}
				out = append(out, watchword.Message{App: sampleApp, Purpose: "sample", Channel: channel, Transaction: transaction,
					Code: watchword.NewCode(code), Link: watchword.NewCode(link), Client: watchword.Client{IP: "192.0.2.1"}})
			}
		}
	}
	return out
}

// checkSample renders a sample message and returns its problems.
func checkSample(set *templateSet, m watchword.Message, o renderOptions) []string {
	if err := set.render(&m, 10*time.Minute, o); err != nil {
		return []string{err.Error()}
	}
	problems := checkMessage(m)
	switch inTitle := strings.Contains(m.Title, sampleCode); {
	case inTitle && !o.codeInSubject:
		problems = append(problems, "title shows the code")
	case !inTitle && o.codeInSubject:
		problems = append(problems, "title_with_code does not show the code")
	}
	return problems
}

// checkMessage returns what a rendered sample message lacks.
func checkMessage(m watchword.Message) (problems []string) {
	code, link := m.Code.Reveal(), m.Link.Reveal()
	if m.Channel == ChannelVoice {
		code, link = sampleSpoken, ""
	}
	parts := map[string]string{"text": m.Text}
	if m.HTML != "" {
		parts["html"] = html.UnescapeString(m.HTML)
	}
	for part, text := range parts {
		for name, sample := range map[string]string{"code": code, "link": link} {
			if !strings.Contains(text, sample) {
				problems = append(problems, part+" does not show the "+name)
			}
		}
		for _, value := range m.Transaction {
			if sanitized, _ := sanitizeLossless(value); !strings.Contains(text, sanitized) {
				problems = append(problems, part+" does not show the transaction completely: use {{range .Transaction}} {{.Name}}: {{.Value}}{{end}}")
			}
		}
	}
	if m.Channel == ChannelEmail && (m.Title == "" || strings.ContainsAny(m.Title, "\r\n")) {
		problems = append(problems, "title is not one line")
	}
	return problems
}
