package server

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Bounds of a connection. writeTimeout begins with the request, so it exceeds the longest time that a caller may wait for a
// challenge.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = (maxWaitSeconds + 5) * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// NewHTTPServer returns an http.Server for the handler, with bounded timeouts, header sizes and number of open connections. If
// there are more than maxConnections, the server closes a connection that waits for its client: one of the app that has most, or
// of the clients that have not shown an API key if those have most. Requests that are being worked on are never broken off.
//
// Shutdown of the returned server cancels the contexts of active requests: requests that wait for a challenge return at once, and
// operations that have begun still complete. Set its ErrorLog. Otherwise net/http writes its messages, which contain client
// addresses, to the standard logger.
func NewHTTPServer(addr string, handler http.Handler, maxConnections int) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	open := newConnections(maxConnections)
	srv := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: open.add, ConnState: open.observe}
	srv.RegisterOnShutdown(cancel)
	return srv
}
