package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

const (
	exportTimeout       = 10 * time.Second // of one request to the collector
	traceShutdownLimit  = 3 * time.Second  // for the last spans to be exported
	otlpTracesPath      = "v1/traces"      // OTLP 1.x, section OTLP/HTTP request
	maxTracedChallenges = 4096             // whose requests messages are connected to
)

// tracing makes OpenTelemetry spans of requests, messages and delivery reports, and exports them by OTLP over HTTP. A span has ids,
// configured names and fixed words: no address, subject, code, token or key, and no text of an error.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	requests spanContexts // that asked for messages, by challenge
}

// startTracing returns a tracing that exports to a collector. The endpoint is its base URL. Failures are logged by their kind; spans
// that cannot be exported are dropped. The standard variables OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
// OTEL_TRACES_SAMPLER_ARG, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES apply.
func startTracing(ctx context.Context, endpoint string, log *slog.Logger) (*tracing, error) {
	base, err := url.Parse(endpoint)
	if err != nil {
		return nil, errOTLPEndpoint
	}
	client := &http.Client{Timeout: exportTimeout, Transport: &http.Transport{}, // no proxy of the environment
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base.JoinPath(otlpTracesPath).String()), otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("otlp_endpoint: %w", outbound.Reason(err))
	}
	version, _ := buildVersion()
	attributes, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "watchword"), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", outbound.Reason(err))
	}
	// The error handler of OpenTelemetry is one for the whole process.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces not exported", "error", outbound.Reason(err)) }))
	return newTracing(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(attributes))), nil
}

var errOTLPEndpoint = errors.New("must be the base URL of a collector, such as http://127.0.0.1:4318: http or https, a host, and no user, query or fragment")

// checkOTLPEndpoint checks the base URL of a collector. The error contains no part of it.
func checkOTLPEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errOTLPEndpoint
	}
	return nil
}

func newTracing(provider *sdktrace.TracerProvider) *tracing {
	return &tracing{provider: provider, tracer: provider.Tracer("github.com/watchword-auth/watchword"),
		requests: spanContexts{of: map[string]trace.SpanContext{}}}
}

// stop exports the last spans.
func (t *tracing) stop(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), traceShutdownLimit)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		log.Warn("traces not exported", "error", outbound.Reason(err))
	}
}

// serveHTTP serves a request in a span of its own. Only requests of the API continue the caller's trace, because anybody can send
// requests to the pages. Checks of health and readiness have no spans.
func (t *tracing) serveHTTP(next http.Handler, w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == healthPath || req.URL.Path == readinessPath {
		next.ServeHTTP(w, req)
		return
	}
	ctx := req.Context()
	if strings.HasPrefix(req.URL.Path, "/v1/") {
		ctx = withCallersSpan(ctx, req.Header)
	}
	ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	defer func() { span.End() }() // called directly by defer, End would export the text of a panic
	next.ServeHTTP(w, req.WithContext(ctx))
}

// withCallersSpan adds the span that the header traceparent names (W3C Trace Context, section 3.2). The tracestate is left out,
// because it is a text of the caller's.
func withCallersSpan(ctx context.Context, header http.Header) context.Context {
	parsed := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(header)))
	if !parsed.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, parsed.WithTraceState(trace.TraceState{}))
}

// nameRequest describes the span of a request, as metrics label it.
func (t *tracing) nameRequest(ctx context.Context, method, route string, status int) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if route != "" {
		span.SetName(method + " " + route)
	}
	span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}

// addEvent adds an event of an engine to the span in which it happened.
func (t *tracing) addEvent(ctx context.Context, e watchword.Event) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent(e.Type, trace.WithAttributes(nonEmpty(attribute.String("watchword.app", e.App), attribute.String("watchword.challenge", e.ChallengeID),
		attribute.String("watchword.strategy", e.Strategy), attribute.String("watchword.purpose", e.Purpose), attribute.String("watchword.channel", e.Channel),
		attribute.String("watchword.provider", e.Provider), attribute.String("watchword.limit", e.Limit))...))
}

func nonEmpty(all ...attribute.KeyValue) (some []attribute.KeyValue) {
	for _, one := range all {
		if one.Value.AsString() != "" {
			some = append(some, one)
		}
	}
	return some
}
