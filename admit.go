package watchword

import (
	"encoding/json"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/hosts"
)

// Bounds of what a caller may send along; longer texts are refused before anything is read or written.
const (
	maxText    = 255 // bytes of a subject, nonce, label or locale
	maxLong    = 2048
	maxEntries = 16 // of a transaction or metadata

	maxInReceipt = 8 << 10 // bytes of JSON that a receipt repeats
)

var (
	purposePattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	// localePattern is the grammar of RFC 5646 §2.1: a language with its script, region, variants and extensions, private
	// use, or one of the irregular tags that were registered before it.
	localePattern = regexp.MustCompile(`(?i)^(?:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?` +
		`(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?` +
		`|x(?:-[a-z0-9]{1,8})+|en-gb-oed|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)|sgn-(?:be-fr|be-nl|ch-de))$`)
)

// validateStart says whether a challenge can be started as asked, and makes its address canonical.
func (e *Engine) validateStart(req StartRequest) (Strategy, Address, error) {
	s := e.strategies[req.Strategy]
	if s == nil {
		return nil, Address{}, invalid("strategy", notListed("offers", e.strategies))
	}
	if fields := e.invalidFields(req, s); len(fields) > 0 {
		return nil, Address{}, &Error{Code: ErrInvalidRequest.Code, Fields: fields}
	}
	if !s.Properties().Sends {
		return s, Address{}, nil
	}
	address, err := e.addressOf(req.Channel, req.To)
	return s, address, err
}

// addressOf asks the address policy. An address that it refuses for a while comes back all the same, and takeStart decides
// who is let in.
func (e *Engine) addressOf(channel, to string) (Address, error) {
	address, err := e.cfg.Addresses(channel, to)
	var refusal *Error
	if errors.As(err, &refusal) && errors.Is(refusal, ErrRateLimited) && address.Value != "" {
		address.refusal, err = refusal, nil
	}
	return address, err
}

func (e *Engine) invalidFields(req StartRequest, s Strategy) (out []FieldError) {
	refuse := func(bad bool, field, reason string) {
		if bad {
			out = append(out, FieldError{field, reason})
		}
	}
	t := s.Properties()
	wrongPurpose := e.purposeProblem(req.Purpose)
	refuse(wrongPurpose != "", "purpose", wrongPurpose)
	_, enrols := s.(Enroller)
	refuse(req.Purpose == PurposeEnrol && !enrols, "purpose", "nothing can be enrolled with this strategy")
	refuse((t.Subject || req.Purpose == PurposeEnrol) && req.Subject == "", "subject", "is required")
	refuse(t.Sends && req.To == "", "to", "is required")
	refuse(!t.Sends && req.To != "", "to", "nothing is sent with this strategy")
	refuse(t.Sends && req.Channel == "", "channel", "is required")
	if t.Sends && req.Channel != "" && !e.channels[req.Channel] {
		refuse(true, "channel", notListed("can send by", e.channels))
	}
	refuse(!t.Sends && req.Channel != "", "channel", "nothing is sent with this strategy")
	refuse(req.Locale != "" && !isLocale(req.Locale), "locale", "is not a language tag (BCP 47), as in pt-BR")
	refuse(!isSubject(req.Subject), "subject", subjectReason)
	refuse(!isLegibleText(req.Label, maxText), "label", illegibleReason)
	for _, f := range [][2]string{{"nonce", req.Nonce}, {"factor", req.Factor}} {
		refuse(!isPlainText(f[1], maxText), f[0], "is too long or holds control characters")
	}
	refuse(req.ReturnURL != "" && !e.allowsReturnURL(req.ReturnURL), "return_url", "is not of an origin on the app's list, the setting return_urls")
	out = append(out, req.Client.invalidFields()...)
	refuse(!shortTexts(req.Transaction, isLegibleText), "transaction", "holds at most 16 short texts, all of them visible")
	inReceipt, err := json.Marshal([]any{req.Transaction, req.Nonce, req.Subject})
	refuse(err != nil || len(inReceipt) > maxInReceipt, "transaction", "is too long for a receipt")
	refuse(!shortTexts(req.Metadata, isPlainText), "metadata", "holds at most 16 short texts")
	return out
}

// invalidFields says what is wrong with what the app's backend says of a client.
func (c Client) invalidFields() (out []FieldError) {
	if !isPlainText(c.UserAgent, maxLong) {
		out = append(out, FieldError{"client.user_agent", "is too long or holds control characters"})
	}
	if c.IP != "" && !isClientIP(c.IP) {
		out = append(out, FieldError{"client.ip", "is not an IP address"})
	}
	return out
}

func isClientIP(text string) bool {
	ip, err := netip.ParseAddr(text)
	return err == nil && ip.Zone() == ""
}

// isLocale reports whether a text is well-formed by BCP 47. Letters are ASCII: a pattern that ignores case also takes the
// Kelvin sign for a K.
func isLocale(text string) bool {
	return len(text) <= maxText && localePattern.MatchString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

func (e *Engine) allowsReturnURL(url string) bool {
	origin, err := hosts.OriginOf(url)
	return err == nil && len(url) <= maxLong && e.returns[origin]
}

// isPlainText reports whether a text is UTF-8, short enough and free of control characters.
func isPlainText(text string, longest int) bool {
	if len(text) > longest || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
}

func shortTexts(m map[string]string, fits func(text string, longest int) bool) bool {
	if len(m) > maxEntries {
		return false
	}
	for name, text := range m {
		if name == "" || !fits(name, maxText) || !fits(text, maxText) {
			return false
		}
	}
	return true
}
