package server

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Bounds of a connection. writeTimeout exceeds the longest time that a caller may wait for a challenge.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = (maxWaitSeconds + 15) * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// NewHTTPServer returns an http.Server for the handler, with bounded timeouts and header sizes. Its Shutdown cancels the
// contexts of active requests: requests that wait for a challenge return at once, and operations that have begun still
// complete. Set the ErrorLog of the returned server. Otherwise net/http writes its messages, which contain client
// addresses, to the standard logger.
func NewHTTPServer(addr string, handler http.Handler) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, BaseContext: func(net.Listener) context.Context { return ctx }}
	srv.RegisterOnShutdown(cancel)
	return srv
}
