package smtp

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
	gosmtp "github.com/wneessen/go-mail/smtp"
)

const (
	commandTimeout = 10 * time.Second // of connecting, and again of sending; the context may end earlier
	maxIdleCount   = 4                // idle connections that are kept for reuse
	maxIdleTime    = 30 * time.Second // connections that were idle so long are closed: servers close them too, some with a complaint
	quitTimeout    = 2 * time.Second
)

// A connection is an authenticated connection to the server. It sends one mail at a time.
type connection struct {
	client       *mail.Client // not shared: go-mail changes it during authentication
	smtp         *gosmtp.Client
	raw          net.Conn
	stopWatching func() bool // stops watching the context; false if the context has ended, which closed the connection
	lastUsed     time.Time
}

// closeOnCancel closes the connection when the context ends, because go-mail does not watch the context while it sends.
func (c *connection) closeOnCancel(ctx context.Context) {
	c.stopWatching = context.AfterFunc(ctx, func() { _ = c.raw.Close() })
}

func (c *connection) send(m *mail.Msg, utf8 bool) error {
	if offered, _ := c.smtp.Extension("SMTPUTF8"); utf8 && !offered {
		return errNoUTF8
	}
	c.smtp.SkipSMTPUTF8(!utf8) // if it is not needed, the next server need not support it
	return c.client.SendWithSMTPClient(c.smtp, m)
}

// acquire returns an idle connection or a new one.
func (s *sender) acquire(ctx context.Context) (c *connection, reused bool, err error) {
	if c := s.takeIdle(); c != nil {
		c.closeOnCancel(ctx)
		return c, true, nil
	}
	c, err = s.connect(ctx)
	return c, false, err
}

// takeIdle removes and returns the idle connection that was used last, or returns nil. It closes connections that were idle for too
// long.
func (s *sender) takeIdle() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeStale()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	c := s.idle[last]
	s.idle = s.idle[:last]
	return c
}

// closeStale closes the connections that were idle for s.maxIdle. The caller holds the lock.
func (s *sender) closeStale() {
	s.idle = slices.DeleteFunc(s.idle, func(c *connection) bool {
		stale := s.now().Sub(c.lastUsed) >= s.maxIdle
		if stale {
			go c.quit()
		}
		return stale
	})
}

// quit ends the session as servers expect it, and closes the connection.
func (c *connection) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(quitTimeout))
	_ = c.smtp.Quit()
	_ = c.raw.Close()
}

// release keeps a healthy connection for reuse, for s.maxIdle at most, and closes any other.
func (s *sender) release(c *connection, healthy bool) {
	if !c.stopWatching() || !healthy {
		_ = c.raw.Close()
		return
	}
	c.lastUsed = s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == maxIdleCount {
		go c.quit()
		return
	}
	s.idle = append(s.idle, c)
	s.scheduleClosing()
}

// scheduleClosing closes stale connections a little later, and goes on while there are idle ones. The caller holds the lock.
func (s *sender) scheduleClosing() {
	if s.closing {
		return
	}
	s.closing = true
	time.AfterFunc(s.maxIdle+s.maxIdle/8, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closing = false
		if s.closeStale(); len(s.idle) > 0 {
			s.scheduleClosing()
		}
	})
}

func (s *sender) connect(ctx context.Context) (*connection, error) {
	c := new(connection)
	var err error
	if c.client, err = s.newClient(ctx, c); err != nil {
		return nil, err
	}
	if c.smtp, err = c.client.DialToSMTPClientWithContext(ctx); err != nil {
		if c.raw != nil { // go-mail does not close it when the greeting, TLS or authentication fails
			c.stopWatching()
			_ = c.raw.Close()
		}
		return nil, err
	}
	return c, nil
}

// newClient configures go-mail. The dial function does the TLS handshake itself, so that the connection can be closed at any time.
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
	if s.helo != "" {
		options = append(options, mail.WithHELO(s.helo))
	}
	if s.user != "" {
		secret := s.password
		if s.tokenFile != "" {
			var err error
			if secret, err = readToken(s.tokenFile); err != nil {
				return nil, err
			}
		}
		options = append(options, mail.WithUsername(s.user), mail.WithPassword(secret.Reveal()), s.authOption())
	}
	return mail.NewClient(s.host, options...)
}

// authOption selects the configured mechanism or, without one, the first of authMechanisms that the server offers.
func (s *settings) authOption() mail.Option {
	switch {
	case s.auth == "":
		return mail.WithOpportunisticSMTPAuth(s.authMechanisms()...)
	case s.allowClearPassword && s.auth == mail.SMTPAuthPlain:
		return mail.WithSMTPAuth(mail.SMTPAuthPlainNoEnc)
	case s.allowClearPassword && s.auth == mail.SMTPAuthLogin:
		return mail.WithSMTPAuth(mail.SMTPAuthLoginNoEnc)
	}
	return mail.WithSMTPAuth(s.auth)
}

func (s *settings) tlsPolicy() mail.TLSPolicy {
	switch {
	case s.implicitTLS: // dial has done the handshake
		return mail.NoTLS
	case s.startTLS:
		return mail.TLSMandatory
	}
	return mail.TLSOpportunistic
}

// authMechanisms returns the authentication mechanisms, in order of preference. go-mail's plain and login mechanisms send a
// password without TLS to loopback names, and the NoEnc variants to any host. tlsPolicy protects the password: it requires TLS
// unless allowClearPassword is set.
func (s *settings) authMechanisms() []mail.SMTPAuthType {
	plain, login := mail.SMTPAuthPlain, mail.SMTPAuthLogin
	if s.allowClearPassword {
		plain, login = mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc
	}
	return []mail.SMTPAuthType{plain, login, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthCramMD5}
}
