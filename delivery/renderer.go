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

// ChannelSMS and ChannelVoice are the channels whose messages have a form of their own beside mail.
const (
	ChannelSMS   = "sms"
	ChannelVoice = "voice"
)

const maxAppName = 40 // characters of an app's or a purpose's name that are shown

// maxSegments is how many segments an SMS about a transaction may have.
const maxSegments = 3

// A RendererConfig says how messages are put into words. Next and Templates are required.
type RendererConfig struct {
	Next      watchword.Sender
	Templates *Templates
	// RetrieverHash is the hash by which Android's SMS Retriever finds an app's messages: 11 characters, put on a line
	// of their own at the end. Where the message has an origin too, the hash stands on the line before, because browsers
	// insist on the last line; an app that relies on the Retriever leaves the origin empty. Empty: none.
	RetrieverHash string
	Logger        *slog.Logger
	Now           func() time.Time // the engine's clock; nil: time.Now
}

// A Renderer is a Sender that puts messages into words before it hands them to the next one: Text for every channel and,
// for mail, Title and HTML. No variable but the link brings a link, and none a new line; an SMS with an origin ends with
// "@host #code" (WICG origin-bound one-time codes); the code is read out digit by digit and never part of a title. A
// message that cannot be put into words is refused for good.
type Renderer struct {
	cfg RendererConfig
	gsm gsmAlphabet
}

var retrieverHashPattern = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)

// NewRenderer makes a Render, or says what is wrong.
func NewRenderer(cfg RendererConfig) (*Renderer, error) {
	if cfg.Next == nil || cfg.Templates == nil {
		return nil, errors.New("delivery: rendering needs a next sender and templates")
	}
	if cfg.RetrieverHash != "" && !retrieverHashPattern.MatchString(cfg.RetrieverHash) {
		return nil, setting.Errorf("RetrieverHash", "is not 11 characters of base64")
	}
	cfg.Logger, cfg.Now, _ = fillDefaults(cfg.Logger, cfg.Now, nil)
	return &Renderer{cfg: cfg, gsm: newGSMAlphabet()}, nil
}

// Send renders and goes on.
func (r *Renderer) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	n, encoding, err := r.render(&m)
	if err != nil {
		return watchword.Sent{}, &watchword.SendError{Permanent: true, Provider: "render", Cause: err}
	}
	if n > 1 {
		r.cfg.Logger.WarnContext(ctx, "SMS is longer than one segment", "message", m.ID, "purpose", m.Purpose,
			"locale", m.Language, "segments", n, "encoding", encoding)
	}
	return r.cfg.Next.Send(ctx, m)
}

// CheckMessage is the watchword.Config's CheckMessage: it puts the message into words, asks the next one where that is a
// Checker, and sends nothing.
func (r *Renderer) CheckMessage(m watchword.Message) error {
	if _, _, err := r.render(&m); err != nil {
		return err
	}
	if next, ok := r.cfg.Next.(MessageChecker); ok {
		return next.CheckMessage(m)
	}
	return nil
}

// render fills in the words, and counts the segments of an SMS. An SMS about a transaction is short enough to be read.
func (r *Renderer) render(m *watchword.Message) (segments int, encoding string, err error) {
	set := r.cfg.Templates.find(m.Purpose, m.Channel, m.Locale)
	if err := set.render(m, m.ExpiresAt.Sub(r.cfg.Now()), r.cfg.RetrieverHash); err != nil || m.Channel != ChannelSMS {
		return 0, "", err
	}
	segments, encoding = r.gsm.countSegments(m.Text)
	if len(m.Transaction) > 0 && segments > maxSegments {
		return 0, "", RefuseTransaction(fmt.Sprintf("makes an SMS of %d segments (%s), and %d is the most: shorten it, or use another channel", segments, encoding, maxSegments))
	}
	return segments, encoding, nil
}

// titleData is what a title may show: no code and no link, because titles appear on locked screens.
type titleData struct {
	App         string
	Purpose     string
	Lang        string      // of the template
	Minutes     int         // that the code still lives
	Transaction transaction // what is approved; every row of it must be in the text
}

// bodyData is what a text may show. Code or Link may be empty, but not both.
type bodyData struct {
	titleData
	Code string // as it is shown or, for voice, spoken
	Link string
}

// render fills Text, Title, HTML and Language.
func (s *templateSet) render(m *watchword.Message, left time.Duration, hash string) error {
	data, err := s.templateData(m, left)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := s.text.ExecuteTemplate(&b, "text", data); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	m.Text = strings.TrimSpace(b.String())
	if m.Channel == ChannelSMS {
		m.Text += smsSuffix(m, hash)
	}
	m.Title, m.HTML, m.Language = "", "", s.locale
	if m.Channel != ChannelEmail {
		return nil
	}
	b.Reset()
	if err := s.text.ExecuteTemplate(&b, "title", data.titleData); err != nil {
		return fmt.Errorf("title: %w", err)
	}
	m.Title = strings.TrimSpace(b.String())
	if s.html == nil {
		return nil
	}
	b.Reset()
	if err := s.html.ExecuteTemplate(&b, "html", data); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	m.HTML = b.String()
	return nil
}

var (
	codePattern   = regexp.MustCompile(`^[0-9A-Za-z]+(-[0-9A-Za-z]+)*$`)
	originPattern = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?$`)
	linkPattern   = regexp.MustCompile(`^https?://[!-~]+$`)
)

// Errors of messages that cannot be put into words. They are the engine's or the configuration's mistakes.
var (
	errNothingToSend = errors.New("there is neither a code nor a link to send by this channel")
	errInvalidCode   = errors.New("the code is not of letters and digits")
	errInvalidLink   = errors.New("the link is not a URL")
	errInvalidOrigin = errors.New("the origin is not a host name")
)

// templateData makes the variables harmless. Codes, links and origins are ours: they are refused rather than changed.
func (s *templateSet) templateData(m *watchword.Message, left time.Duration) (bodyData, error) {
	d := bodyData{Code: m.Code.Reveal(), Link: m.Link.Reveal(), titleData: titleData{
		App: sanitizeText(m.App, maxAppName), Purpose: sanitizeText(m.Purpose, maxAppName), Lang: s.locale,
		Minutes: max(1, int((left+time.Minute/2)/time.Minute)),
	}}
	var err error
	if d.Transaction, err = newTransaction(m.Transaction); err != nil {
		return d, err
	}
	if m.Channel == ChannelVoice {
		d.Link = "" // nobody can open what he hears
	}
	if d.Link != "" {
		if u, err := url.Parse(d.Link); err != nil || u.Host == "" || !linkPattern.MatchString(d.Link) {
			return d, errInvalidLink
		}
	}
	switch {
	case d.Code == "" && d.Link == "":
		return d, errNothingToSend
	case d.Code != "" && !codePattern.MatchString(d.Code):
		return d, errInvalidCode
	case m.Origin != "" && !originPattern.MatchString(m.Origin):
		return d, errInvalidOrigin
	}
	if m.Channel == ChannelVoice {
		d.Code = strings.Join(strings.Split(strings.ReplaceAll(d.Code, "-", ""), ""), ", ")
	}
	return d, nil
}

// smsSuffix is the lines that programs read. A browser takes the code from a last line "@host #code" and offers it on that
// host's pages only.
func smsSuffix(m *watchword.Message, hash string) string {
	tail := ""
	if hash != "" {
		tail += "\n" + hash
	}
	if m.Origin != "" && !m.Code.IsZero() {
		tail += "\n@" + m.Origin + " #" + m.Code.Reveal()
	}
	return tail
}
