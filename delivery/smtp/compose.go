package smtp

import (
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// idPattern matches message ids that can be the left side of a Message-ID (RFC 5322 §3.6.4).
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// composeMail returns the mail: from the configured sender, to one recipient, with the plain text before the HTML. Its errors are
// *watchword.SendError values.
func (s *sender) composeMail(m watchword.Message) (*mail.Msg, error) {
	if m.Channel != delivery.ChannelEmail {
		return nil, refusedError(watchword.FaultProvider, outbound.Failure("smtp carries the channel email only"))
	}
	if to, err := s.canonical(delivery.ChannelEmail, m.To); err != nil || to.Value != m.To {
		return nil, refusedError(watchword.FaultRecipient, outbound.Failure("the recipient is not one canonical address"))
	}
	if !idPattern.MatchString(m.ID) {
		return nil, refusedError(watchword.FaultMessage, outbound.Failure("the message's id cannot become a Message-ID"))
	}
	from := s.from
	if from.Name == "" {
		from.Name = toOneLine(m.App)
	}
	out := mail.NewMsg(mail.WithNoDefaultUserAgent())
	out.FromMailAddress(&from)
	out.ToMailAddress(&netmail.Address{Address: m.To})
	out.Subject(toOneLine(m.Title))
	out.SetDateWithValue(s.now())
	out.SetMessageIDWithValue(m.ID + from.Address[strings.LastIndexByte(from.Address, '@'):])
	for _, h := range delivery.AutomaticMailHeaders() {
		out.SetGenHeader(mail.Header(h.Name), h.Value)
	}
	out.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		out.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	return out, nil
}

// toOneLine replaces control characters and Unicode line ends by spaces, for use in a header.
func toOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// isASCII reports whether a text has only ASCII characters.
func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
