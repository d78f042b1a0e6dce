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
	readyTime    = 5 * time.Second  // for the stores to answer at the start
	shutdownTime = 20 * time.Second // for requests to be answered at the end, before messages are drained
)

// A run is one life of the server.
type run struct {
	settings settings
	log      *slog.Logger
	telling  *slog.Logger // of what is said at every level: that the server is ready
	stdout   io.Writer
	ending   atomic.Bool // readiness is red from now on
}

// serve listens, builds the house, and answers until the context ends: then readiness turns red, requests that are being
// answered are finished, messages in flight are sent, and the stores are closed.
func (r *run) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", r.settings.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	r.settings.nameAfter(listener.Addr())
	counted := newMetrics()
	h, problems := build(ctx, r.settings, r.log, counted)
	if len(problems) > 0 {
		return configError{problems}
	}
	defer func() { r.closed("stores", h.storage.close()) }()
	if err := r.ready(ctx, h); err != nil {
		return err
	}
	stopMetrics, err := r.serveMetrics(counted)
	if err != nil {
		return err
	}
	defer stopMetrics()
	defer r.work(h)()
	web := r.httpServer(r.settings.listen, r.readiness(h.server))
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	relaxGC(r.settings.redis.Reveal() == memoryURL)
	r.announce(listener.Addr())
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = r.shutdown(web)
	}
	return err
}

// ready tries the stores once, so that a server that could not work, or that would lose budgets, does not start.
func (r *run) ready(ctx context.Context, h *house) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := h.storage.ready(ctx); err != nil {
		return err
	}
	for _, e := range h.engines {
		if err := e.Ping(ctx); err != nil {
			return fmt.Errorf("app %q: %w", e.App(), err)
		}
	}
	for _, warning := range h.storage.warn(ctx) {
		r.log.Warn("store settings leave something open", "warning", warning)
	}
	return nil
}

// work starts whatever works beside the requests. The function that it returns ends it: first what sends messages, then,
// since what became of messages are events, what counts and posts events.
func (r *run) work(h *house) (finish func()) {
	finishSending := r.background(h.workers, "not everything was sent")
	finishCounting := r.background(h.breakers, "not every message was counted")
	finishTelling := r.background(h.announcers, "not every event was told")
	return func() {
		finishSending()
		finishCounting()
		finishTelling()
	}
}

// background starts runners; the function that it returns tells them to end and waits until they have. What they leave
// undone is in the log and not in the exit status.
func (r *run) background(all []runner, complaint string) (finish func()) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, one := range all {
		running.Go(func() {
			if err := one.Run(ctx); err != nil {
				r.log.Error(complaint, "error", err)
			}
		})
	}
	return func() {
		stop()
		running.Wait()
	}
}

func (r *run) announce(addr net.Addr) {
	if r.settings.development {
		hints(r.stdout, r.settings.apps[0].publicURL)
	}
	r.telling.Info("listening", "addr", addr.String())
}

func (r *run) shutdown(web *http.Server) error {
	r.log.Info("shutting down")
	r.ending.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return web.Shutdown(ctx)
}

// readiness answers /readyz itself once the end has begun, so that no new requests are sent here.
func (r *run) readiness(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.ending.Load() && req.URL.Path == "/readyz" {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// httpServer is a server whose own messages go where the program's log goes.
func (r *run) httpServer(addr string, handler http.Handler) *http.Server {
	web := server.NewHTTPServer(addr, handler)
	web.ErrorLog = libraryLogger(r.log)
	return web
}

// serveMetrics serves /metrics on its own listener, if one is asked for.
func (r *run) serveMetrics(m *metrics) (stop func(), err error) {
	if r.settings.metricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", r.settings.metricsListen)
	if err != nil {
		return nil, err
	}
	web := r.httpServer(r.settings.metricsListen, m.handler())
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("metrics are not served any more", "error", err)
		}
	}()
	r.log.Info("metrics", "addr", listener.Addr().String())
	return func() { _ = web.Close() }, nil
}

func (r *run) closed(what string, err error) {
	if err != nil {
		r.log.Error("could not be closed", "what", what, "error", err)
	}
}
