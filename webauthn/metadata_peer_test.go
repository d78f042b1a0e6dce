package webauthn

import (
	"bufio"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/peertest"
)

// startRaw starts a server that replies to each request with the same bytes, and returns its URL.
func startRaw(t *testing.T, answer string) (url string) {
	t.Helper()
	return "http://" + peertest.Listen(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, answer)
		}
		_ = conn.Close()
	})
}

func TestRefreshErrorsHoldNothingOfTheReply(t *testing.T) {
	service := newManufacturer(t)
	_, cert := service.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "492039"}, DNSNames: []string{"492039.example"}}, nil)
	root, _ := signMetadata(t, service, 1)
	of := func(header string) string {
		return "HTTP/1.1 200 OK\r\n\r\n" + b64.EncodeToString([]byte(header)) + ".492039.492039"
	}
	for name, answer := range map[string]string{
		"status":              "HTTP/1.1 404 492039\r\nContent-Length: 0\r\n\r\n",
		"status line":         "492039\r\n\r\n",
		"header":              "HTTP/1.1 200 OK\r\n492039\r\n\r\n",
		"length":              "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n492039",
		"no JWS":              "HTTP/1.1 200 OK\r\n\r\n492039",
		"certificate":         of(`{"alg":"ES256","x5c":["NDkyMDM5"]}`),
		"another's signature": of(`{"alg":"492039","x5c":["` + base64.StdEncoding.EncodeToString(cert.Raw) + `"]}`),
	} {
		for _, root := range []string{root, ""} {
			err := NewMetadata(root).Refresh(t.Context(), http.DefaultClient, startRaw(t, answer))
			if err == nil || strings.Contains(err.Error(), "492039") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
