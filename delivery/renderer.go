package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
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
	Mail          MailConfig
	Logger        *slog.Logger
	Now           func() time.Time // the engine's clock; nil: time.Now
}

// A Renderer is a sender that writes the text of each message before it passes it to the next sender: Text for every channel
// and, for mail, Title and HTML. It guarantees that no variable but the link contains a link, that no variable contains a line
// end, that an SMS with an origin ends with "@host #code" (WICG origin-bound one-time codes), that voice messages spell the
// code digit by digit, and that titles do not contain the code unless MailConfig.CodeInSubject is set. An SMS without link and
// transaction has one segment wherever leaving out words, and the end of a long name of the app, makes that possible. A message
// that cannot be rendered is a permanent error.
type Renderer struct {
	cfg     RendererConfig
	options renderOptions
}

var retrieverHashPattern = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)

// NewRenderer returns a Renderer, or an error if the configuration is invalid.
func NewRenderer(cfg RendererConfig) (*Renderer, error) {
	if cfg.Next == nil || cfg.Templates == nil {
		return nil, errors.New("delivery: rendering needs a next sender and templates")
	}
	var errHash error
	if cfg.RetrieverHash != "" && !retrieverHashPattern.MatchString(cfg.RetrieverHash) {
		errHash = setting.Errorf("RetrieverHash", "is not 11 characters of base64")
	}
	look, errLook := cfg.Mail.newBrand()
	if err := errors.Join(errHash, errLook); err != nil {
		return nil, err
	}
	cfg.Logger, cfg.Now, _ = fillDefaults(cfg.Logger, cfg.Now, nil)
	return &Renderer{cfg, renderOptions{retrieverHash: cfg.RetrieverHash, brand: look, codeInSubject: cfg.Mail.CodeInSubject}}, nil
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
	set, lifetime := r.cfg.Templates.find(m.Purpose, m.Channel, m.Locale), m.ExpiresAt.Sub(r.cfg.Now())
	if err := set.render(m, lifetime, r.options); err != nil || m.Channel != ChannelSMS {
		return 0, "", err
	}
	segments, encoding = gsm.countSegments(m.Text)
	if segments > 1 && len(m.Transaction) == 0 && m.Link.IsZero() {
		if err := set.shorten(m, lifetime, r.options); err != nil {
			return 0, "", err
		}
		segments, encoding = gsm.countSegments(m.Text)
	}
	if len(m.Transaction) > 0 && segments > maxSegments {
		return 0, "", RefuseTransaction(fmt.Sprintf("makes an SMS of %d segments (%s), and %d is the most: shorten it, or use another channel", segments, encoding, maxSegments))
	}
	return segments, encoding, nil
}
