// Package outbound connects to configured URLs: those of message providers and event receivers. It protects against server-side
// request forgery: a configured URL must not reach internal services. Each address is checked when it is dialled, after name
// resolution and for each connection, so DNS rebinding has no effect. Redirects are not followed, proxies of the environment are
// ignored, and the time and size of answers are bounded. With a configured Proxy the names are resolved and checked here too, and
// the proxy gets the address.
package outbound

import (
	"cmp"
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

// ErrRefused means that an address or a scheme is not allowed. The error that wraps it contains the reason.
var ErrRefused = errors.New("outbound: refused")

// ErrTooLarge is returned by reading an answer that is longer than the policy's MaxBody.
var ErrTooLarge = errors.New("outbound: answer is too large")

// A refusedError is an ErrRefused with a reason, which contains no data of the peer.
type refusedError struct{ reason string }

// Error returns the text of ErrRefused with the reason.
func (e *refusedError) Error() string { return ErrRefused.Error() + ": " + e.reason }

// Reason returns a text without the address, which may be shown to anybody (see watchword.Pinger).
func (e *refusedError) Reason() string { return "address is not public and not in allowed_networks" }

// Unwrap returns ErrRefused.
func (e *refusedError) Unwrap() error { return ErrRefused }

// A Policy defines which connections are allowed. The zero Policy allows https to public addresses.
type Policy struct {
	Development bool           // allows loopback addresses, and plain http to them
	Allowed     []netip.Prefix // networks that are allowed although they are not public
	Proxy       *Proxy         // for public addresses; allowed networks and loopback are reached without it; nil: none
	Timeout     time.Duration  // of a whole exchange, including reading the answer; zero: DefaultTimeout
	MaxBody     int64          // largest body of an answer in bytes, after decompression; zero: DefaultMaxBody
}

// Client returns a client that applies the policy. It does not follow redirects: it returns the 3xx answer without its Location.
// Errors of its transport and of reading answers are a Failure, an ErrRefused or an ErrTooLarge, and contain no data of the peer.
// http.Client adds the URL to them, which Reason removes. Make one client for each provider and keep it, because it holds the idle
// connections.
func (p Policy) Client() *http.Client {
	timeout, limit := p.Timeout, p.MaxBody
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if limit == 0 {
		limit = DefaultMaxBody
	}
	transport := &policyTransport{secure: newTransport(p.dialer().DialContext), timeout: timeout, limit: limit}
	if p.Development {
		transport.plain = newTransport(dialer{check: checkLoopback}.DialContext)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// DialContext connects to an address if the policy allows it, with the signature of net.Dialer.DialContext. It is for protocols
// other than HTTP. Its errors are those of Reason.
func (p Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.dialer().DialContext(ctx, network, address)
	return conn, Reason(err)
}

func (p Policy) dialer() dialer { return dialer{check: p.Check, proxy: p.Proxy, direct: p.isDirect} }

// A dialer calls check for each address before it connects.
type dialer struct {
	check  func(netip.Addr) error
	proxy  *Proxy                // nil: none
	direct func(netip.Addr) bool // whether an address is connected without the proxy; not used without one
}

// DialContext has the signature of net.Dialer.DialContext.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.proxy != nil {
		return d.dialByProxy(ctx, address)
	}
	// Check literals here, because the net package converts IPv4-mapped addresses to IPv4.
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

// dialByProxy resolves a name, and connects to the first of its addresses that is allowed and reachable: by the proxy if the address
// is public, else without it.
func (d dialer) dialByProxy(ctx context.Context, address string) (net.Conn, error) {
	targets, err := resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	var failure error
	for _, target := range targets {
		if err := d.check(target.Addr()); err != nil {
			failure = cmp.Or(failure, err)
			continue
		}
		dial := d.proxy.dial
		if d.direct(target.Addr()) {
			dial = dialer{check: d.check}.dialAddress
		}
		conn, err := dial(ctx, target)
		if err == nil {
			return conn, nil
		}
		failure = err
	}
	return nil, failure
}

func (d dialer) dialAddress(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	return d.DialContext(ctx, "tcp", target.String())
}

// resolve returns the addresses of a host and port.
func resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &refusedError{"not a host and port"}
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", text)
	if err != nil {
		return nil, &refusedError{"not a host and port"}
	}
	if ip, err := netip.ParseAddr(host); err == nil { // not converted: an IPv4-mapped address is refused
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	out := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		out[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return out, nil
}

// control is called after name resolution, before each connection.
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

func newTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
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

// A policyTransport selects the transport by scheme and limits time and size of answers. http.Client.Timeout would cost a goroutine
// for each request, because the client does not know this transport.
type policyTransport struct {
	secure, plain *http.Transport // plain is nil outside development
	timeout       time.Duration   // until the answer has been read
	limit         int64
}

// RoundTrip sends a request whose URL the policy allows, and bounds the body of the response.
func (t *policyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	var transport *http.Transport
	switch {
	case r.URL.Scheme == "https":
		transport = t.secure
	case r.URL.Scheme == "http" && t.plain != nil:
		transport = t.plain
	default:
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must close it, also on errors
		}
		return nil, &refusedError{fmt.Sprintf("scheme %q", r.URL.Scheme)}
	}
	r, cancel := t.withTimeout(r)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		cancel()
		return nil, reason(err, InvalidHTTPAnswer)
	}
	if answer.StatusCode >= 300 && answer.StatusCode <= 399 {
		answer.Header.Del("Location") // http.Client would parse it, and quote it in its error
	}
	answer.Body = &boundedBody{ReadCloser: answer.Body, left: t.limit, cancel: cancel}
	return answer, nil
}

// withTimeout returns the request with a context that ends after the timeout, unless its own ends before.
func (t *policyTransport) withTimeout(r *http.Request) (*http.Request, context.CancelFunc) {
	if until, ok := r.Context().Deadline(); ok && time.Until(until) <= t.timeout {
		return r, func() {}
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	return r.WithContext(ctx), cancel
}

// CloseIdleConnections is called by the method of http.Client with that name.
func (t *policyTransport) CloseIdleConnections() {
	t.secure.CloseIdleConnections()
	if t.plain != nil {
		t.plain.CloseIdleConnections()
	}
}

// A boundedBody fails with ErrTooLarge if the answer is longer than allowed, so that a part of an answer is never taken for a
// complete one.
type boundedBody struct {
	io.ReadCloser
	left   int64
	cancel context.CancelFunc // ends the exchange
}

// Close closes the body and ends the exchange.
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// Read fails once more bytes than the bound were read.
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
