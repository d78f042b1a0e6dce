// Package smtp sends mail through a server of the operator's.
//
//	smtp://user:password@host:587?from=ACME%20%3Cnoreply@acme.example%3E   STARTTLS, which the server must offer
//	smtps://user:password@host:465?from=noreply@acme.example               TLS from the first byte
//	smtp://localhost:25?from=noreply@acme.example                          a server on this machine: STARTTLS where it is offered
//	smtp://localhost:25?from=noreply@acme.example&starttls=required        the same, and STARTTLS must be offered
//
// STARTTLS is used wherever it is offered, and the server's certificate is always verified. Only a loopback host need not
// offer it, and only if there is no password to protect. A URL of a loopback host with a password and
// password_without_tls=allowed sends the password in the clear where STARTTLS is not offered; a warning says so when it is
// opened. Outside development a loopback or private address must be among the networks that the configuration allows.
//
// Each mail goes to exactly one recipient, carries the plain text first and, whatever happens on the way, the same
// Message-ID each time it is tried. Where from has no display name the app's is used.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

const provider = "smtp"

type sender struct {
	settings
	tls       *tls.Config
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	canonical watchword.AddressPolicy
	now       func() time.Time

	mu   sync.Mutex
	idle []*connection // the one that was used last is at the end
}

// Open is the delivery.Opener of smtp and smtps. It does not connect.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	canonical, err := delivery.NewAddressPolicy(delivery.Addresses{UTF8Local: true})
	if err != nil {
		return nil, err
	}
	settings, err := parseURL(u, canonical)
	if env.Channel != "" && env.Channel != delivery.ChannelEmail {
		err = errors.Join(err, errors.New("mail is for the channel email only"))
	}
	if err != nil {
		return nil, err
	}
	if settings.allowClearPassword {
		env.Logger.Warn("SMTP password is sent without TLS where the server does not offer STARTTLS", "host", settings.host)
	}
	return &sender{
		settings: settings, dial: env.DialContext, canonical: canonical, now: env.Now,
		tls: &tls.Config{ServerName: settings.host, MinVersion: tls.VersionTLS12},
	}, nil
}

// Send hands the mail to the server once. Its errors are *watchword.SendError: permanent for the server's 5xx replies,
// not so for 4xx and for what went wrong on the way.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	mail, err := s.composeMail(m)
	if err != nil {
		return watchword.Sent{}, permanentError(err)
	}
	for {
		c, reused, err := s.acquire(ctx)
		if err != nil {
			return watchword.Sent{}, sendError(ctx, err)
		}
		err = c.send(mail, !isASCII(m.To))
		if mail.IsDelivered() { // whatever the connection came to afterwards
			s.release(c, err == nil)
			return watchword.Sent{Provider: provider, Reference: mail.GetMessageID()}, nil
		}
		s.release(c, false)
		if reused && failedBeforeRecipient(err) && ctx.Err() == nil {
			continue // the server had hung up meanwhile
		}
		return watchword.Sent{}, sendError(ctx, err)
	}
}
