package postgres

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/peertest"
)

// startHostile starts a server that replies to everything with the same bytes, and returns its address.
func startHostile(t *testing.T, reply string) (address string) {
	t.Helper()
	return peertest.Listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = io.WriteString(conn, reply)
		_ = conn.Close()
	})
}

// errorResponse encodes an error reply (PostgreSQL, Frontend/Backend Protocol, Message Formats).
func errorResponse(state, text string) string {
	fields := "SFATAL\x00C" + state + "\x00M" + text + "\x00D" + text + "\x00\x00"
	return "E" + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(fields)))) + fields
}

func TestErrorsHoldNoTextOfTheServer(t *testing.T) {
	for name, c := range map[string]struct{ reply, want string }{
		"refusal":               {errorResponse("28P01", "492039"), "SQLSTATE 28P01"},
		"state that is none":    {errorResponse("492039", "492039"), "server replied with an error"},
		"no message":            {"492039 492039 492039", ""},
		"message of no form":    {"R\x00\x00\x00\x0a492039", ""},
		"unknown authenticator": {"R\x00\x00\x00\x0a\x00\x0492039", ""},
		"hangs up":              {"", "connection closed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), "postgres://ada:hunter2@"+startHostile(t, c.reply)+"/db?sslmode=disable")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "492039") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}
