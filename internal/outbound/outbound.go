// Package outbound makes the connections that go to configured URLs: providers of messages and receivers of events.
// Whoever may configure a URL must not thereby reach what only this machine can reach, so every address is checked
// when it is dialled, after the name was resolved and on each new connection: a name that resolves to something else
// the second time gains nothing. There are no redirects and no proxy from the environment, and the time and size of
// an answer are bounded.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Defaults of a Policy's zero fields.
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxBody = 1 << 20
)

const (
	dialTimeout     = 5 * time.Second
	idleTimeout     = 90 * time.Second
	idlePerHost     = 64
	maxHeaderOctets = 64 << 10
)

// ErrRefused says that an address or a scheme is not allowed. The error around it says which and why.
var ErrRefused = errors.New("outbound: refused")

// ErrTooLarge is what reading an answer ends with when the answer is longer than the policy's MaxBody.
var ErrTooLarge = errors.New("outbound: answer is too large")

// A refusedError is an ErrRefused with its reason, which is made of what this process knows by itself.
type refusedError struct{ why string }

// Error is the text of ErrRefused with the reason.
func (r *refusedError) Error() string { return ErrRefused.Error() + ": " + r.why }

// Unwrap is ErrRefused.
func (r *refusedError) Unwrap() error { return ErrRefused }

// A Policy says what may be reached. The zero Policy allows https to public addresses.
type Policy struct {
	Development bool           // allows loopback addresses, and plain http to them
	Allowed     []netip.Prefix // networks that may be reached although they are not public
	Timeout     time.Duration  // of a whole exchange, reading the answer included; zero: DefaultTimeout
	MaxBody     int64          // octets of an answer's body, after decompression; zero: DefaultMaxBody
}

// Client returns a client that keeps to the policy. It follows no redirect: the 3xx answer itself is returned, without
// its Location. What its transport returns, and reading an answer, fails with a Failure, an ErrRefused or an ErrTooLarge,
// never with anything that the peer sent; http.Client puts the URL in front, which Reason takes away. Make one client for
// each provider and keep it, because it holds the idle connections.
func (p Policy) Client() *http.Client {
	timeout, limit := p.Timeout, p.MaxBody
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if limit == 0 {
		limit = DefaultMaxBody
	}
	guard := &policyTransport{secure: transport(dialer{p.Check}.DialContext), limit: limit}
	if p.Development {
		guard.plain = transport(dialer{checkLoopback}.DialContext)
	}
	return &http.Client{
		Transport:     guard,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// DialContext connects to an address that the policy allows; its form is that of net.Dialer. It is for protocols other
// than HTTP. Its errors are what Reason returns.
func (p Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dialer{p.Check}.DialContext(ctx, network, address)
	return conn, Reason(err)
}

// A dialer asks check about each address that it is about to connect to.
type dialer struct{ check func(netip.Addr) error }

// DialContext has the form of net.Dialer's.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	// The net package turns an IPv4-mapped literal into IPv4, so it is looked at before.
	if host, _, err := net.SplitHostPort(address); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil {
			if err := d.check(ip); err != nil {
				return nil, err
			}
		}
	}
	checked := net.Dialer{Timeout: dialTimeout, ControlContext: d.control}
	return checked.DialContext(ctx, network, address)
}

// control runs after the name was resolved, before each connection.
func (d dialer) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return &refusedError{"network " + network}
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusedError{"not an IP address and port"}
	}
	return d.check(target.Addr())
}

func transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderOctets,
	}
}

// A policyTransport chooses the transport by scheme and bounds the answer's body.
type policyTransport struct {
	secure, plain *http.Transport // plain is nil outside development
	limit         int64
}

func (g *policyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	var via *http.Transport
	switch {
	case r.URL.Scheme == "https":
		via = g.secure
	case r.URL.Scheme == "http" && g.plain != nil:
		via = g.plain
	default:
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes it, on errors too
		}
		return nil, &refusedError{fmt.Sprintf("scheme %q", r.URL.Scheme)}
	}
	answer, err := via.RoundTrip(r)
	if err != nil {
		return nil, reason(err, InvalidHTTPAnswer)
	}
	if answer.StatusCode >= 300 && answer.StatusCode <= 399 {
		answer.Header.Del("Location") // nobody goes there, but http.Client parses it and quotes it when it cannot
	}
	answer.Body = &boundedBody{ReadCloser: answer.Body, left: g.limit}
	return answer, nil
}

// CloseIdleConnections serves http.Client's method of that name.
func (g *policyTransport) CloseIdleConnections() {
	g.secure.CloseIdleConnections()
	if g.plain != nil {
		g.plain.CloseIdleConnections()
	}
}

// A boundedBody fails, rather than ends, where the answer is longer than allowed, so that nobody takes half an answer
// for a whole one.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case int64(n) > b.left:
		n, err = int(b.left), ErrTooLarge
	case err != nil && err != io.EOF:
		err = reason(err, InvalidHTTPAnswer)
	}
	b.left -= int64(n)
	return n, err
}
