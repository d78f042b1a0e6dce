package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/watchword-auth/watchword/delivery"
)

var _ delivery.Checker = (*sender)(nil)

// Check implements delivery.Checker: it connects to the receiver and verifies its certificate. It sends no request.
func (s *sender) Check(ctx context.Context) error { return s.checkTarget(ctx, s.env) }

// CheckEndpoints connects to each endpoint and verifies its certificate, as Send would. The errors are in the order of the
// endpoints; nil: the endpoint can be reached.
func (d *Dispatcher) CheckEndpoints(ctx context.Context) []error {
	endpoints := *d.endpoints.Load()
	results := make([]error, len(endpoints))
	var all sync.WaitGroup
	for i, e := range endpoints {
		all.Go(func() { results[i] = e.checkTarget(ctx, d.cfg.Environment) })
	}
	all.Wait()
	return results
}

// checkTarget connects to the URL's host.
func (s *settings) checkTarget(ctx context.Context, env delivery.Environment) error {
	target := s.target
	secure := target.Scheme == "https"
	port := "80"
	if secure {
		port = "443"
	}
	conn, err := env.DialContext(ctx, "tcp", net.JoinHostPort(target.Hostname(), cmp.Or(target.Port(), port)))
	if err != nil {
		return connectionError(err)
	}
	defer func() { _ = conn.Close() }()
	if !secure {
		return nil
	}
	if err := tls.Client(conn, &tls.Config{ServerName: target.Hostname(), MinVersion: tls.VersionTLS12}).HandshakeContext(ctx); err != nil {
		return connectionError(err)
	}
	return nil
}
