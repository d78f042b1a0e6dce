package main

import (
	"context"
	"errors"
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
	working, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorkers()
	drained := r.work(working, h)
	web := server.HTTPServer(r.settings.listen, r.readiness(h.server))
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	r.announce(listener.Addr())
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = r.shutdown(web)
	}
	stopWorkers()
	drained()
	return err
}

// ready asks the stores once, so that a server that could not work, or that would lose budgets, does not start.
func (r *run) ready(ctx context.Context, h *house) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return h.storage.ready(ctx)
}

// work starts the workers; the function that it returns waits until they have sent what they could. What they could not
// send is recorded as failed, so the log says it and the exit status does not.
func (r *run) work(ctx context.Context, h *house) (drained func()) {
	var workers sync.WaitGroup
	for _, w := range h.workers {
		workers.Go(func() {
			if err := w.Run(ctx); err != nil {
				r.log.Error("not everything was sent", "error", err)
			}
		})
	}
	return workers.Wait
}

func (r *run) announce(addr net.Addr) {
	if r.settings.development {
		hints(r.stdout, r.settings.apps[0].publicURL)
	}
	r.log.Info("listening", "addr", addr.String())
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

// serveMetrics serves /metrics on its own listener, if one is asked for.
func (r *run) serveMetrics(m *metrics) (stop func(), err error) {
	if r.settings.metricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", r.settings.metricsListen)
	if err != nil {
		return nil, err
	}
	web := server.HTTPServer(r.settings.metricsListen, m.handler())
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
