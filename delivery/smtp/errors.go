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
	errTokenFile  outbound.Failure = "the file with the access token cannot be read"
	errToken      outbound.Failure = "the file with the access token does not hold one"
)

// refusedError is the refusal of a recipient or a message before the server was asked.
func refusedError(fault watchword.SendFault, cause error) error {
	return &watchword.SendError{Fault: fault, Provider: provider, Permanent: true, Cause: outbound.Reason(cause)}
}

// sendError converts an error to a *watchword.SendError. Of the server's replies it keeps only the codes. It drops the texts of
// go-mail and crypto/tls, because they quote the server and may contain the recipient.
func sendError(ctx context.Context, err error) error {
	out := &watchword.SendError{Provider: provider}
	var sending *mail.SendError
	var answer *textproto.Error
	var outcome verdict
	switch {
	case ctx.Err() != nil:
		out.Cause = outbound.Reason(ctx.Err())
	case errors.Is(err, errNoUTF8):
		outcome, out.Cause = recipientRefused, errNoUTF8
	case errors.Is(err, outbound.ErrRefused): // only another configuration helps
		outcome, out.Cause = verdict{watchword.FaultProvider, true}, outbound.Reason(err)
	case errors.As(err, &sending):
		r := reply{step: sending.Reason.String(), code: sending.ErrorCode(), enhanced: enhancedCode(sending.EnhancedStatusCode())}
		outcome, out.Cause = judge(stepOf(sending.Reason), r), r
	case errors.As(err, &answer):
		r := reply{step: "connecting", code: answer.Code}
		outcome, out.Cause = judge(stepSession, r), r
	default:
		out.Cause = fmt.Errorf("connecting: %w", connectFailure(err))
	}
	out.Fault, out.Permanent = outcome.fault, outcome.permanent
	return out
}

// connectFailure returns why connecting, TLS or authentication failed. Two errors of go-mail can be recognized by their text only.
func connectFailure(err error) error {
	var protocol textproto.ProtocolError
	switch {
	case strings.HasPrefix(err.Error(), "STARTTLS mode set to"):
		return errNoSTARTTLS
	case strings.HasPrefix(err.Error(), "server does not support SMTP AUTH"), errors.Is(err, mail.ErrNoSupportedAuthDiscovered),
		errors.Is(err, mail.ErrPlainAuthNotSupported), errors.Is(err, mail.ErrLoginAuthNotSupported), errors.Is(err, mail.ErrXOauth2AuthNotSupported):
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

// failedBeforeRecipient reports whether a mail failed before the recipient was sent, so that trying it on another connection
// cannot send it twice.
func failedBeforeRecipient(err error) bool {
	var sending *mail.SendError
	return errors.As(err, &sending) && sending.ErrorCode() < 500 &&
		(sending.Reason == mail.ErrConnCheck || sending.Reason == mail.ErrSMTPMailFrom)
}

// refusedRecipient reports whether the server has refused the recipient of a mail. The connection can be used again, because go-mail
// has reset it.
func refusedRecipient(err error) bool {
	var sending *mail.SendError
	return errors.As(err, &sending) && sending.Reason == mail.ErrSMTPRcptTo && sending.ErrorCode() >= 400 && sending.ErrorCode() != 421
}
