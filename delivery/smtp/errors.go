package smtp

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// Failures whose text does not come from the server.
const (
	errNoUTF8     outbound.Failure = "server does not offer SMTPUTF8, which the recipient's address needs"
	errNoSTARTTLS outbound.Failure = "server does not offer STARTTLS"
	errNoAuth     outbound.Failure = "server offers no way to authenticate that is supported"
	errNotSMTP    outbound.Failure = "answer is not valid SMTP"
)

func permanentError(cause error) error {
	return &watchword.SendError{Provider: provider, Permanent: true, Cause: outbound.Reason(cause)}
}

// sendError converts an error to a *watchword.SendError. Of the server's replies it keeps only the codes. It drops the texts of
// go-mail and crypto/tls, because they quote the server and may contain the recipient.
func sendError(ctx context.Context, err error) error {
	out := &watchword.SendError{Provider: provider}
	var sending *mail.SendError
	var answer *textproto.Error
	switch {
	case ctx.Err() != nil:
		out.Cause = outbound.Reason(ctx.Err())
	case errors.Is(err, errNoUTF8), errors.Is(err, outbound.ErrRefused):
		out.Permanent, out.Cause = true, outbound.Reason(err)
	case errors.As(err, &sending):
		out.Permanent = isPermanent(sending.ErrorCode())
		out.Cause = reply{step: sending.Reason.String(), code: sending.ErrorCode(), enhanced: enhancedCode(sending.EnhancedStatusCode())}
	case errors.As(err, &answer):
		out.Permanent = isPermanent(answer.Code)
		out.Cause = reply{step: "connecting", code: answer.Code}
	default:
		out.Cause = fmt.Errorf("connecting: %w", connectFailure(err))
	}
	return out
}

// connectFailure returns why connecting, TLS or authentication failed. Two errors of go-mail can be recognized by their text only.
func connectFailure(err error) error {
	var protocol textproto.ProtocolError
	switch {
	case strings.HasPrefix(err.Error(), "STARTTLS mode set to"):
		return errNoSTARTTLS
	case strings.HasPrefix(err.Error(), "server does not support SMTP AUTH"), errors.Is(err, mail.ErrNoSupportedAuthDiscovered):
		return errNoAuth
	case errors.As(err, &protocol):
		return errNotSMTP
	}
	return outbound.Reason(err)
}

// A reply is a negative reply of the server, without its text.
type reply struct {
	step     string // the command that failed
	code     int    // RFC 5321 §4.2; 0: no valid reply
	enhanced string // RFC 3463 §2; may be empty
}

// Reason returns the text of Error, which may be shown to anybody (see watchword.Pinger).
func (r reply) Reason() string { return r.Error() }

// Error returns the step and the codes.
func (r reply) Error() string {
	switch {
	case r.code == 0:
		return r.step + ": no valid reply from the server"
	case r.enhanced == "":
		return fmt.Sprintf("%s: the server replied %d", r.step, r.code)
	}
	return fmt.Sprintf("%s: the server replied %d %s", r.step, r.code, r.enhanced)
}

var enhancedPattern = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`)

// enhancedCode returns the text if it is an enhanced status code, and else "".
func enhancedCode(text string) string {
	if !enhancedPattern.MatchString(text) {
		return ""
	}
	return text
}

// isPermanent reports whether a reply code is a permanent failure (RFC 5321 §4.2.1).
func isPermanent(code int) bool { return code >= 500 && code <= 599 }

// failedBeforeRecipient reports whether a mail failed before the recipient was sent, so that trying it on another connection
// cannot send it twice.
func failedBeforeRecipient(err error) bool {
	var sending *mail.SendError
	return errors.As(err, &sending) && !isPermanent(sending.ErrorCode()) &&
		(sending.Reason == mail.ErrConnCheck || sending.Reason == mail.ErrSMTPMailFrom)
}
