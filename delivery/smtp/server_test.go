package smtp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/smtp"
)

var (
	providers = delivery.Openers{"smtp": smtp.Open, "smtps": smtp.Open}
	noon      = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

	trusted, untrusted tls.Certificate // certificates of the trusted authority and of another one
)

// TestMain makes the tests' certificate authority the system's, so that senders verify certificates as in production.
func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "smtp")
	if err == nil {
		err = createCertificates(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

func createCertificates(folder string) error {
	ours, err := newAuthority()
	if err != nil {
		return err
	}
	theirs, err := newAuthority()
	if err != nil {
		return err
	}
	if trusted, err = ours.certify(); err != nil {
		return err
	}
	if untrusted, err = theirs.certify(); err != nil {
		return err
	}
	file := filepath.Join(folder, "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.certificate.Raw})
	return errors.Join(os.WriteFile(file, raw, 0o600), os.Setenv("SSL_CERT_FILE", file), os.Setenv("SSL_CERT_DIR", folder))
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(raw)
	return &authority{certificate, key}, err
}

func (a *authority) certify() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, err
}

// A receivedMail is a mail that the server received.
type receivedMail struct {
	from string
	to   []string
	utf8 bool
	data string
}

// A server is a real SMTP server. Its replies can be set for each command.
type server struct {
	address  string
	mu       sync.Mutex
	mails    []receivedMail
	logins   []string
	sessions []*gosmtp.Conn
	replies  map[string]error // MAIL, RCPT, DATA
	block    chan struct{}    // if it is not nil, DATA waits until it is closed
}

type serverOption func(*gosmtp.Server)

func withTLS(certificate *tls.Certificate) serverOption {
	return func(s *gosmtp.Server) { s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}} }
}

func withUTF8(s *gosmtp.Server) { s.EnableSMTPUTF8 = true }

func startServer(t *testing.T, implicitTLS bool, options ...serverOption) *server {
	t.Helper()
	s := &server{replies: map[string]error{}}
	backend := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions = append(s.sessions, c)
		return &session{server: s}, nil
	}))
	backend.Domain, backend.AllowInsecureAuth, backend.ErrorLog = "mail.test", true, discardLogger{}
	for _, option := range options {
		option(backend)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	if implicitTLS {
		listener = tls.NewListener(listener, backend.TLSConfig)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = backend.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = backend.Close()
		_ = listener.Close() // Serve may not have registered it yet
		<-done
	})
	return s
}

type discardLogger struct{}

func (discardLogger) Printf(string, ...any) {}
func (discardLogger) Println(...any)        {}

// setReply sets the server's reply to a command.
func (s *server) setReply(command string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[command] = err
}

func (s *server) receivedMails() []receivedMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]receivedMail(nil), s.mails...)
}

// closeConnections closes every connection.
func (s *server) closeConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sessions {
		_ = c.Close()
	}
}

type session struct {
	*server
	mail receivedMail
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.logins = append(s.logins, user+":"+password)
		if user != "ada" || password != "s3cret/w" {
			return errors.New("no such user as " + user)
		}
		return nil
	}), nil
}

func (s *session) reply(command string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replies[command]
}

func (s *session) Mail(from string, o *gosmtp.MailOptions) error {
	s.mail = receivedMail{from: from, utf8: o.UTF8}
	return s.reply("MAIL")
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.mail.to = append(s.mail.to, to)
	return s.reply("RCPT")
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.block != nil {
		<-s.block
	}
	if err := s.reply("DATA"); err != nil {
		return err
	}
	s.mail.data = string(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, s.mail)
	return nil
}

func (s *session) Reset()        { s.mail = receivedMail{} }
func (s *session) Logout() error { return nil }

func open(t *testing.T, url string) watchword.Sender {
	t.Helper()
	sender, err := providers.Open(t.Context(), url, delivery.Environment{Development: true, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func newMessage() watchword.Message {
	return watchword.Message{ID: "msg_1-a", App: "ACME", Channel: "email", To: "ada@example.com", Title: "Your code", Text: "492039 is your code.\n",
		HTML: "<p>492039</p>", Code: watchword.NewCode("492039"), ExpiresAt: noon.Add(time.Minute)}
}
