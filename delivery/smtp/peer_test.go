package smtp_test

import (
	"errors"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/peertest"
)

// startScriptedServer starts a server that answers each command with the script's reply, or with 250. The key "" is the greeting.
// The reply "hang up" closes the connection.
func startScriptedServer(t *testing.T, script map[string]string) (address string) {
	t.Helper()
	return peertest.Listen(t, func(raw net.Conn) { serveScript(textproto.NewConn(raw), script) })
}

func serveScript(c *textproto.Conn, script map[string]string) {
	defer func() { _ = c.Close() }()
	greeting := script[""]
	if greeting == "" {
		greeting = "220 mail.test"
	}
	_ = c.PrintfLine("%s", greeting)
	for line, err := c.ReadLine(); err == nil; line, err = c.ReadLine() {
		verb, _, _ := strings.Cut(line, " ")
		switch reply := script[verb]; reply {
		case "":
			_ = c.PrintfLine("250 fine")
		case "hang up":
			return
		default:
			_ = c.PrintfLine("%s", reply)
		}
	}
}

// Errors contain the server's codes but no other data of the server, whichever reply it is in.
func TestSendErrorsContainNoServerText(t *testing.T) {
	const echo = "ada@example.com 492039"
	for name, tt := range map[string]struct {
		script map[string]string
		want   string // part of the error
	}{
		"greeting without a code": {map[string]string{"": echo}, "not valid SMTP"},
		"greeting refuses":        {map[string]string{"": "554 " + echo}, "connecting: the server replied 554"},
		"EHLO without a code":     {map[string]string{"EHLO": echo, "HELO": echo}, "not valid SMTP"},
		"EHLO refuses":            {map[string]string{"EHLO": "550 " + echo, "HELO": "550 " + echo}, "the server replied 550"},
		"MAIL without a code":     {map[string]string{"MAIL": echo}, "no valid reply"},
		"MAIL refuses":            {map[string]string{"MAIL": "550 5.7.1 " + echo}, "the server replied 550"},
		"RCPT without a code":     {map[string]string{"RCPT": echo}, "no valid reply"},
		"RCPT refuses":            {map[string]string{"RCPT": "550 " + echo}, "the server replied 550"},
		"RCPT fails temporarily":  {map[string]string{"EHLO": "250-mail.test\r\n250 ENHANCEDSTATUSCODES", "RCPT": "450 4.2.1 " + echo}, "the server replied 450 4.2.1"},
		"DATA without a code":     {map[string]string{"DATA": echo}, "no valid reply"},
		"hangs up":                {map[string]string{"RCPT": "hang up"}, "no valid reply"},
		"STARTTLS is not offered": {map[string]string{}, "does not offer STARTTLS"},
		"STARTTLS is no TLS":      {map[string]string{"EHLO": "250-mail.test\r\n250 STARTTLS", "STARTTLS": "220 go on\r\n" + echo}, "does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			url := "smtp://" + startScriptedServer(t, tt.script) + from
			if strings.HasPrefix(name, "STARTTLS") {
				url += "&starttls=required"
			}
			_, err := open(t, url).Send(t.Context(), newMessage())
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
			for ; err != nil; err = errors.Unwrap(err) {
				if strings.Contains(err.Error(), "ada") || strings.Contains(err.Error(), "492039") {
					t.Errorf("the error repeats the server: %v", err)
				}
			}
		})
	}
}
