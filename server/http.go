package server

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Bounds of a connection. Answers may take as long as a caller may wait for a challenge, and a bit.
const (
	headerTime     = 5 * time.Second
	readTime       = 10 * time.Second
	writeTime      = (longestWait + 15) * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// HTTPServer returns an http.Server for the handler whose times and sizes are bounded. Its Shutdown ends the contexts of
// the requests that are being answered, so that nobody goes on waiting for a challenge; what was begun is finished all
// the same. Set its ErrorLog, or what net/http has to say goes to the standard logger, clients' addresses included.
func HTTPServer(addr string, handler http.Handler) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: maxHeaderBytes, BaseContext: func(net.Listener) context.Context { return ctx }}
	srv.RegisterOnShutdown(cancel)
	return srv
}
