package redistest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/peertest"
)

// StartHostile starts a server that answers every command with the same bytes, and returns its URL. A server that is not
// what it should be may send anything, what it was sent included.
func StartHostile(t testing.TB, reply string) (url string) {
	t.Helper()
	return "redis://" + peertest.Listen(t, func(conn net.Conn) { answerAll(conn, reply) })
}

// answerAll reads commands (arrays of RESP2), of which it knows HELLO alone: it refuses that as servers did that did not
// know it yet, so that a client goes on.
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
