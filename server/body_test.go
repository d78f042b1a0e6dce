package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A connection is closed after a body that is too long. The server does not read the rest of the body to keep the connection, which
// costs more than the request.
func TestConnectionIsClosedAfterTooLongBody(t *testing.T) {
	addr := listenWithLimit(t, newTestServer(t, serverOptions{}), 100)
	for _, length := range []int{64 << 10, 64<<10 + 1} {
		c := dialRaw(t, addr)
		c.write(fmt.Sprintf("POST /v1/challenges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", shopKey, length, strings.Repeat(" ", length)))
		if got := c.status(); got != http.StatusBadRequest {
			t.Fatalf("%d bytes: %d", length, got)
		}
		if tooLong := length > 64<<10; tooLong != (c.get("/healthz", "") == 0) {
			t.Errorf("%d bytes: closed %t", length, !tooLong)
		}
	}
}
