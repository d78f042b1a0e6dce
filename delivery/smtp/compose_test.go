package smtp_test

import (
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// sendAndParse sends the message and parses the mail that the server received.
func sendAndParse(t *testing.T, parameters string, m watchword.Message) *mail.Message {
	t.Helper()
	server := startServer(t, false)
	if _, err := open(t, "smtp://"+server.address+parameters).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mails := server.receivedMails()
	if len(mails) != 1 || len(mails[0].to) != 1 {
		t.Fatalf("the server took %+v", mails)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(mails[0].data))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestSendWritesHeaders(t *testing.T) {
	got := sendAndParse(t, from, newMessage()).Header
	want := map[string]string{
		"From": `"ACME" <noreply@acme.example>`, "To": "<ada@example.com>", "Subject": "Your code", "Message-Id": "<msg_1-a@acme.example>",
		"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "Date": "Sat, 01 Aug 2026 12:00:00 +0000", "Mime-Version": "1.0", "Content-Type": got.Get("Content-Type"),
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
	named := sendAndParse(t, "?from=%22Team%20%C3%84%22%20%3Cno-reply@acme.example%3E", newMessage()).Header
	if address, err := mail.ParseAddress(named.Get("From")); err != nil || address.Name != "Team Ä" || address.Address != "no-reply@acme.example" {
		t.Errorf("From is %v, %v", address, err)
	}
}

func TestSendPutsPlainTextBeforeHTML(t *testing.T) {
	m := sendAndParse(t, from, newMessage())
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

func TestSendWithoutHTMLIsPlainText(t *testing.T) {
	m := newMessage()
	m.HTML, m.Text = "", "Grüße\n.\nQUIT\n"
	got := sendAndParse(t, from, m)
	text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil || got.Header.Get("Content-Type") != "text/plain; charset=UTF-8" || strings.ReplaceAll(string(text), "\r\n", "\n") != m.Text {
		t.Errorf("%s: %q, %v", got.Header.Get("Content-Type"), text, err)
	}
}

func TestSendPreventsHeaderInjection(t *testing.T) {
	for _, poison := range []string{"x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com", "x\r\n\r\n<script>", "x\u2028Bcc: e@example.com", "\"x\" <eve@example.com>, y", "ü\r\nBcc: eve@example.com", "x\x00y"} {
		m := newMessage()
		m.Title, m.App = poison, poison
		got := sendAndParse(t, from, m)
		if len(got.Header) != 9 || got.Header.Get("Bcc") != "" {
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
