package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// ChannelSMS and ChannelVoice are the channels, besides ChannelEmail, whose messages have a special form.
const (
	ChannelSMS   = "sms"
	ChannelVoice = "voice"
)

const maxNameLength = 40 // characters of an app's or a purpose's name that are shown

// maxSegments is the number of segments that an SMS about a transaction may have.
const maxSegments = 3

// A RendererConfig configures a Renderer. Next and Templates are required.
type RendererConfig struct {
	Next      watchword.Sender
	Templates *Templates
	// RetrieverHash is the hash by which Android's SMS Retriever recognizes an app's messages: 11 characters, on the last
	// line. If the message also has an origin, the hash is on the line before, because browsers require the origin on the
	// last line; an app that relies on the Retriever must leave the origin empty. Empty: no hash.
	RetrieverHash string
	Logger        *slog.Logger
	Now           func() time.Time // the engine's clock; nil: time.Now
}

// A Renderer is a sender that writes the text of each message before it passes it to the next sender: Text for every channel
// and, for mail, Title and HTML. It guarantees that no variable but the link contains a link, that no variable contains a line
// end, that an SMS with an origin ends with "@host #code" (WICG origin-bound one-time codes), that voice messages spell the
// code digit by digit, and that titles do not contain the code. A message that cannot be rendered is a permanent error.
type Renderer struct{ cfg RendererConfig }

var retrieverHashPattern = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)

// NewRenderer returns a Renderer, or an error if the configuration is invalid.
func NewRenderer(cfg RendererConfig) (*Renderer, error) {
	if cfg.Next == nil || cfg.Templates == nil {
		return nil, errors.New("delivery: rendering needs a next sender and templates")
	}
	if cfg.RetrieverHash != "" && !retrieverHashPattern.MatchString(cfg.RetrieverHash) {
		return nil, setting.Errorf("RetrieverHash", "is not 11 characters of base64")
	}
	cfg.Logger, cfg.Now, _ = fillDefaults(cfg.Logger, cfg.Now, nil)
	return &Renderer{cfg}, nil
}

// Send renders the message and passes it to the next sender.
func (r *Renderer) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	n, encoding, err := r.render(&m)
	if err != nil {
		return watchword.Sent{}, &watchword.SendError{Fault: watchword.FaultMessage, Permanent: true, Provider: "render", Cause: err}
	}
	if n > 1 {
		r.cfg.Logger.WarnContext(ctx, "SMS is longer than one segment", "message", m.ID, "purpose", m.Purpose,
			"locale", m.Language, "segments", n, "encoding", encoding)
	}
	return r.cfg.Next.Send(ctx, m)
}

// CheckMessage returns an error if the message cannot be rendered, or if the next sender is a MessageChecker and refuses it. It
// sends nothing. Use it as CheckMessage of watchword.Config.
func (r *Renderer) CheckMessage(m watchword.Message) error {
	if _, _, err := r.render(&m); err != nil {
		return err
	}
	if next, ok := r.cfg.Next.(MessageChecker); ok {
		return next.CheckMessage(m)
	}
	return nil
}

// render writes the message's text and counts the segments of an SMS. It refuses an SMS about a transaction that is too long
// to be read carefully.
func (r *Renderer) render(m *watchword.Message) (segments int, encoding string, err error) {
	set := r.cfg.Templates.find(m.Purpose, m.Channel, m.Locale)
	if err := set.render(m, m.ExpiresAt.Sub(r.cfg.Now()), r.cfg.RetrieverHash); err != nil || m.Channel != ChannelSMS {
		return 0, "", err
	}
	segments, encoding = gsm.countSegments(m.Text)
	if len(m.Transaction) > 0 && segments > maxSegments {
		return 0, "", RefuseTransaction(fmt.Sprintf("makes an SMS of %d segments (%s), and %d is the most: shorten it, or use another channel", segments, encoding, maxSegments))
	}
	return segments, encoding, nil
}

// titleData is the data of title templates. It has no code and no link, because titles appear on locked screens.
type titleData struct {
	App         string
	Purpose     string
	Lang        string      // language of the template
	Minutes     int         // until the code expires
	Transaction transaction // what the person approves; the text must contain every row
}

// bodyData is the data of text and HTML templates. Code or Link may be empty, but not both.
type bodyData struct {
	titleData
	Code string // as shown or, for voice, spelled
	Link string
}

// render sets Text, Title, HTML and Language.
func (s *templateSet) render(m *watchword.Message, lifetime time.Duration, hash string) error {
	data, err := s.templateData(m, lifetime)
	if err != nil {
		return err
	}
	var parts messageParts
	mail := m.Channel == ChannelEmail
	if flat := s.findFlat(&data); flat != nil {
		parts = flat.render(&data, mail)
	} else if parts, err = s.execute(&data, mail); err != nil {
		return err
	}
	m.Text, m.Title, m.HTML, m.Language = parts.text, parts.title, parts.html, s.locale
	if m.Channel == ChannelSMS {
		m.Text += smsSuffix(m, hash)
	}
	return nil
}

// messageParts are the texts of one message. Only mail has a title and, if there is a template for it, html.
type messageParts struct{ text, title, html string }

// execute executes the templates.
func (s *templateSet) execute(data *bodyData, mail bool) (parts messageParts, err error) {
	var b strings.Builder
	if err := s.text.ExecuteTemplate(&b, "text", *data); err != nil {
		return parts, fmt.Errorf("text: %w", err)
	}
	parts.text = strings.TrimSpace(b.String())
	if !mail {
		return parts, nil
	}
	b.Reset()
	if err := s.text.ExecuteTemplate(&b, "title", data.titleData); err != nil {
		return parts, fmt.Errorf("title: %w", err)
	}
	parts.title = strings.TrimSpace(b.String())
	if s.html == nil {
		return parts, nil
	}
	b.Reset()
	if err := s.html.ExecuteTemplate(&b, "html", *data); err != nil {
		return parts, fmt.Errorf("html: %w", err)
	}
	parts.html = b.String()
	return parts, nil
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
	d := bodyData{Code: m.Code.Reveal(), Link: m.Link.Reveal(), titleData: titleData{
		App: sanitizeText(m.App, maxNameLength), Purpose: sanitizeText(m.Purpose, maxNameLength), Lang: s.locale,
		Minutes: max(1, int((lifetime+time.Minute/2)/time.Minute)),
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
	if m.Channel == ChannelVoice {
		d.Code = strings.Join(strings.Split(strings.ReplaceAll(d.Code, "-", ""), ""), ", ")
	}
	return d, nil
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

// smsSuffix returns the lines for programs. A browser reads the code from a last line "@host #code" and offers it only on pages
// of that host.
func smsSuffix(m *watchword.Message, hash string) string {
	suffix := ""
	if hash != "" {
		suffix += "\n" + hash
	}
	if m.Origin != "" && !m.Code.IsZero() {
		suffix += "\n@" + m.Origin + " #" + m.Code.Reveal()
	}
	return suffix
}
