package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

const (
	storeTimeout    = 5 * time.Second  // for the stores to answer at start-up
	shutdownTimeout = 20 * time.Second // for open requests to be answered; background tasks end afterwards
	engineTimeout   = 3 * time.Second  // for what the engines do after their answers
)

// The number of connections that the server accepts by default, and the files that it keeps free for other purposes: Redis, the
// database, senders, event endpoints and logs.
const (
	defaultConnections = 4096
	metricsConnections = 64
	reservedFiles      = 256
	reservedAppFiles   = 128 // for each app
)

// connectionLimit returns how many connections the server accepts. It is lower than configured if the process may not open so many
// files; half of them may be connections.
func (s *settings) connectionLimit() int {
	limit := cmp.Or(s.maxConnections, defaultConnections)
	files, known := maxOpenFiles()
	if !known || files > math.MaxInt32 {
		return limit
	}
	return min(limit, max(int(files)-reservedFiles-reservedAppFiles*len(s.apps), int(files)/2))
}

// A serverProcess is one run of `watchword serve`.
type serverProcess struct {
	settings     settings
	readSettings func() (settings, error) // reads them again
	hangups      <-chan os.Signal         // each reloads the configuration
	log          *slog.Logger
	startupLog   *slog.Logger // logs each time that the server listens or has reloaded, whatever the log level is
	stdout       io.Writer

	address      net.Addr // of the listener
	metrics      *metrics
	tracing      *tracing // nil: nothing is traced
	service      atomic.Pointer[service]
	tasks        *serviceTasks
	shuttingDown atomic.Bool // makes /readyz fail
}

// serve builds the service, checks its stores and serves until ctx ends. Then it shuts down in this order: /readyz fails and
// shutdown_delay passes, open requests are answered, background tasks end, the stores are closed.
func (p *serverProcess) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", p.settings.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	p.address, p.metrics = listener.Addr(), newMetrics()
	p.settings.setDevPublicURL(p.address)

	if p.settings.otlpEndpoint != "" {
		if p.tracing, err = startTracing(ctx, p.settings.otlpEndpoint, p.log); err != nil {
			return err
		}
		defer p.tracing.stop(p.log)
	}
	svc, problems := build(ctx, p.settings, p.log, p.metrics, p.tracing)
	if len(problems) > 0 {
		return configError{problems}
	}
	p.service.Store(svc)
	defer func() { p.logCloseError(p.service.Load().storage.close()) }() // those of apps that a reload adds too
	if err := p.checkStores(ctx, svc); err != nil {
		return err
	}
	p.metrics.registry.MustRegister(newDeliveryCollector(func() map[string]*appTasks { return p.service.Load().apps }),
		newReadinessCollector(svc.storage.factors != nil, func() []*watchword.Engine { return p.service.Load().engines }))
	p.metrics.observeEvents(p.service.Load)
	stopMetrics, err := p.serveMetrics()
	if err != nil {
		return err
	}
	defer stopMetrics()
	for _, sender := range svc.senders {
		p.log.Info("sender configured", "app", sender.app, "sender", sender.path, "settings", sender.settings)
	}
	p.tasks = newServiceTasks(p.log)
	p.tasks.start(svc)
	defer p.tasks.stop()
	return p.serveHTTP(ctx, listener)
}

// checkStores fails if a store cannot be used or would lose counters, so that such a server does not start.
func (p *serverProcess) checkStores(ctx context.Context, svc *service) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := svc.storage.checkReady(ctx); err != nil {
		return err
	}
	for i, err := range pingEngines(ctx, svc.engines) {
		app := svc.engines[i].App()
		if err != nil && faultsOtherThan(err, partSending) {
			return fmt.Errorf("app %q: %w", app, err)
		}
		if err != nil { // messages wait until a sender works again
			p.log.Error("senders do not work", "app", app, "error", err)
		}
	}
	for _, warning := range svc.storage.warnings(ctx) {
		p.log.Warn("unsafe store settings", "warning", warning)
	}
	return nil
}

// pingsAtOnce is how many apps are tested at the same time. One after another, a thousand would exceed storeTimeout.
const pingsAtOnce = 16

// pingEngines tests whether every app can be served, and returns an error or nil for each.
func pingEngines(ctx context.Context, engines []*watchword.Engine) []error {
	failed := make([]error, len(engines))
	slots := make(chan struct{}, pingsAtOnce)
	var all sync.WaitGroup
	for i, e := range engines {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			failed[i] = e.Ping(ctx)
		})
	}
	all.Wait()
	return failed
}

// serveHTTP serves the API and the pages until ctx ends, and then shuts the HTTP server down. Meanwhile each hang-up reloads the
// configuration.
func (p *serverProcess) serveHTTP(ctx context.Context, listener net.Listener) error {
	limit := p.settings.connectionLimit()
	if limit < p.settings.maxConnections {
		p.log.Warn("fewer connections than configured, because of the limit of open files", "max_connections", limit)
	}
	web := p.newHTTPServer(p.settings.listen, p, limit)
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	tuneGC(ctx, p.log)
	p.reportListening(listener.Addr())
	for {
		select {
		case err := <-failed:
			return err
		case <-p.hangups:
			p.reload(ctx)
		case <-ctx.Done():
			p.shutdown(web)
			return nil
		}
	}
}

func (p *serverProcess) reportListening(addr net.Addr) {
	if p.settings.development {
		printDevelopmentHelp(p.stdout, p.settings.apps[0].publicURL)
	}
	p.startupLog.Info("listening", "addr", addr.String())
}

// shutdown goes on serving for shutdown_delay while /readyz fails, so that load balancers send no new requests. Then it takes no new
// connections and waits until open requests are answered, at most shutdownTimeout.
func (p *serverProcess) shutdown(web *http.Server) {
	p.log.Info("shutting down", "delay", p.settings.shutdownDelay.String())
	p.shuttingDown.Store(true)
	time.Sleep(p.settings.shutdownDelay)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		p.log.Warn("connections broken off at shutdown", "error", err)
		_ = web.Close()
	}
	ctx, cancel = context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	for _, e := range p.service.Load().engines {
		if e.AwaitBackground(ctx) != nil {
			p.log.Warn("background work of an app not finished at shutdown", "app", e.App())
		}
	}
}

// ServeHTTP passes a request on to the current service. Once shutdown has begun, /readyz is 503, and clients are asked to close their
// connections, so that no request comes on one that the server closes.
func (p *serverProcess) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if p.shuttingDown.Load() {
		w.Header().Set("Connection", "close")
		if req.URL.Path == readinessPath {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
	}
	handler := p.service.Load().handler
	if p.tracing != nil {
		p.tracing.serveHTTP(handler, w, req)
		return
	}
	handler.ServeHTTP(w, req)
}

// newHTTPServer makes an HTTP server that logs to the program's log.
func (p *serverProcess) newHTTPServer(addr string, handler http.Handler, maxConnections int) *http.Server {
	web := server.NewHTTPServer(addr, handler, maxConnections)
	web.ErrorLog = libraryLogger(p.log)
	return web
}

// serveMetrics serves /metrics on a listener of its own, if one is configured.
func (p *serverProcess) serveMetrics() (stop func(), err error) {
	if p.settings.metricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", p.settings.metricsListen)
	if err != nil {
		return nil, err
	}
	web := p.newHTTPServer(p.settings.metricsListen, p.metrics.handler(), metricsConnections)
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("metrics server failed", "error", err)
		}
	}()
	p.log.Info("metrics served", "addr", listener.Addr().String())
	return func() { _ = web.Close() }, nil
}

func (p *serverProcess) logCloseError(err error) {
	if err != nil {
		p.log.Error("stores not closed", "error", err)
	}
}
