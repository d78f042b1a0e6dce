package redistest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/peertest"
)

// StartHostile starts a server that replies to every command with the same bytes, and returns its URL. Use it to test that
// texts of a server do not reach logs or errors.
func StartHostile(t testing.TB, reply string) (url string) {
	t.Helper()
	return "redis://" + peertest.Listen(t, func(conn net.Conn) { answerAll(conn, reply) })
}

// answerAll reads commands (arrays of RESP2) and replies to all but HELLO with reply. It refuses HELLO like an old server, so
// that the client continues.
func answerAll(conn net.Conn, reply string) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "*") || !lines.Scan() || !lines.Scan() { // the name is the third line
			continue
		}
		answer := reply
		if strings.EqualFold(lines.Text(), "hello") {
			answer = "-ERR unknown command\r\n"
		}
		_, _ = io.WriteString(conn, answer)
	}
}
