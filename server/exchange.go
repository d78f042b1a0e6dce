package server

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// An exchange is one request and its answer on the way through the server. It is the ResponseWriter that handlers get,
// so that the door knows in the end what was answered.
type exchange struct {
	http.ResponseWriter
	server  *Server
	request *http.Request
	began   time.Time
	arrived time.Time // by the real clock; for pages
	id      string    // of the request, in the answer and the log

	app    *app // whose key it was; nil: nobody's
	status int  // 0: nothing was answered yet
	code   string
	cause  error // of a problem; for the log
}

// WriteHeader remembers the status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write is a 200 where nothing else was said.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// publicURL is that of the app that asks; of the first one if that is not known.
func (x *exchange) publicURL() string {
	if x.app != nil {
		return x.app.publicURL
	}
	return x.server.apps[0].publicURL
}

// send answers.
func (x *exchange) send(status int, contentType string, body []byte) {
	if len(body) == 0 {
		x.WriteHeader(status)
		return
	}
	x.Header().Set("Content-Type", contentType)
	x.WriteHeader(status)
	_, _ = x.Write(body) // whoever has hung up cannot be told so
}

// An answer is a status and one JSON document, or none.
type answer struct {
	status int
	body   []byte
}

// answer sends a document as what its status says it is.
func (x *exchange) answer(a answer) {
	contentType := typeJSON
	if a.status >= http.StatusBadRequest {
		contentType = typeProblem
	}
	x.send(a.status, contentType, a.body)
}

// open sets what every answer has.
func (x *exchange) open() {
	x.id = rand.Text()
	h := x.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Request-Id", x.id)
	if isPublic(x.request.URL.Path) {
		h.Set("Access-Control-Allow-Origin", "*")
	}
}

// end recovers a panic, writes the log's line and counts the request. An answer that was begun cannot be taken back: its
// connection is cut, so that nobody takes a half for the whole.
func (x *exchange) end() {
	failure := recover()
	cut := failure == http.ErrAbortHandler
	if failure != nil && !cut {
		x.server.log.Error("a handler panicked", "request", x.id, "panic", describe(failure), "stack", string(debug.Stack()))
		if cut = x.status != 0; !cut {
			x.fail(refuse(codeInternalError))
		}
	}
	x.account()
	if cut {
		panic(http.ErrAbortHandler)
	}
}

func (x *exchange) account() {
	if x.status == 0 { // nothing was said, which net/http takes for a 200
		x.status = http.StatusOK
	}
	took := x.server.clock().Sub(x.began)
	method, route := x.label()
	if x.server.metrics != nil {
		x.server.metrics.Request(method, route, x.status, took)
	}
	level := slog.LevelDebug
	switch {
	case route == readyPath: // what it says is logged when it changes
	case x.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case x.status == http.StatusUnauthorized, x.status == http.StatusForbidden, x.status == http.StatusTooManyRequests:
		level = slog.LevelInfo
	}
	ctx := x.request.Context()
	if !x.server.log.Enabled(ctx, level) {
		return
	}
	line := []slog.Attr{slog.String("request", x.id), slog.String("method", method), slog.String("route", route),
		slog.Int("status", x.status), slog.Int64("took_us", took.Microseconds())}
	if x.app != nil {
		line = append(line, slog.String("app", x.app.engine.App()))
	}
	if x.code != "" {
		line = append(line, slog.String("code", x.code))
	}
	if x.cause != nil && level == slog.LevelError {
		line = append(line, slog.String("cause", x.cause.Error()))
	}
	x.server.log.LogAttrs(ctx, level, "request", line...)
}

// label names method and route with words of the server's own, never with the caller's.
func (x *exchange) label() (method, route string) {
	method = "other"
	switch m := x.request.Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		method = m
	}
	route = x.request.Pattern
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path
	}
	if route == everywhere {
		route = ""
	}
	return method, route
}

// describe says what a panic was about. The runtime's own words hold no data; others may, so they give their type only.
func describe(failure any) string {
	if err, ok := failure.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", failure)
}
