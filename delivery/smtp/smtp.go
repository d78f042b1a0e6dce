// Package smtp sends mail through an SMTP server. Its configuration is a URL:
//
//	smtp://user:password@host:587?from=ACME%20%3Cnoreply@acme.example%3E   STARTTLS, which the server must offer
//	smtps://user:password@host:465?from=noreply@acme.example               TLS from the first byte
//	smtp://localhost:25?from=noreply@acme.example                          a server on this machine: STARTTLS if it is offered
//	smtp://localhost:25?from=noreply@acme.example&starttls=required        a server on this machine that must offer STARTTLS
//	smtp://user:password@host:587?from=...&auth=login                       the only mechanism: plain, login or xoauth2
//	smtp://user@host:587?from=...&auth=xoauth2&token_file=/run/token        an OAuth 2 access token, read for each connection
//	smtp://host:587?from=...&helo=mail.acme.example                         the name of EHLO instead of the host of the public URL
//
// STARTTLS is used whenever the server offers it, and the server's certificate is always verified. A server that does not offer
// STARTTLS gets mail only if it is a loopback host, and a password only if the URL has password_without_tls=allowed too; Open logs
// a warning for such a URL. Outside development, loopback and private addresses must be in the networks that the configuration
// allows.
//
// Each mail has exactly one recipient and contains the plain text before the HTML. All tries of a message have the same
// Message-ID. If the parameter from has no display name, the name of the app is used.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
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

	maxIdle time.Duration // of a connection

	mu      sync.Mutex
	idle    []*connection // the most recently used one is last
	closing bool          // a closing of stale connections is scheduled
}

// Open is the delivery.Opener of the schemes smtp and smtps. It does not connect.
func Open(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
	canonical, err := delivery.NewAddressPolicy(delivery.Addresses{UTF8Local: true})
	if err != nil {
		return nil, err
	}
	settings, err := parseURL(u, canonical)
	if env.Channel != "" && env.Channel != delivery.ChannelEmail {
		err = errors.Join(err, errors.New("carries the channel email only"))
	}
	if err != nil {
		return nil, err
	}
	if settings.allowClearPassword {
		env.Logger.Warn("SMTP password is sent without TLS where the server does not offer STARTTLS", "host", settings.host)
	}
	settings.helo = settings.greeting(env.Host)
	return &sender{
		settings: settings, dial: env.DialContext, canonical: canonical, now: env.Now, maxIdle: maxIdleTime,
		tls: &tls.Config{ServerName: settings.host, MinVersion: tls.VersionTLS12},
	}, nil
}

// MailDomain implements delivery.MailSender.
func (s *sender) MailDomain() string {
	_, domain, _ := strings.Cut(s.from.Address, "@")
	return domain
}

// Check implements delivery.Checker: it connects, signs in and sends a NOOP.
func (s *sender) Check(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return sendError(ctx, err)
	}
	err = c.smtp.Noop()
	s.release(c, err == nil)
	if err != nil {
		return sendError(ctx, err)
	}
	return nil
}

// Send passes the mail to the server once. Its errors are *watchword.SendError values; the table of rules says whose fault they are.
func (s *sender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	mail, err := s.composeMail(m)
	if err != nil {
		return watchword.Sent{}, err
	}
	for {
		c, reused, err := s.acquire(ctx)
		if err != nil {
			return watchword.Sent{}, sendError(ctx, err)
		}
		err = c.send(mail, !isASCII(m.To))
		if mail.IsDelivered() { // even if the connection failed afterwards
			s.release(c, err == nil)
			return watchword.Sent{Provider: provider, Reference: mail.GetMessageID()}, nil
		}
		s.release(c, refusedRecipient(err))
		if reused && failedBeforeRecipient(err) && ctx.Err() == nil {
			continue // the server had closed the idle connection
		}
		return watchword.Sent{}, sendError(ctx, err)
	}
}

// Settings implements delivery.Summarizer.
func (s *sender) Settings() string {
	auth := "no authentication"
	switch {
	case s.auth != "":
		auth = "authentication " + strings.ToLower(string(s.auth))
	case s.user != "":
		auth = "authentication as the server offers it"
	}
	return fmt.Sprintf("%s, %s, %s, EHLO %s", net.JoinHostPort(s.host, strconv.Itoa(s.port)), s.describeTLS(), auth, cmp.Or(s.helo, "with the name of this machine"))
}

func (s *settings) describeTLS() string {
	switch {
	case s.implicitTLS:
		return "TLS"
	case s.startTLS:
		return "STARTTLS required"
	}
	return "STARTTLS if offered"
}
