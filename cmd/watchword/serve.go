package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword/server"
)

const (
	storeTimeout    = 5 * time.Second  // for the stores to answer at start-up
	shutdownTimeout = 20 * time.Second // for open requests to be answered; background tasks end afterwards
)

// A serverProcess is one run of `watchword serve`.
type serverProcess struct {
	settings     settings
	log          *slog.Logger
	startupLog   *slog.Logger // logs that the server listens, whatever the log level is
	stdout       io.Writer
	shuttingDown atomic.Bool // makes /readyz fail
}

// serve builds the service, checks its stores and serves until ctx ends. Then it shuts down in this order: /readyz fails, open
// requests are answered, background tasks end, the stores are closed.
func (p *serverProcess) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", p.settings.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	p.settings.setDevPublicURL(listener.Addr())

	metrics := newMetrics()
	svc, problems := build(ctx, p.settings, p.log, metrics)
	if len(problems) > 0 {
		return configError{problems}
	}
	defer func() { p.logCloseError(svc.storage.close()) }()
	if err := p.checkStores(ctx, svc); err != nil {
		return err
	}

	stopMetrics, err := p.serveMetrics(metrics)
	if err != nil {
		return err
	}
	defer stopMetrics()
	stopTasks := p.startBackgroundTasks(svc)
	defer stopTasks()
	return p.serveHTTP(ctx, listener, svc.handler)
}

// checkStores fails if a store cannot be used or would lose counters, so that such a server does not start.
func (p *serverProcess) checkStores(ctx context.Context, svc *service) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := svc.storage.checkReady(ctx); err != nil {
		return err
	}
	for _, e := range svc.engines {
		err := e.Ping(ctx)
		if err != nil && faultsOtherThan(err, partSending) {
			return fmt.Errorf("app %q: %w", e.App(), err)
		}
		if err != nil { // messages wait until a sender works again
			p.log.Error("senders do not work", "app", e.App(), "error", err)
		}
	}
	for _, warning := range svc.storage.warnings(ctx) {
		p.log.Warn("unsafe store settings", "warning", warning)
	}
	return nil
}

// startBackgroundTasks starts what works beside the requests. The returned function ends it and waits. Workers end first,
// because the outcome of a message is an event, which breakers count and publishers send.
func (p *serverProcess) startBackgroundTasks(svc *service) (stop func()) {
	stopWorkers := p.startTasks(svc.workers, "messages not sent at shutdown")
	stopBreakers := p.startTasks(svc.breakers, "messages not counted at shutdown")
	stopPublishers := p.startTasks(svc.eventPublishers, "events not delivered at shutdown")
	return func() {
		stopWorkers()
		stopBreakers()
		stopPublishers()
	}
}

// startTasks starts tasks. The returned function ends them and waits. An error of a task is logged with the failure as its
// message, and does not change the exit status.
func (p *serverProcess) startTasks(tasks []backgroundTask, failure string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, task := range tasks {
		running.Go(func() {
			if err := task.Run(ctx); err != nil {
				p.log.Error(failure, "error", err)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// serveHTTP serves the API and the pages until ctx ends, and then shuts the HTTP server down.
func (p *serverProcess) serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	web := p.newHTTPServer(p.settings.listen, p.failReadinessDuringShutdown(handler))
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	tuneGC(p.settings.redis.Reveal() == memoryURL)
	p.reportListening(listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return p.shutdown(web)
	}
}

func (p *serverProcess) reportListening(addr net.Addr) {
	if p.settings.development {
		printDevelopmentHelp(p.stdout, p.settings.apps[0].publicURL)
	}
	p.startupLog.Info("listening", "addr", addr.String())
}

// shutdown takes no new connections and waits until open requests are answered, at most shutdownTimeout.
func (p *serverProcess) shutdown(web *http.Server) error {
	p.log.Info("shutting down")
	p.shuttingDown.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return web.Shutdown(ctx)
}

// failReadinessDuringShutdown answers /readyz with 503 once shutdown has begun, so that load balancers send no new requests.
func (p *serverProcess) failReadinessDuringShutdown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if p.shuttingDown.Load() && req.URL.Path == readinessPath {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// newHTTPServer makes an HTTP server that logs to the program's log.
func (p *serverProcess) newHTTPServer(addr string, handler http.Handler) *http.Server {
	web := server.NewHTTPServer(addr, handler)
	web.ErrorLog = libraryLogger(p.log)
	return web
}

// serveMetrics serves /metrics on a listener of its own, if one is configured.
func (p *serverProcess) serveMetrics(m *metrics) (stop func(), err error) {
	if p.settings.metricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", p.settings.metricsListen)
	if err != nil {
		return nil, err
	}
	web := p.newHTTPServer(p.settings.metricsListen, m.handler())
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("metrics server failed", "error", err)
		}
	}()
	p.log.Info("metrics", "addr", listener.Addr().String())
	return func() { _ = web.Close() }, nil
}

func (p *serverProcess) logCloseError(err error) {
	if err != nil {
		p.log.Error("stores not closed", "error", err)
	}
}
