package delivery

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/browsers"
)

// titleData is the data of title templates. It has no code and no link, because titles appear on locked screens.
type titleData struct {
	App         string
	Purpose     string
	Lang        string      // language of the template
	Minutes     int         // until the code expires
	Until       string      // when it expires: 14:03 UTC
	Transaction transaction // what the person approves; the text must contain every row
}

// bodyData is the data of text and HTML templates. Code or Link may be empty, but not both.
type bodyData struct {
	titleData
	brand
	Code  string // as shown or, for voice, spelled
	Link  string
	From  string // for mail: browser, system and address of the client that asked for the message; empty: unknown
	Dir   string // ltr or rtl: the direction in which Lang is written
	Brief bool   // leave out what is not necessary, so that an SMS has one segment

	codeInTitle bool
}

var (
	originPattern = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?$`)
	linkPattern   = regexp.MustCompile(`^https?://[!-~]+$`)
)

// Errors of messages that cannot be rendered. They are mistakes of the engine or the configuration.
var (
	errNothingToSend = errors.New("there is neither a code nor a link to send by this channel")
	errInvalidCode   = errors.New("the code has characters other than letters and digits")
	errInvalidLink   = errors.New("the link is not a URL")
	errInvalidOrigin = errors.New("the origin is not a host name")
)

// templateData returns the variables of the templates, sanitized. Codes, links and origins are not changed but rejected if they
// are invalid, because they come from the engine.
func (s *templateSet) templateData(m *watchword.Message, lifetime time.Duration) (bodyData, error) {
	d := bodyData{Code: m.Code.Reveal(), Link: m.Link.Reveal(), Dir: s.direction(), titleData: titleData{
		App: sanitizeText(m.App, maxNameLength), Purpose: sanitizeText(m.Purpose, maxNameLength), Lang: s.locale,
		Minutes: max(1, int((lifetime+time.Minute/2)/time.Minute)), Until: m.ExpiresAt.UTC().Format("15:04 MST"),
	}}
	var err error
	if d.Transaction, err = newTransaction(m.Transaction); err != nil {
		return d, err
	}
	if m.Channel == ChannelVoice {
		d.Link = "" // a spoken link cannot be opened
	}
	if d.Link != "" {
		if u, err := url.Parse(d.Link); err != nil || u.Host == "" || !linkPattern.MatchString(d.Link) {
			return d, errInvalidLink
		}
	}
	switch {
	case d.Code == "" && d.Link == "":
		return d, errNothingToSend
	case d.Code != "" && !isCode(d.Code):
		return d, errInvalidCode
	case m.Origin != "" && !originPattern.MatchString(m.Origin):
		return d, errInvalidOrigin
	}
	if m.Channel == ChannelEmail {
		d.From = describeClient(m.Client)
		if s.rightToLeft {
			d.isolate()
		}
	}
	if m.Channel == ChannelVoice {
		d.Code = strings.Join(strings.Split(strings.ReplaceAll(d.Code, "-", ""), ""), ", ")
	}
	return d, nil
}

// direction returns the direction in which the language of the templates is written, as HTML names it.
func (s *templateSet) direction() string {
	if s.rightToLeft {
		return "rtl"
	}
	return "ltr"
}

// describeClient returns the names of browser and system, and the address. They are from fixed lists, or an IP address, so that
// they are safe to show.
func describeClient(c watchword.Client) string {
	if c.IP == "" && c.UserAgent == "" {
		return ""
	}
	browser, system := browsers.Recognize(c.UserAgent)
	address := ""
	if ip, err := netip.ParseAddr(c.IP); err == nil {
		address = ip.Unmap().WithZone("").String()
	}
	text := ""
	for _, part := range [...]string{browser, system, address} {
		if text != "" && part != "" {
			text += "\u00a0· " // a line never begins with the dot
		}
		text += part
	}
	return text
}

// isolate surrounds the texts of others by the characters FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (UAX #9), which are for
// plain text and titles what the element bdi is for HTML: without them a name in Latin letters moves the punctuation of a sentence
// that is written from right to left.
func (d *bodyData) isolate() {
	for _, text := range []*string{&d.App, &d.Purpose, &d.From, &d.Until} {
		if *text != "" {
			*text = "\u2068" + *text + "\u2069"
		}
	}
	for i, row := range d.Transaction {
		d.Transaction[i].Name, d.Transaction[i].Value = "\u2068"+row.Name+"\u2069", "\u2068"+row.Value+"\u2069"
	}
}

// isCode reports whether a text is words of letters and digits with a hyphen between them.
func isCode(text string) bool {
	for word := range strings.SplitSeq(text, "-") {
		if word == "" || !isPlainWord(word) {
			return false
		}
	}
	return true
}
