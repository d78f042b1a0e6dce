package smtp_test

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword"
)

const from = "?from=noreply@acme.example"

func TestSendsExactlyOnceToExactlyTheRecipient(t *testing.T) {
	for _, tt := range []struct {
		name, scheme, parameters string
		implicit                 bool
		options                  []serverOption
	}{
		{"TLS", "smtps://ada:s3cret%2Fw@", from, true, []serverOption{withTLS(&trusted)}},
		{"STARTTLS", "smtp://ada:s3cret%2Fw@", from + "&starttls=required", false, []serverOption{withTLS(&trusted)}},
		{"loopback", "smtp://ada:s3cret%2Fw@", from, false, nil},
		{"no password", "smtp://", from, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := startServer(t, tt.implicit, tt.options...)
			sent, err := open(t, tt.scheme+server.address+"/"+tt.parameters).Send(t.Context(), message())
			if err != nil || sent != (watchword.Sent{Provider: "smtp", Reference: "<msg_1-a@acme.example>"}) {
				t.Fatalf("sent %+v, %v", sent, err)
			}
			mails := server.taken()
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

// received sends the message and parses what the server took.
func received(t *testing.T, parameters string, m watchword.Message) *mail.Message {
	t.Helper()
	server := startServer(t, false)
	if _, err := open(t, "smtp://"+server.address+parameters).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mails := server.taken()
	if len(mails) != 1 || len(mails[0].to) != 1 {
		t.Fatalf("the server took %+v", mails)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(mails[0].data))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestHeaders(t *testing.T) {
	got := received(t, from, message()).Header
	want := map[string]string{
		"From": `"ACME" <noreply@acme.example>`, "To": "<ada@example.com>", "Subject": "Your code", "Message-Id": "<msg_1-a@acme.example>",
		"Auto-Submitted": "auto-generated", "Date": "Sat, 01 Aug 2026 12:00:00 +0000", "Mime-Version": "1.0", "Content-Type": got.Get("Content-Type"),
	}
	for name := range got {
		if len(got[name]) != 1 || got.Get(name) != want[name] {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	for name := range want {
		if got.Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
	named := received(t, "?from=%22Team%20%C3%84%22%20%3Cno-reply@acme.example%3E", message()).Header
	if address, err := mail.ParseAddress(named.Get("From")); err != nil || address.Name != "Team Ä" || address.Address != "no-reply@acme.example" {
		t.Errorf("From is %v, %v", address, err)
	}
}

func TestPlainTextComesFirst(t *testing.T) {
	m := received(t, from, message())
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	reader := multipart.NewReader(m.Body, parameters["boundary"])
	for _, want := range []struct{ kind, text string }{{"text/plain; charset=UTF-8", "492039 is your code."}, {"text/html; charset=UTF-8", "<p>492039</p>"}} {
		part, err := reader.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part)
		if err != nil || part.Header.Get("Content-Type") != want.kind || strings.TrimSpace(string(text)) != want.text {
			t.Errorf("part %q: %q, %v", part.Header.Get("Content-Type"), text, err)
		}
	}
	if _, err := reader.NextPart(); err != io.EOF {
		t.Errorf("a third part, or %v", err)
	}
}

func TestTextAlone(t *testing.T) {
	m := message()
	m.HTML, m.Text = "", "Grüße\n.\nQUIT\n"
	got := received(t, from, m)
	text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil || got.Header.Get("Content-Type") != "text/plain; charset=UTF-8" || strings.ReplaceAll(string(text), "\r\n", "\n") != m.Text {
		t.Errorf("%s: %q, %v", got.Header.Get("Content-Type"), text, err)
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	for _, poison := range []string{"x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com", "x\r\n\r\n<script>", "x\u2028Bcc: e@example.com", "\"x\" <eve@example.com>, y", "ü\r\nBcc: eve@example.com", "x\x00y"} {
		m := message()
		m.Title, m.App = poison, poison
		got := received(t, from, m)
		if len(got.Header) != 8 || got.Header.Get("Bcc") != "" {
			t.Errorf("%q: headers %v", poison, got.Header)
		}
		sender, err := mail.ParseAddressList(got.Header.Get("From"))
		if err != nil || len(sender) != 1 || sender[0].Address != "noreply@acme.example" {
			t.Errorf("%q: From %v, %v", poison, sender, err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if err != nil || strings.ContainsAny(subject, "\r\n\x00\u2028") {
			t.Errorf("%q: Subject %q, %v", poison, subject, err)
		}
	}
}

func TestHostileRecipientsReachNobody(t *testing.T) {
	server := startServer(t, false, withUTF8)
	sender := open(t, "smtp://"+server.address+from)
	for _, to := range []string{"", "ada", "@example.com", "ada@", "ada@localhost", "ada@example.com,eve@example.com", "ada@example.com eve@example.com",
		"ada@example.com;eve@example.com", "ada@example.com\r\nRCPT TO:<eve@example.com>", "ada@example.com\nBcc: eve@example.com", "<ada@example.com>",
		"Ada <ada@example.com>", "ada@example.com>", "ada@example.com> NOTIFY=SUCCESS", `"ada eve"@example.com`, `"ada"@example.com`, "ada(comment)@example.com",
		"ada@example.com\x00", "ada@exam\x00ple.com", " ada@example.com", "ada@example.com ", "ada@EXAMPLE.com", "ada@exämple.com", "ada@[127.0.0.1]", "ada@127.0.0.1",
		"ada@@example.com", "ada@eve@example.com", ".ada@example.com", "ada.@example.com", "a..da@example.com", "group:ada@example.com;", "ada@example.com.", "ad\u202ea@example.com",
		"\u212aate@example.com\u2028", "ada%eve.example\r\n@example.com", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 126) + "com", "+14155550123", "ada@-example.com"} {
		m := message()
		m.To = to
		requirePermanent(t, sender, m)
	}
	sms, badID := message(), message()
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
		t.Errorf("the error holds the recipient: %v", err)
	}
}

func TestUTF8Recipients(t *testing.T) {
	m := message()
	m.To = "jürgen@example.com"
	without, with := startServer(t, false), startServer(t, false, withUTF8)
	requirePermanent(t, open(t, "smtp://"+without.address+from), m)
	if mails := without.taken(); len(mails) != 0 {
		t.Errorf("sent to a server without SMTPUTF8: %+v", mails)
	}
	sender := open(t, "smtp://"+with.address+from)
	for _, to := range []string{m.To, "ada@example.com"} {
		m.To = to
		if _, err := sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if mails := with.taken(); len(mails) != 2 || mails[0].to[0] != "jürgen@example.com" || !mails[0].utf8 || mails[1].utf8 {
		t.Errorf("the server took %+v", mails)
	}
}

func TestReplies(t *testing.T) {
	for _, command := range []string{"MAIL", "RCPT", "DATA"} {
		for code, permanent := range map[int]bool{421: false, 450: false, 452: false, 550: true, 554: true} {
			server := startServer(t, false)
			server.reply(command, &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 1, 1}, Message: "ada@example.com is unknown, 492039"})
			sender := open(t, "smtp://"+server.address+from)
			_, err := sender.Send(t.Context(), message())
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) || refusal.Permanent != permanent {
				t.Errorf("%s %d: got %v", command, code, err)
			}
			if text := err.Error(); strings.Contains(text, "ada@") || strings.Contains(text, "492039") || !strings.Contains(text, refusal.Cause.Error()) {
				t.Errorf("%s %d: the error says %q", command, code, text)
			}
			server.reply(command, nil)
			if _, err := sender.Send(t.Context(), message()); err != nil || len(server.taken()) != 1 {
				t.Errorf("%s %d: the second try: %v, %d mails", command, code, err, len(server.taken()))
			}
		}
	}
}

func TestWrongPassword(t *testing.T) {
	server := startServer(t, true, withTLS(&trusted))
	sender := open(t, "smtps://ada:hunter2@"+server.address+from)
	_, err := sender.Send(t.Context(), message())
	var refusal *watchword.SendError
	if !errors.As(err, &refusal) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "such user") {
		t.Errorf("got %v", err)
	}
}

func TestTLSIsDemandedAndVerified(t *testing.T) {
	none, forged, implicit := startServer(t, false), startServer(t, false, withTLS(&stranger)), startServer(t, true, withTLS(&stranger))
	for name, url := range map[string]string{
		"no STARTTLS":       "smtp://ada:s3cret%2Fw@" + none.address + from + "&starttls=required",
		"forged STARTTLS":   "smtp://ada:s3cret%2Fw@" + forged.address + from + "&starttls=required",
		"forged TLS":        "smtps://ada:s3cret%2Fw@" + implicit.address + from,
		"another's name":    "smtps://ada:s3cret%2Fw@" + strings.Replace(implicit.address, "127.0.0.1", "127.0.0.2", 1) + from,
		"TLS where is none": "smtps://ada:s3cret%2Fw@" + none.address + from,
	} {
		if _, err := open(t, url).Send(t.Context(), message()); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	for _, server := range []*server{none, forged, implicit} {
		if len(server.logins)+len(server.taken()) != 0 {
			t.Errorf("a server got logins %q and mails %v", server.logins, server.taken())
		}
	}
}

func TestGivesUpWithItsContext(t *testing.T) {
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
		_, err := open(t, "smtp://"+address+from).Send(ctx, message())
		cancel()
		var refusal *watchword.SendError
		if !errors.As(err, &refusal) || refusal.Permanent || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	server := startServer(t, false)
	sender := open(t, "smtp://"+server.address+from)
	send := func() {
		t.Helper()
		if _, err := sender.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	send()
	send()
	if len(server.sessions) != 1 {
		t.Errorf("%d connections for two mails, want one", len(server.sessions))
	}
	server.hangUp()
	send() // on a new connection, for the old one is gone
	if mails := server.taken(); len(mails) != 3 || len(server.sessions) != 2 {
		t.Errorf("%d mails over %d connections", len(mails), len(server.sessions))
	}
}

func TestConcurrentMails(t *testing.T) {
	server := startServer(t, true, withTLS(&trusted))
	sender := open(t, "smtps://ada:s3cret%2Fw@"+server.address+from)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 5 {
				if _, err := sender.Send(t.Context(), message()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	mails := server.taken()
	for _, m := range mails {
		if len(m.to) != 1 || strings.Count(m.data, "Message-ID: <msg_1-a@acme.example>") != 1 {
			t.Errorf("the server took %+v", m)
		}
	}
	if len(mails) != 40 {
		t.Errorf("%d mails, want 40", len(mails))
	}
}
