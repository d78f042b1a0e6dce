package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxConnectHeader is the largest header of a proxy's answer to CONNECT, in bytes.
const maxConnectHeader = 16 << 10

// A Proxy is an HTTP proxy for connections to public addresses (CONNECT, RFC 9110 §9.3.6). It cannot be printed, because it may
// hold a password. The proxy gets the address of the target, which was checked, and never its name, so that it cannot resolve the
// name to another address.
type Proxy struct {
	host          string
	address       string // host and port
	secure        bool   // TLS to the proxy
	authorization string // value of Proxy-Authorization; empty: none
}

// ParseProxy parses the URL of a proxy: http:// or https://, perhaps user and password, a host and a port. The error contains no
// part of the URL.
func ParseProxy(text string) (*Proxy, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("cannot be parsed as a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must be http://host:port or https://host:port")
	case u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("must be a host, perhaps with user, password and port, and nothing else")
	}
	p := &Proxy{host: u.Hostname(), secure: u.Scheme == "https"}
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[p.secure]
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return nil, errors.New("has a port that is not between 1 and 65535")
	}
	p.address = net.JoinHostPort(p.host, port)
	if u.User != nil {
		password, _ := u.User.Password()
		p.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p, nil
}

// Format prints the address of the proxy and no password, whatever the verb.
func (p *Proxy) Format(out fmt.State, _ rune) { _, _ = fmt.Fprint(out, "proxy "+p.address) }

// dial connects to an address through the proxy.
func (p *Proxy) dial(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, proxyFailure(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := p.connect(ctx, conn, target)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, proxyFailure(err)
	}
	return tunnel, nil
}

// connect asks the proxy for a tunnel.
func (p *Proxy) connect(ctx context.Context, conn net.Conn, target netip.AddrPort) (net.Conn, error) {
	if p.secure {
		secured := tls.Client(conn, &tls.Config{ServerName: p.host, MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target.String()}, Host: target.String(), Header: http.Header{}}
	if p.authorization != "" {
		request.Header.Set("Proxy-Authorization", p.authorization)
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	limited := &headerReader{Conn: conn, left: maxConnectHeader}
	reader := bufio.NewReader(limited)
	answer, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, reason(err, InvalidHTTPAnswer)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, Failure("answered " + strconv.Itoa(answer.StatusCode))
	}
	limited.left = -1
	return &tunnel{Conn: conn, reader: reader}, nil
}

// proxyFailure returns the kind of an error of the proxy.
func proxyFailure(err error) error {
	kind := Reason(err)
	if kind == Canceled || kind == TimedOut {
		return kind
	}
	return Failure("outgoing proxy: " + kind.Error())
}

// A headerReader bounds how much is read, until left is negative.
type headerReader struct {
	net.Conn
	left int
}

// Read fails with ErrTooLarge beyond the bound.
func (h *headerReader) Read(p []byte) (int, error) {
	switch {
	case h.left < 0:
		return h.Conn.Read(p)
	case h.left == 0:
		return 0, ErrTooLarge
	}
	n, err := h.Conn.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

// A tunnel is a connection through a proxy. The target may have sent data right after the proxy's answer.
type tunnel struct {
	net.Conn
	reader *bufio.Reader
}

// Read returns the buffered data first.
func (t *tunnel) Read(p []byte) (int, error) { return t.reader.Read(p) }
