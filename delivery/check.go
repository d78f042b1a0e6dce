package delivery

import (
	"errors"
	"html"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// Samples for the check of templates. None occurs in any of the built-in ones.
const (
	sampleApp    = "Sample App"
	sampleCode   = "492039"
	sampleSpoken = "4, 9, 2, 0, 3, 9"
	sampleLink   = "https://verify.example.com/l/ch_sample#token"
)

func sampleTransaction() map[string]string {
	return map[string]string{"amount": "40.25", "currency": "EUR", "payee": "Payee GmbH"}
}

// checkSet executes the templates in every combination of what a message may hold, and looks whether the person is told
// what he needs to know. It reports each problem once.
func checkSet(set *templateSet, channel string) error {
	problems := map[string]bool{}
	for _, m := range samples(channel) {
		if err := set.render(&m, 10*time.Minute, ""); err != nil {
			problems[err.Error()] = true
			continue
		}
		for _, problem := range checkMessage(m) {
			problems[problem] = true
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(slices.Sorted(maps.Keys(problems)), "; "))
}

func samples(channel string) (out []watchword.Message) {
	for _, transaction := range []map[string]string{nil, sampleTransaction()} {
		for _, link := range []string{"", sampleLink} {
			for _, code := range []string{"", sampleCode} {
				if code == "" && (link == "" || channel == ChannelVoice) {
					continue
				}
				out = append(out, watchword.Message{App: sampleApp, Purpose: "sample", Channel: channel, Transaction: transaction,
					Code: watchword.NewCode(code), Link: watchword.NewCode(link)})
			}
		}
	}
	return out
}

func checkMessage(m watchword.Message) (problems []string) {
	code, link := m.Code.Reveal(), m.Link.Reveal()
	if m.Channel == ChannelVoice {
		code, link = sampleSpoken, ""
	}
	must := map[string]string{"code": code, "link": link}
	for key, value := range m.Transaction {
		must["transaction's "+key] = value
	}
	parts := map[string]string{"text": m.Text}
	if m.HTML != "" {
		parts["html"] = html.UnescapeString(m.HTML)
	}
	for part, text := range parts {
		for what, sample := range must {
			if !strings.Contains(text, sample) {
				problems = append(problems, part+" does not show the "+what)
			}
		}
	}
	if m.Channel == ChannelEmail && (m.Title == "" || strings.ContainsAny(m.Title, "\r\n")) {
		problems = append(problems, "title is not one line")
	}
	if strings.Contains(m.Title, sampleCode) {
		problems = append(problems, "title shows the code")
	}
	return problems
}
