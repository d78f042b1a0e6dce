package smtp

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"

	"github.com/wneessen/go-mail"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

func refused(cause error) error {
	return &watchword.SendError{Provider: provider, Permanent: true, Cause: cause}
}

// failed makes a *watchword.SendError. What the server says is left out but for its codes, and so are go-mail's texts
// about a mail: both may hold the recipient.
func failed(ctx context.Context, err error) error {
	out := &watchword.SendError{Provider: provider}
	var sending *mail.SendError
	var reply *textproto.Error
	switch {
	case ctx.Err() != nil:
		out.Cause = ctx.Err()
	case errors.Is(err, errNoUTF8), errors.Is(err, outbound.ErrRefused):
		out.Permanent, out.Cause = true, err
	case errors.As(err, &sending):
		out.Permanent = permanent(sending.ErrorCode())
		out.Cause = fmt.Errorf("%s: the server replied %d %s", sending.Reason, sending.ErrorCode(), sending.EnhancedStatusCode())
	case errors.As(err, &reply):
		out.Permanent = permanent(reply.Code)
		out.Cause = fmt.Errorf("connecting: the server replied %d", reply.Code)
	default:
		out.Cause = fmt.Errorf("connecting: %w", err)
	}
	return out
}

// permanent tells a reply that stands from one that may pass (RFC 5321 §4.2.1); 0 is no reply at all.
func permanent(code int) bool { return code >= 500 && code <= 599 }

// nothingSaid says that a mail failed before its recipient was named, so that trying it on another connection cannot
// send it twice.
func nothingSaid(err error) bool {
	var sending *mail.SendError
	return errors.As(err, &sending) && !permanent(sending.ErrorCode()) &&
		(sending.Reason == mail.ErrConnCheck || sending.Reason == mail.ErrSMTPMailFrom)
}
