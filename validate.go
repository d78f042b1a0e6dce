package watchword

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/setting"
)

// Bounds of the fields of requests. Longer texts are refused before the store is used.
const (
	maxText    = 255  // bytes of a subject, nonce, label or locale
	maxLong    = 2048 // bytes of a user agent or return URL
	maxEntries = 16   // of a transaction or metadata

	maxInReceipt = 8 << 10 // bytes of JSON that a receipt repeats
)

var (
	purposePattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	// localePattern is the grammar of RFC 5646 §2.1: a language with its script, region, variants and extensions, private
	// use, or an irregular tag that was registered before it.
	localePattern = regexp.MustCompile(`(?i)^(?:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?` +
		`(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?` +
		`|x(?:-[a-z0-9]{1,8})+|en-gb-oed|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)|sgn-(?:be-fr|be-nl|ch-de))$`)
)

// validateStart checks the request of a start, and returns its strategy and canonical address.
func (e *Engine) validateStart(req StartRequest) (Strategy, Address, error) {
	s := e.strategies[req.Strategy]
	if s == nil {
		return nil, Address{}, invalid("strategy", notListed("offers", e.strategies))
	}
	if fields := e.invalidFields(req, s); len(fields) > 0 {
		return nil, Address{}, &Error{Code: ErrInvalidRequest.Code, Fields: fields}
	}
	if !s.Properties().SendsMessages {
		return s, Address{}, nil
	}
	address, err := e.addressOf(req.Channel, req.To)
	if err == nil {
		err = e.checkLongLived(req, s.Properties(), address)
	}
	return s, address, err
}

// addressOf calls the address policy. An address that the policy refuses for a while is returned with its refusal;
// chargeStart decides who may use it.
func (e *Engine) addressOf(channel, to string) (Address, error) {
	address, err := e.cfg.Addresses(channel, to)
	if err == nil {
		return address, nil
	}
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
	props := s.Properties()
	purposeReason := e.purposeProblem(req.Purpose)
	refuse(purposeReason != "", "purpose", purposeReason)
	_, enrols := s.(Enroller)
	refuse(req.Purpose == PurposeEnrol && !enrols, "purpose", "nothing can be enrolled with this strategy")
	refuse((props.Subject || req.Purpose == PurposeEnrol) && req.Subject == "", "subject", "is required")
	refuse(props.SendsMessages && req.To == "", "to", "is required")
	refuse(!props.SendsMessages && req.To != "", "to", "nothing is sent with this strategy")
	refuse(props.SendsMessages && req.Channel == "", "channel", "is required")
	if props.SendsMessages && req.Channel != "" && !e.channels[req.Channel] {
		refuse(true, "channel", notListed("can send by", e.channels))
	}
	refuse(!props.SendsMessages && req.Channel != "", "channel", "nothing is sent with this strategy")
	refuse(req.Locale != "" && !isLocale(req.Locale), "locale", "is not a language tag (BCP 47), as in pt-BR")
	refuse(!isSubject(req.Subject), "subject", subjectReason)
	refuse(!isLegibleText(req.Label, maxText), "label", illegibleReason)
	for _, f := range [][2]string{{"nonce", req.Nonce}, {"factor", req.Factor}} {
		refuse(!isPlainText(f[1], maxText), f[0], "is too long or holds control characters")
	}
	returnReason := e.returnURLProblem(req.ReturnURL)
	refuse(returnReason != "", "return_url", returnReason)
	out = append(out, req.Client.invalidFields()...)
	refuse(!shortTexts(req.Transaction, isLegibleText), "transaction", "holds at most 16 short texts, all of them visible")
	if len(req.Transaction) > 0 { // nonce and subject alone are short enough, however JSON escapes them
		inReceipt, err := json.Marshal([]any{req.Transaction, req.Nonce, req.Subject})
		refuse(err != nil || len(inReceipt) > maxInReceipt, "transaction", "is too long for a receipt")
	}
	refuse(!shortTexts(req.Metadata, isPlainText), "metadata", "holds at most 16 short texts")
	return out
}

// invalidFields returns the invalid fields of a client.
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

// isLocale reports whether a text is well-formed by BCP 47. It requires ASCII: a pattern that ignores case also matches the
// Kelvin sign as a K.
func isLocale(text string) bool {
	return len(text) <= maxText && localePattern.MatchString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// returnURLProblem returns the reason to refuse a return URL; empty: it is valid, or there is none.
func (e *Engine) returnURLProblem(text string) string {
	if text == "" {
		return ""
	}
	origin, err := hosts.OriginOf(text)
	if err != nil || len(text) > maxLong || !e.returnOrigins[origin] {
		return "is not of an origin on the app's list, the setting return_urls"
	}
	return reservedInReturnURL(text)
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

// builtinPurposes are the purposes that the engine gives a meaning.
var builtinPurposes = []string{PurposeSignIn, PurposeMFA, PurposePasswordReset, PurposeEnrol, PurposeManageFactors}

// purposeSpellings maps spellings of the engine's purposes, without separators, to the purpose.
var purposeSpellings = map[string]string{
	"signin":        PurposeSignIn,
	"mfa":           PurposeMFA,
	"passwordreset": PurposePasswordReset,
	"enrol":         PurposeEnrol,
	"enroll":        PurposeEnrol,
	"enrolment":     PurposeEnrol,
	"enrollment":    PurposeEnrol,
	"managefactor":  PurposeManageFactors,
	"managefactors": PurposeManageFactors,
}

var wordSeparators = strings.NewReplacer("_", "", "-", "", " ", "")

// intendedPurpose returns the purpose of the engine that another one resembles, or empty. A challenge with such a purpose
// would silently do something else than intended.
func intendedPurpose(purpose string) string {
	meant := purposeSpellings[wordSeparators.Replace(strings.ToLower(purpose))]
	if meant == purpose {
		return ""
	}
	return meant
}

// purposeProblem returns the reason to refuse the purpose of a start; empty: it is valid. Purposes that the app lists are
// valid.
func (e *Engine) purposeProblem(purpose string) string {
	if e.purposes[purpose] || len(e.purposes) == 0 && slices.Contains(builtinPurposes, purpose) {
		return ""
	}
	switch meant := intendedPurpose(purpose); {
	case meant != "":
		return "is nearly " + meant + ": use that, or list yours in the setting purposes"
	case !purposePattern.MatchString(purpose):
		return "needs 1 to 40 of a-z, 0-9 and _"
	case len(e.purposes) > 0:
		return notListed("uses", e.purposes)
	}
	return ""
}

// notListed returns the reason to refuse a name that is not in the app's list.
func notListed[V any](verb string, names map[string]V) string {
	list := "none"
	if len(names) > 0 {
		list = strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	}
	return "is not one that this app " + verb + ": " + list
}

// subjectReason is the reason to refuse a subject; see isSubject.
const subjectReason = "is at most 255 bytes, all of them visible, with no space at either end, and not ., .. or / alone"

// isSubject reports whether a text can name a subject; the empty text can. All of it must be visible, and it must work as a
// segment of a URL path: clients and servers remove . and .. from paths, however they are escaped, and net/http treats an
// escaped / as the end of one.
func isSubject(text string) bool {
	switch text {
	case ".", "..", "/":
		return false
	}
	return isPlainText(text, maxText) && text == strings.TrimSpace(text) && !strings.ContainsFunc(text, isInvisible)
}

// illegibleReason is the reason to refuse a text; see isLegibleText.
const illegibleReason = "is too long or holds control characters, or such as cannot be seen"

// isLegibleText reports whether people read a text as it is stored: nothing in it is hidden or changes the direction of the
// text around it. Joiners and variation selectors are allowed, since scripts and emoji need them.
func isLegibleText(text string, longest int) bool {
	return isPlainText(text, longest) && !strings.ContainsFunc(text, func(r rune) bool { return isInvisible(r) && !isJoiner(r) })
}

// isInvisible reports whether a character is ignorable: nearly Default_Ignorable_Code_Point (Unicode Standard Annex 44),
// which includes format characters. A few of those in Arabic and Syriac are visible.
func isInvisible(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

func isJoiner(r rune) bool {
	return unicode.In(r, unicode.Join_Control, unicode.Variation_Selector)
}

// parseReturnOrigins checks the app's list: each entry must be an origin and nothing more.
func parseReturnOrigins(list []string) (map[string]bool, error) {
	out := map[string]bool{}
	var problems []error
	for i, text := range list {
		if err := hosts.CheckOrigin(text); err != nil {
			problems = append(problems, setting.Errorf("ReturnOrigins["+strconv.Itoa(i)+"]", "%w", err))
		}
		out[text] = true
	}
	return out, errors.Join(problems...)
}

// checkIssuer requires a URL for links and receipts: an origin and perhaps a path, without a slash at the end.
func checkIssuer(text string) error {
	_, err := hosts.OriginOf(text)
	if err == nil && (strings.ContainsAny(text, "?#") || strings.HasSuffix(text, "/")) {
		err = hosts.CheckOrigin(text)
	}
	return err
}

// isSMSOrigin reports whether a code in an SMS can be bound to the host.
func isSMSOrigin(host string) bool {
	return hosts.CheckHost(host) == nil && !strings.Contains(host, ":")
}
