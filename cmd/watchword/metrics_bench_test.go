package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// BenchmarkMetrics measures what counting costs for one request, one event and one try of a sender.
func BenchmarkMetrics(b *testing.B) {
	m := newMetrics()
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.ObserveRequest(b.Context(), "POST", "/v1/challenges", 201, time.Millisecond)
		}
	})
	b.Run("event", func(b *testing.B) {
		b.ReportAllocs()
		e := watchword.Event{Type: watchword.EventStarted, App: "shop"}
		for b.Loop() {
			m.countEvent(e)
		}
	})
	b.Run("try", func(b *testing.B) {
		b.ReportAllocs()
		observe := m.delivery.tryObserver("shop")
		try := delivery.Try{Sender: delivery.RouteSender{Channel: "sms", Provider: "twilio"}, Result: delivery.TryAccepted, Waited: time.Millisecond, Took: time.Second}
		for b.Loop() {
			observe(try)
		}
	})
}

// discardedSpans exports nothing.
type discardedSpans struct{}

func (discardedSpans) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discardedSpans) Shutdown(context.Context) error                             { return nil }

func newTestTracing(t testing.TB) *tracing {
	tr := newTracing(sdktrace.NewTracerProvider(sdktrace.WithBatcher(discardedSpans{})))
	t.Cleanup(func() { tr.stop(slog.New(slog.DiscardHandler)) })
	return tr
}

// BenchmarkStart measures a start over HTTP, with stores in memory and its message, without and with traces.
func BenchmarkStart(b *testing.B) {
	for _, traced := range []bool{false, true} {
		b.Run(fmt.Sprintf("traced=%t", traced), func(b *testing.B) {
			var c checker
			s := c.developmentSettings(fileConfig{DataDir: b.TempDir()})
			s.noLimits, s.apps[0].publicURL = true, "http://localhost:8080"
			p := &serverProcess{settings: s, log: slog.New(slog.DiscardHandler)}
			if traced {
				p.tracing = newTestTracing(b)
			}
			svc, problems := build(b.Context(), s, p.log, newMetrics(), p.tracing)
			if problems = append(c.problems, problems...); len(problems) > 0 {
				b.Fatal(problems)
			}
			p.service.Store(svc)
			p.tasks = newServiceTasks(p.log)
			p.tasks.start(svc)
			defer p.tasks.stop()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				req := httptest.NewRequest("POST", "http://localhost/v1/challenges", strings.NewReader(fmt.Sprintf(`{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "a%d@example.com"}`, n)))
				req.Header.Set("Authorization", "Bearer "+devKey)
				req.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				if p.ServeHTTP(w, req); w.Code != 201 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
