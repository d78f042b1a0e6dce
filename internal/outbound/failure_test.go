package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/peertest"
)

const secretBody = "code=492039&to=+14155550123"

// startBrokenServer starts a server that answers the first request of each connection with raw bytes. ECHO in them is replaced by
// data of the request.
func startBrokenServer(t *testing.T, answer string) (address string) {
	t.Helper()
	return peertest.Listen(t, func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			body, _ := io.ReadAll(request.Body)
			echo := request.Method + " " + request.URL.Path + " " + string(body)
			_, _ = io.WriteString(conn, strings.ReplaceAll(answer, "ECHO", echo))
		}
		_ = conn.Close()
	})
}

// After Reason has removed the URL, errors of the client contain no data of the peer, whatever it answers.
func TestClientErrorsContainNothingThatThePeerSent(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   error // nil: the answer is read
	}{
		"header without colon":      {"HTTP/1.1 200 OK\r\nECHO\r\n\r\n", InvalidHTTPAnswer},
		"header name":               {"HTTP/1.1 200 OK\r\nECHO: x\r\n\r\n", InvalidHTTPAnswer},
		"status line":               {"ECHO\r\n\r\n", InvalidHTTPAnswer},
		"status code":               {"HTTP/1.1 ECHO\r\n\r\n", InvalidHTTPAnswer},
		"HTTP version":              {"HTTP/ECHO 200 OK\r\n\r\n", InvalidHTTPAnswer},
		"Content-Length":            {"HTTP/1.1 200 OK\r\nContent-Length: ECHO\r\n\r\n", InvalidHTTPAnswer},
		"two Content-Lengths":       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: ECHO\r\n\r\n", InvalidHTTPAnswer},
		"Transfer-Encoding":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: ECHO\r\n\r\n", InvalidHTTPAnswer},
		"chunk":                     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nECHO\r\n", InvalidHTTPAnswer},
		"trailer":                   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nECHO\r\n\r\n", InvalidHTTPAnswer},
		"gzip":                      {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nECHO", InvalidHTTPAnswer},
		"Location that parses not":  {"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %zzECHO\r\n\r\n", nil},
		"Location with other bytes": {"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: http://[ECHO\r\n\r\n", nil},
		"half an answer":            {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nECHO", ConnectionClosed},
		"nothing":                   {"", ConnectionClosed},
		"interim answers":           {strings.Repeat("HTTP/1.1 103 ECHO\r\n\r\n", 9), ConnectionClosed},
		"long header":               {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("ECHO", 5000), InvalidHTTPAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			err := Reason(postSecret(t, Policy{Development: true}, "http://"+startBrokenServer(t, c.answer)+"/secret-path"))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			for _, secret := range []string{"492039", "4155550123", "secret-path"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s is in %q", secret, err)
				}
			}
		})
	}
}

// postSecret posts secretBody and reads the whole answer.
func postSecret(t *testing.T, policy Policy, url string) error {
	t.Helper()
	answer, err := policy.Client().Post(url, "text/plain", strings.NewReader(secretBody))
	if err != nil {
		return err
	}
	_, err = io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	return err
}

func TestReasonNamesTheKindOfAFailure(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	development := Policy{Development: true}
	for name, c := range map[string]struct {
		policy Policy
		url    string
		want   error
	}{
		"no listener":        {development, "http://" + closed.Addr().String(), ConnectionRefused},
		"no answer":          {Policy{Development: true, Timeout: 50 * time.Millisecond}, "http://" + silent.Addr().String(), TimedOut},
		"unknown authority":  {development, secure.URL, CertificateNotTrusted},
		"plain HTTP":         {development, "https" + strings.TrimPrefix(plain.URL, "http"), NotTLS},
		"not TLS":            {development, "https://" + startNonTLSServer(t), NotTLS},
		"no TLS any more":    {development, "https://" + startBrokenServer(t, ""), ConnectionClosed},
		"not allowed":        {Policy{}, "https://127.0.0.1", ErrRefused},
		"scheme not allowed": {Policy{}, "http://127.0.0.1", ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Reason(postSecret(t, c.policy, c.url)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// startNonTLSServer starts a server that does not use TLS.
func startNonTLSServer(t *testing.T) (address string) {
	t.Helper()
	return peertest.Listen(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220 mail.example 492039\r\n")
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	})
}

func TestReasonKeepsErrorsThatCallersCompare(t *testing.T) {
	wrap := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://example.com/secret-path", Err: fmt.Errorf("492039: %w", err)}
	}
	for _, c := range []struct{ err, want error }{
		{context.Canceled, context.Canceled},
		{context.DeadlineExceeded, context.DeadlineExceeded},
		{os.ErrDeadlineExceeded, context.DeadlineExceeded},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, ConnectionRefused},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, ConnectionClosed},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, Unreachable},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, TooManyFiles},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, HandshakeFailed},
		{errors.New("tls: server selected 492039"), HandshakeFailed},
		{&net.DNSError{Err: "492039", IsNotFound: true}, HostNotFound},
		{&net.DNSError{Err: "492039"}, NameNotResolved},
		{(Policy{}).Check(netip.MustParseAddr("10.0.0.1")), ErrRefused},
		{ErrTooLarge, ErrTooLarge},
		{CertificateNotTrusted, CertificateNotTrusted},
		{errors.New("492039"), ExchangeFailed},
	} {
		got := Reason(wrap(c.err))
		if !errors.Is(got, c.want) || strings.Contains(got.Error(), "492039") || strings.Contains(got.Error(), "secret-path") {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
		if again := Reason(got); again != got && again.Error() != got.Error() {
			t.Errorf("%v: the reason of a reason is %v", got, again)
		}
	}
	if err := Reason(nil); err != nil {
		t.Errorf("the reason of nothing is %v", err)
	}
}
