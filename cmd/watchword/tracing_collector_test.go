package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A traceCollector is a collector that takes traces by OTLP over HTTP.
type traceCollector struct {
	*httptest.Server

	mu     sync.Mutex
	bodies bytes.Buffer // of all requests
	spans  []*traces.Span
}

func startTraceCollector(t *testing.T) *traceCollector {
	t.Helper()
	c := &traceCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v1/traces" || req.Method != http.MethodPost {
			t.Errorf("the collector got %s %s", req.Method, req.URL.Path)
		}
		if err := c.add(req); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// add reads the spans of a request.
func (c *traceCollector) add(req *http.Request) error {
	var body io.Reader = req.Body
	if req.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(req.Body)
		if err != nil {
			return err
		}
		body = unzipped
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var in collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &in); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies.Write(text)
	for _, r := range in.ResourceSpans {
		for _, s := range r.ScopeSpans {
			c.spans = append(c.spans, s.Spans...)
		}
	}
	return nil
}

// find returns the spans with a name whose attributes or events have a value, an empty one meaning any.
func (c *traceCollector) find(name, value string) (found []*traces.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name && (value == "" || strings.Contains(s.String(), `"`+value+`"`)) {
			found = append(found, s)
		}
	}
	return found
}

// one returns the only such span.
func (c *traceCollector) one(t *testing.T, name, value string) *traces.Span {
	t.Helper()
	found := c.find(name, value)
	if len(found) != 1 {
		t.Fatalf("%d spans %q with %q, want one; all: %v", len(found), name, value, c.names())
	}
	return found[0]
}

func (c *traceCollector) names() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
