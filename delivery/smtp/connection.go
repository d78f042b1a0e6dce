package smtp

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
	gosmtp "github.com/wneessen/go-mail/smtp"
)

const (
	commandTimeout = 10 * time.Second // of connecting, and again of sending; the context may end them earlier
	maxIdle        = 4                // connections that are kept open for the next mail
	maxIdleTime    = 30 * time.Second // after that a server may have hung up
)

// A connection is one to the server, past its greeting, TLS and authentication. It carries one mail at a time.
type connection struct {
	client       *mail.Client // for this connection alone: go-mail changes it while it authenticates
	smtp         *gosmtp.Client
	raw          net.Conn
	stopWatching func() bool // stops watching the context; false if it has ended and the connection with it
	lastUsed     time.Time
}

// closeOnCancel hangs up when the context ends, which go-mail does not look at while it sends.
func (c *connection) closeOnCancel(ctx context.Context) {
	c.stopWatching = context.AfterFunc(ctx, func() { _ = c.raw.Close() })
}

func (c *connection) send(m *mail.Msg, utf8 bool) error {
	if offered, _ := c.smtp.Extension("SMTPUTF8"); utf8 && !offered {
		return errNoUTF8
	}
	c.smtp.SkipSMTPUTF8(!utf8) // where it is not needed, the next server need not have it
	return c.client.SendWithSMTPClient(c.smtp, m)
}

// acquire returns one that was kept, or a new one.
func (s *sender) acquire(ctx context.Context) (c *connection, reused bool, err error) {
	if c := s.takeIdle(); c != nil {
		c.closeOnCancel(ctx)
		return c, true, nil
	}
	c, err = s.connect(ctx)
	return c, false, err
}

func (s *sender) takeIdle() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.idle) > 0 {
		last := len(s.idle) - 1
		c := s.idle[last]
		s.idle = s.idle[:last]
		if s.now().Sub(c.lastUsed) < maxIdleTime {
			return c
		}
		_ = c.raw.Close()
	}
	return nil
}

// release keeps a healthy connection for the next mail, and closes any other.
func (s *sender) release(c *connection, healthy bool) {
	if !c.stopWatching() || !healthy {
		_ = c.raw.Close()
		return
	}
	c.lastUsed = s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == maxIdle {
		_ = c.raw.Close()
		return
	}
	s.idle = append(s.idle, c)
}

func (s *sender) connect(ctx context.Context) (*connection, error) {
	c := new(connection)
	var err error
	if c.client, err = s.newClient(ctx, c); err != nil {
		return nil, err
	}
	if c.smtp, err = c.client.DialToSMTPClientWithContext(ctx); err != nil {
		if c.raw != nil { // go-mail leaves it open when the greeting, TLS or authentication fails
			c.stopWatching()
			_ = c.raw.Close()
		}
		return nil, err
	}
	return c, nil
}

// newClient sets go-mail up. The connection is dialled here, TLS included, so that it can be hung up at any time.
func (s *sender) newClient(ctx context.Context, c *connection) (*mail.Client, error) {
	dial := func(dialCtx context.Context, network, _ string) (net.Conn, error) {
		// go-mail's own address lacks the brackets of IPv6.
		raw, err := s.dial(dialCtx, network, net.JoinHostPort(s.host, strconv.Itoa(s.port)))
		if err != nil {
			return nil, err
		}
		c.raw = raw
		c.closeOnCancel(ctx)
		if !s.implicitTLS {
			return raw, nil
		}
		secured := tls.Client(raw, s.tls)
		return secured, secured.HandshakeContext(dialCtx)
	}
	options := []mail.Option{
		mail.WithPort(s.port), mail.WithTimeout(commandTimeout), mail.WithDialContextFunc(dial),
		mail.WithTLSConfig(s.tls.Clone()), mail.WithTLSPolicy(s.tlsPolicy()),
	}
	if s.user != "" {
		options = append(options, mail.WithUsername(s.user), mail.WithPassword(s.password.Reveal()), mail.WithOpportunisticSMTPAuth(s.authMechanisms()...))
	}
	return mail.NewClient(s.host, options...)
}

func (s *settings) tlsPolicy() mail.TLSPolicy {
	switch {
	case s.implicitTLS: // nothing is left to do after the handshake
		return mail.NoTLS
	case s.startTLS:
		return mail.TLSMandatory
	}
	return mail.TLSOpportunistic
}

// authMechanisms are the ways to authenticate. go-mail itself sends a password without TLS to names of loopback, and with
// NoEnc to any; so it is the policy that keeps the password, by demanding TLS wherever clearPassword is not set.
func (s *settings) authMechanisms() []mail.SMTPAuthType {
	plain, login := mail.SMTPAuthPlain, mail.SMTPAuthLogin
	if s.allowClearPassword {
		plain, login = mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc
	}
	return []mail.SMTPAuthType{plain, login, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthCramMD5}
}
