package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword"
)

const (
	from          = "?from=noreply@acme.example"
	clearPassword = "&password_without_tls=allowed"
)

func TestSendDeliversOnceToTheRecipient(t *testing.T) {
	for _, tt := range []struct {
		name, scheme, parameters string
		implicit                 bool
		options                  []serverOption
	}{
		{"TLS", "smtps://ada:s3cret%2Fw@", from, true, []serverOption{withTLS(&trusted)}},
		{"STARTTLS", "smtp://ada:s3cret%2Fw@", from + "&starttls=required", false, []serverOption{withTLS(&trusted)}},
		{"loopback with STARTTLS", "smtp://ada:s3cret%2Fw@", from, false, []serverOption{withTLS(&trusted)}},
		{"loopback with STARTTLS and without a password", "smtp://", from, false, []serverOption{withTLS(&trusted)}},
		{"loopback with STARTTLS and clear password allowed", "smtp://ada:s3cret%2Fw@", from + clearPassword, false, []serverOption{withTLS(&trusted)}},
		{"loopback without STARTTLS and clear password allowed", "smtp://ada:s3cret%2Fw@", from + clearPassword, false, nil},
		{"loopback without STARTTLS and without a password", "smtp://", from, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := startServer(t, tt.implicit, tt.options...)
			sent, err := open(t, tt.scheme+server.address+"/"+tt.parameters).Send(t.Context(), newMessage())
			if err != nil || !reflect.DeepEqual(sent, watchword.Sent{Provider: "smtp", Reference: "<msg_1-a@acme.example>"}) {
				t.Fatalf("sent %+v, %v", sent, err)
			}
			mails := server.receivedMails()
			if len(mails) != 1 || mails[0].from != "noreply@acme.example" || !reflect.DeepEqual(mails[0].to, []string{"ada@example.com"}) || mails[0].utf8 {
				t.Errorf("the server took %+v", mails)
			}
			if _, encrypted := server.sessions[0].TLSConnectionState(); encrypted != (tt.options != nil) {
				t.Errorf("encrypted: %t", encrypted)
			}
			if wantLogin := tt.scheme != "smtp://"; (len(server.logins) == 1 && server.logins[0] == "ada:s3cret/w") != wantLogin {
				t.Errorf("logins %q", server.logins)
			}
		})
	}
}

// go-mail recognizes three names of loopback. If the URL allows it, the password is sent to any other name too.
func TestSendUsesClearPasswordForAnyLoopbackName(t *testing.T) {
	server := startServer(t, false)
	address := strings.Replace(server.address, "127.0.0.1", "LOCALHOST", 1)
	if _, err := open(t, "smtp://ada:s3cret%2Fw@"+address+from+clearPassword).Send(t.Context(), newMessage()); err != nil || len(server.logins) != 1 {
		t.Errorf("%v, logins %q", err, server.logins)
	}
}

func TestSendRejectsHostileRecipients(t *testing.T) {
	server := startServer(t, false, withUTF8)
	sender := open(t, "smtp://"+server.address+from)
	for _, to := range []string{"", "ada", "@example.com", "ada@", "ada@localhost", "ada@example.com,eve@example.com", "ada@example.com eve@example.com",
		"ada@example.com;eve@example.com", "ada@example.com\r\nRCPT TO:<eve@example.com>", "ada@example.com\nBcc: eve@example.com", "<ada@example.com>",
		"Ada <ada@example.com>", "ada@example.com>", "ada@example.com> NOTIFY=SUCCESS", `"ada eve"@example.com`, `"ada"@example.com`, "ada(comment)@example.com",
		"ada@example.com\x00", "ada@exam\x00ple.com", " ada@example.com", "ada@example.com ", "ada@EXAMPLE.com", "ada@exämple.com", "ada@[127.0.0.1]", "ada@127.0.0.1",
		"ada@@example.com", "ada@eve@example.com", ".ada@example.com", "ada.@example.com", "a..da@example.com", "group:ada@example.com;", "ada@example.com.", "ad\u202ea@example.com",
		"\u212aate@example.com\u2028", "ada%eve.example\r\n@example.com", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 126) + "com", "+14155550123", "ada@-example.com"} {
		m := newMessage()
		m.To = to
		requirePermanent(t, sender, m)
	}
	sms, badID := newMessage(), newMessage()
	sms.Channel, badID.ID = "sms", "msg>\r\nBcc: eve@example.com"
	requirePermanent(t, sender, sms)
	requirePermanent(t, sender, badID)
	if len(server.sessions) != 0 {
		t.Errorf("%d connections", len(server.sessions))
	}
}

func requirePermanent(t *testing.T, sender watchword.Sender, m watchword.Message) {
	t.Helper()
	_, err := sender.Send(t.Context(), m)
	var refusal *watchword.SendError
	if !errors.As(err, &refusal) || !refusal.Permanent || refusal.Provider != "smtp" {
		t.Errorf("%q: got %v", m.To, err)
	}
	if err != nil && len(m.To) > 3 && strings.Contains(err.Error(), m.To) {
		t.Errorf("the error contains the recipient: %v", err)
	}
}

func TestSendRequiresSMTPUTF8ForUTF8Recipients(t *testing.T) {
	m := newMessage()
	m.To = "jürgen@example.com"
	without, with := startServer(t, false), startServer(t, false, withUTF8)
	requirePermanent(t, open(t, "smtp://"+without.address+from), m)
	if mails := without.receivedMails(); len(mails) != 0 {
		t.Errorf("sent to a server without SMTPUTF8: %+v", mails)
	}
	sender := open(t, "smtp://"+with.address+from)
	for _, to := range []string{m.To, "ada@example.com"} {
		m.To = to
		if _, err := sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if mails := with.receivedMails(); len(mails) != 2 || mails[0].to[0] != "jürgen@example.com" || !mails[0].utf8 || mails[1].utf8 {
		t.Errorf("the server took %+v", mails)
	}
}

// Whose fault a reply is depends on the command that it answers, on the code and on the enhanced code.
func TestSendMapsRepliesToFaults(t *testing.T) {
	const provider, recipient, message = watchword.FaultProvider, watchword.FaultRecipient, watchword.FaultMessage
	for _, tt := range []struct {
		command  string
		code     int
		enhanced gosmtp.EnhancedCode
		fault    watchword.SendFault
		final    bool
	}{
		{"MAIL", 421, gosmtp.EnhancedCode{4, 3, 2}, provider, false},
		{"MAIL", 450, gosmtp.EnhancedCode{4, 1, 1}, provider, false},
		{"MAIL", 530, gosmtp.EnhancedCode{5, 7, 0}, provider, false},
		{"MAIL", 550, gosmtp.EnhancedCode{5, 7, 1}, provider, false},
		{"MAIL", 552, gosmtp.EnhancedCode{5, 3, 4}, message, true},
		{"RCPT", 421, gosmtp.EnhancedCode{4, 7, 0}, provider, false},
		{"RCPT", 450, gosmtp.EnhancedCode{4, 2, 0}, recipient, false},
		{"RCPT", 451, gosmtp.EnhancedCode{4, 7, 1}, recipient, false}, // greylisted
		{"RCPT", 451, gosmtp.NoEnhancedCode, recipient, false},        // greylisted
		{"RCPT", 451, gosmtp.EnhancedCode{4, 4, 1}, recipient, false},
		{"RCPT", 452, gosmtp.EnhancedCode{4, 2, 2}, recipient, false},
		{"RCPT", 452, gosmtp.EnhancedCode{4, 3, 1}, provider, false}, // the relay's disk is full
		{"RCPT", 454, gosmtp.EnhancedCode{4, 7, 1}, provider, false}, // relay access denied
		{"RCPT", 550, gosmtp.EnhancedCode{5, 1, 1}, recipient, true},
		{"RCPT", 550, gosmtp.NoEnhancedCode, recipient, true},
		{"RCPT", 554, gosmtp.EnhancedCode{5, 7, 1}, recipient, true},
		{"DATA", 421, gosmtp.EnhancedCode{4, 3, 2}, provider, false},
		{"DATA", 451, gosmtp.NoEnhancedCode, provider, false},
		{"DATA", 451, gosmtp.EnhancedCode{4, 3, 0}, provider, false},
		{"DATA", 451, gosmtp.EnhancedCode{4, 7, 1}, recipient, false}, // greylisted after DATA
		{"DATA", 452, gosmtp.EnhancedCode{4, 2, 2}, recipient, false},
		{"DATA", 451, gosmtp.EnhancedCode{4, 6, 0}, message, false},
		{"DATA", 550, gosmtp.EnhancedCode{5, 1, 1}, recipient, true},
		{"DATA", 552, gosmtp.EnhancedCode{5, 2, 2}, recipient, true},
		{"DATA", 552, gosmtp.EnhancedCode{5, 3, 4}, message, true},
		{"DATA", 554, gosmtp.NoEnhancedCode, message, true},
		{"DATA", 554, gosmtp.EnhancedCode{5, 7, 1}, message, true}, // spam
		{"DATA", 554, gosmtp.EnhancedCode{5, 3, 0}, provider, false},
	} {
		t.Run(fmt.Sprint(tt.command, tt.code, tt.enhanced), func(t *testing.T) {
			server := startServer(t, false)
			server.setReply(tt.command, &gosmtp.SMTPError{Code: tt.code, EnhancedCode: tt.enhanced, Message: "ada@example.com is unknown, 492039"})
			sender := open(t, "smtp://"+server.address+from)
			_, err := sender.Send(t.Context(), newMessage())
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) || refusal.Fault != tt.fault || refusal.Permanent != tt.final {
				t.Fatalf("got %v, fault of the %v", err, refusal.Fault)
			}
			if text := err.Error(); strings.Contains(text, "ada@") || strings.Contains(text, "492039") || !strings.Contains(text, refusal.Cause.Error()) {
				t.Errorf("error %q", text)
			}
			server.setReply(tt.command, nil)
			if _, err := sender.Send(t.Context(), newMessage()); err != nil || len(server.receivedMails()) != 1 {
				t.Errorf("the second try: %v, %d mails", err, len(server.receivedMails()))
			}
			if reused := len(server.sessions) == 1; reused != (tt.command == "RCPT" && tt.code != 421) {
				t.Errorf("%d connections", len(server.sessions))
			}
		})
	}
}

// Whatever fails before the recipient is named is the provider's fault, and never permanent.
func TestSendBlamesProviderForConnection(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	refuses := startServer(t, false)
	for name, url := range map[string]string{
		"no listener":       "smtp://" + closed.Addr().String() + from,
		"greeting refuses":  "smtp://" + startScriptedServer(t, map[string]string{"": "554 go away"}) + from,
		"hangs up":          "smtp://" + startScriptedServer(t, map[string]string{"RCPT": "hang up"}) + from,
		"wrong credentials": "smtp://eve:wr0ng-password@" + refuses.address + from + clearPassword,
		"no STARTTLS":       "smtp://" + refuses.address + from + "&starttls=required",
	} {
		_, err := open(t, url).Send(t.Context(), newMessage())
		var refusal *watchword.SendError
		if !errors.As(err, &refusal) || refusal.Fault != watchword.FaultProvider || refusal.Permanent {
			t.Errorf("%s: got %#v", name, err)
		}
	}
}

func TestSendWithWrongPasswordFailsWithoutSecrets(t *testing.T) {
	server := startServer(t, true, withTLS(&trusted))
	sender := open(t, "smtps://ada:hunter2@"+server.address+from)
	_, err := sender.Send(t.Context(), newMessage())
	var refusal *watchword.SendError
	if !errors.As(err, &refusal) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "such user") {
		t.Errorf("got %v", err)
	}
}

func TestSendRequiresAndVerifiesTLS(t *testing.T) {
	none, forged, implicit := startServer(t, false), startServer(t, false, withTLS(&untrusted)), startServer(t, true, withTLS(&untrusted))
	for name, url := range map[string]string{
		"no STARTTLS":              "smtp://ada:s3cret%2Fw@" + none.address + from + "&starttls=required",
		"no STARTTLS, by loopback": "smtp://ada:s3cret%2Fw@" + none.address + from,
		"no STARTTLS, by name":     "smtp://ada:s3cret%2Fw@" + strings.Replace(none.address, "127.0.0.1", "localhost", 1) + from,
		"forged STARTTLS":          "smtp://ada:s3cret%2Fw@" + forged.address + from + "&starttls=required",
		"forged, by loopback":      "smtp://ada:s3cret%2Fw@" + forged.address + from,
		"forged, no password":      "smtp://" + forged.address + from,
		"forged, clear password":   "smtp://ada:s3cret%2Fw@" + forged.address + from + clearPassword,
		"forged TLS":               "smtps://ada:s3cret%2Fw@" + implicit.address + from,
		"another's name":           "smtps://ada:s3cret%2Fw@" + strings.Replace(implicit.address, "127.0.0.1", "127.0.0.2", 1) + from,
		"TLS where is none":        "smtps://ada:s3cret%2Fw@" + none.address + from,
	} {
		if _, err := open(t, url).Send(t.Context(), newMessage()); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	for _, server := range []*server{none, forged, implicit} {
		if len(server.logins)+len(server.receivedMails()) != 0 {
			t.Errorf("a server got logins %q and mails %v", server.logins, server.receivedMails())
		}
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	blocked := startServer(t, false)
	blocked.block = make(chan struct{})
	defer close(blocked.block)
	for name, address := range map[string]string{"no greeting": silent.Addr().String(), "no reply": blocked.address} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		watchdog := time.AfterFunc(5*time.Second, func() { t.Errorf("%s: still sending, long after the context's end", name) })
		_, err := open(t, "smtp://"+address+from).Send(ctx, newMessage())
		watchdog.Stop()
		cancel()
		var refusal *watchword.SendError
		if !errors.As(err, &refusal) || refusal.Permanent || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSendReusesConnections(t *testing.T) {
	server := startServer(t, false)
	sender := open(t, "smtp://"+server.address+from)
	send := func() {
		t.Helper()
		if _, err := sender.Send(t.Context(), newMessage()); err != nil {
			t.Fatal(err)
		}
	}
	send()
	send()
	if len(server.sessions) != 1 {
		t.Errorf("%d connections for two mails, want one", len(server.sessions))
	}
	server.closeConnections()
	send() // on a new connection, because the server has closed the old one
	if mails := server.receivedMails(); len(mails) != 3 || len(server.sessions) != 2 {
		t.Errorf("%d mails over %d connections", len(mails), len(server.sessions))
	}
}

// A mail that the server has accepted is sent, even if the connection breaks afterwards. A retry would deliver it twice.
func TestSendSucceedsIfServerHangsUpAfterAccepting(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	mails := make(chan int, 1)
	go func() {
		accepted := 0
		defer func() { mails <- accepted }()
		raw, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = raw.Close() }()
		c := textproto.NewConn(raw)
		_ = c.PrintfLine("220 mail.test")
		for line, err := c.ReadLine(); err == nil && line != "RSET"; line, err = c.ReadLine() {
			if line != "DATA" {
				_ = c.PrintfLine("250 fine")
				continue
			}
			_ = c.PrintfLine("354 go on")
			if _, err := c.ReadDotBytes(); err == nil {
				accepted++
				_ = c.PrintfLine("250 accepted")
			}
		}
	}()
	if _, err := open(t, "smtp://"+listener.Addr().String()+from).Send(t.Context(), newMessage()); err != nil {
		t.Error(err)
	}
	if n := <-mails; n != 1 {
		t.Errorf("the server took %d mails", n)
	}
}

func TestSendIsSafeForConcurrentUse(t *testing.T) {
	server := startServer(t, true, withTLS(&trusted))
	sender := open(t, "smtps://ada:s3cret%2Fw@"+server.address+from)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 5 {
				if _, err := sender.Send(t.Context(), newMessage()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	mails := server.receivedMails()
	for _, m := range mails {
		if len(m.to) != 1 || strings.Count(m.data, "Message-ID: <msg_1-a@acme.example>") != 1 {
			t.Errorf("the server took %+v", m)
		}
	}
	if len(mails) != 40 {
		t.Errorf("%d mails, want 40", len(mails))
	}
}
