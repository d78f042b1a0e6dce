package smtp

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A relay is a real SMTP server that records greetings and logins.
type relay struct {
	address    string
	mechanisms []string

	mu        sync.Mutex
	greetings []string
	logins    []string // mechanism, user and secret
	ended     int      // sessions
}

func startRelay(t *testing.T, mechanisms ...string) *relay {
	t.Helper()
	r := &relay{mechanisms: mechanisms}
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.greetings = append(r.greetings, c.Hostname())
		return &relaySession{r}, nil
	}))
	server.Domain, server.AllowInsecureAuth, server.ErrorLog = "mail.test", true, discard{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = listener.Addr().String()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _, _ = server.Close(), listener.Close() })
	return r
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

type relaySession struct{ *relay }

func (s *relaySession) AuthMechanisms() []string { return s.mechanisms }

func (s *relaySession) Auth(mechanism string) (sasl.Server, error) {
	note := func(user, secret string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.logins = append(s.logins, mechanism+" "+user+" "+secret)
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, password string) error { return note(user, password) }), nil
	case "LOGIN":
		return &loginServer{note: note}, nil
	case "XOAUTH2":
		return &xoauth2Server{note: note}, nil
	}
	return nil, errors.New("unknown mechanism")
}

// loginServer is the server of the mechanism LOGIN.
type loginServer struct {
	note    func(user, password string) error
	answers []string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		l.answers = append(l.answers, string(response))
	}
	switch len(l.answers) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	}
	return nil, true, l.note(l.answers[0], l.answers[1])
}

// xoauth2Server is the server of the mechanism XOAUTH2.
type xoauth2Server struct {
	note func(user, token string) error
}

func (x *xoauth2Server) Next(response []byte) ([]byte, bool, error) {
	user, rest, ok := strings.Cut(strings.TrimPrefix(string(response), "user="), "\x01auth=Bearer ")
	if !ok {
		return nil, false, errors.New("malformed")
	}
	return nil, true, x.note(user, strings.TrimRight(rest, "\x01"))
}

func (s *relaySession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s *relaySession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (s *relaySession) Reset()                                 {}
func (s *relaySession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
func (s *relaySession) Logout() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	return nil
}

func openSender(t *testing.T, rawURL, host string) *sender {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(t.Context(), u, delivery.Environment{Development: true, Host: host}.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*sender)
}

func sendMail(t *testing.T, s *sender) {
	t.Helper()
	m := watchword.Message{ID: "msg_1", App: "ACME", Channel: "email", To: "ada@example.com", Title: "Your code", Text: "492039\n", ExpiresAt: time.Now().Add(time.Minute)}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

const sender1 = "?from=noreply@acme.example"

func TestSendGreetsByPublicHost(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ parameters, host, want string }{
		{"", "verify.acme.example", "verify.acme.example"},
		{"&helo=mail.acme.example", "verify.acme.example", "mail.acme.example"},
		{"&helo=[192.0.2.1]", "verify.acme.example", "[192.0.2.1]"},
		{"", "192.0.2.7", "[192.0.2.7]"},
		{"", "2001:db8::1", "[IPv6:2001:db8::1]"},
		{"", "", machine},
	} {
		r := startRelay(t)
		sendMail(t, openSender(t, "smtp://"+r.address+sender1+tt.parameters, tt.host))
		if r.greetings[0] != tt.want {
			t.Errorf("%+v: greeted as %q", tt, r.greetings[0])
		}
	}
}

func TestSendAuthenticatesByTheConfiguredMechanism(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("ya29.first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{"PLAIN", "LOGIN", "XOAUTH2"}
	for _, tt := range []struct {
		user, parameters string
		offered          []string
		want             string
	}{
		{"ada:s3cret", "", all, "PLAIN ada s3cret"},
		{"ada:s3cret", "", all[1:], "LOGIN ada s3cret"},
		{"ada:s3cret", "&auth=plain", all, "PLAIN ada s3cret"},
		{"ada:s3cret", "&auth=login", all, "LOGIN ada s3cret"},
	} {
		r := startRelay(t, tt.offered...)
		sendMail(t, openSender(t, "smtp://"+tt.user+"@"+r.address+sender1+tt.parameters+"&password_without_tls=allowed", ""))
		if len(r.logins) != 1 || r.logins[0] != tt.want {
			t.Errorf("%s: logins %q", tt.parameters, r.logins)
		}
	}
	// A mechanism that the server does not offer is not replaced by another one.
	r := startRelay(t, "PLAIN")
	s := openSender(t, "smtp://ada:s3cret@"+r.address+sender1+"&auth=login&password_without_tls=allowed", "")
	_, err := s.Send(t.Context(), watchword.Message{ID: "msg_1", Channel: "email", To: "ada@example.com"})
	if err == nil || len(r.logins) != 0 || !strings.Contains(err.Error(), string(errNoAuth)) {
		t.Errorf("sent with %q: %v", r.logins, err)
	}
}

// The token is read for each connection, because another process renews it.
func TestSendReadsTokenForEachConnection(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	r := startRelay(t, "PLAIN", "XOAUTH2")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ya29.first\n")
	s := openSender(t, "smtp://ada@"+r.address+sender1+"&auth=xoauth2&token_file="+token, "")
	s.startTLS = false // the relay has no certificate
	sendMail(t, s)
	write("ya29.second")
	s.mu.Lock()
	s.idle[0].quit()
	s.idle = nil
	s.mu.Unlock()
	sendMail(t, s)
	if got := strings.Join(r.logins, ", "); got != "XOAUTH2 ada ya29.first, XOAUTH2 ada ya29.second" {
		t.Errorf("logins %s", got)
	}
	write("")
	if _, err := s.connect(t.Context()); !errors.Is(err, errToken) {
		t.Errorf("an empty token: %v", err)
	}
}

// Connections that are not used any more are closed, with QUIT, also if no further mail is sent.
func TestIdleConnectionsAreClosed(t *testing.T) {
	r := startRelay(t)
	s := openSender(t, "smtp://"+r.address+sender1, "")
	s.maxIdle = 50 * time.Millisecond
	sendMail(t, s)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		ended := r.ended
		r.mu.Unlock()
		if ended == 1 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the idle connection is still open")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) != 0 {
		t.Errorf("%d idle connections", len(s.idle))
	}
}

func TestSettingsShowPolicyAndNoSecret(t *testing.T) {
	for url, want := range map[string]string{
		"smtp://ada:s3cret@mail.example.com" + sender1 + "&auth=login":        "mail.example.com:587, STARTTLS required, authentication login, EHLO verify.acme.example",
		"smtps://ada:s3cret@mail.example.com" + sender1:                       "mail.example.com:465, TLS, authentication as the server offers it, EHLO verify.acme.example",
		"smtp://localhost:25" + sender1:                                       "localhost:25, STARTTLS if offered, no authentication, EHLO verify.acme.example",
		"smtp://localhost:25" + sender1 + "&starttls=required&helo=a.example": "localhost:25, STARTTLS required, no authentication, EHLO a.example",
	} {
		if got := openSender(t, url, "verify.acme.example").Settings(); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}
