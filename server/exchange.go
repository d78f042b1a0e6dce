package server

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	contentTypeJSON    = "application/json"
	contentTypeProblem = "application/problem+json"
)

// An exchange is one request and its response. It is the ResponseWriter that handlers get, so that ServeHTTP can log and
// count the status.
type exchange struct {
	http.ResponseWriter
	server    *Server
	request   *http.Request
	startedAt time.Time
	arrivedAt time.Time // in real time, for delayRefusal
	requestID string    // in the response and the log

	app *app // nil if the request belongs to no app

	elementOrigin string // the listed origin of an app's page with an element that sent the request; empty: no such page
	embedded      bool   // an element sent the request

	status      int // 0 before the response
	problemCode string
	limit       string // that refused the request
	cause       error  // of a problem, for the log
}

// WriteHeader records the status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write records the status 200 if WriteHeader was not called.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap returns the ResponseWriter for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// publicURL returns the app's public URL, or that of the first app if the request belongs to none.
func (x *exchange) publicURL() string {
	if x.app != nil {
		return x.app.publicURL
	}
	return x.server.apps[0].publicURL
}

// writeBody sends a response.
func (x *exchange) writeBody(status int, contentType string, body []byte) {
	connectionOf(x.request).waitForClient()
	if len(body) == 0 {
		x.WriteHeader(status)
		return
	}
	x.Header().Set("Content-Type", contentType)
	x.WriteHeader(status)
	_, _ = x.Write(body) // a client that has disconnected cannot be notified
}

// A response is a status and one JSON document, or none.
type response struct {
	status int
	body   []byte
}

// writeResponse sends a JSON document, with the content type of problems for statuses from 400.
func (x *exchange) writeResponse(r response) {
	contentType := contentTypeJSON
	if r.status >= http.StatusBadRequest {
		contentType = contentTypeProblem
	}
	x.writeBody(r.status, contentType, r.body)
}

// setHeaders sets the headers that every response has.
func (x *exchange) setHeaders() {
	x.requestID = rand.Text()
	h := x.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Request-Id", x.requestID)
	if isPublicDocument(x.request.URL.Path) {
		h.Set("Access-Control-Allow-Origin", "*")
	}
}

// finish recovers a panic, and logs and counts the request. A response that has begun cannot be replaced: the connection is
// closed instead, so that the client detects that the response is incomplete.
func (x *exchange) finish() {
	reason := recover()
	abort := reason == http.ErrAbortHandler
	if reason != nil && !abort {
		x.server.log.Error("handler panicked", "request", x.requestID, "panic", describePanic(reason), "stack", string(debug.Stack()))
		if abort = x.status != 0; !abort {
			x.writeProblem(newError(codeInternalError))
		}
	}
	x.recordRequest()
	if abort {
		panic(http.ErrAbortHandler)
	}
}

func (x *exchange) recordRequest() {
	if x.status == 0 { // net/http sends a 200 if the handler wrote nothing
		x.status = http.StatusOK
	}
	took := x.server.clock().Sub(x.startedAt)
	method, route := x.metricLabels()
	if x.server.metrics != nil {
		x.server.metrics.ObserveRequest(x.request.Context(), method, route, x.status, took)
	}
	level := slog.LevelDebug
	switch {
	case route == readinessPath: // changes of readiness are logged by themselves
	case x.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case x.status == http.StatusUnauthorized, x.status == http.StatusForbidden, x.status == http.StatusTooManyRequests:
		level = slog.LevelInfo
	}
	ctx := x.request.Context()
	if !x.server.log.Enabled(ctx, level) {
		return
	}
	line := []slog.Attr{slog.String("request", x.requestID), slog.String("method", method), slog.String("route", route),
		slog.Int("status", x.status), slog.Int64("took_us", took.Microseconds())}
	if x.app != nil {
		line = append(line, slog.String("app", x.app.engine.App()))
	}
	if x.problemCode != "" {
		line = append(line, slog.String("code", x.problemCode))
	}
	if x.limit != "" {
		line = append(line, slog.String("limit", x.limit))
	}
	if x.cause != nil && level == slog.LevelError {
		line = append(line, slog.String("cause", x.cause.Error()))
	}
	x.server.log.LogAttrs(ctx, level, "request", line...)
}

// metricLabels returns method and route from a fixed set, so that callers cannot create labels. Requests that no operation serves
// have neither.
func (x *exchange) metricLabels() (method, route string) {
	route = routeOf(x.request.Pattern)
	if route == "" || route == catchAllPattern || x.problemCode == codeMethodNotAllowed {
		return "", ""
	}
	switch m := x.request.Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m, route
	}
	return "other", route
}

// describePanic returns the message of a runtime error, which holds no data, and only the type of any other value.
func describePanic(reason any) string {
	if err, ok := reason.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", reason)
}
