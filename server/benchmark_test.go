package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// useProductionLog configures the log level of production, at which successful requests are not logged.
func useProductionLog(c *server.Config) {
	c.Logger = slog.New(slog.NewJSONHandler(&syncBuffer{}, nil))
	c.Clock = time.Now
}

// A discardResponse is a ResponseWriter that discards the body.
type discardResponse struct {
	header http.Header
	status int
}

func (r *discardResponse) Header() http.Header         { return r.header }
func (r *discardResponse) WriteHeader(status int)      { r.status = status }
func (r *discardResponse) Write(b []byte) (int, error) { return len(b), nil }

// serveBenchmark sends one request and returns the status.
func (ts *testServer) serveBenchmark(target, body string) int {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+shopKey)
	r.Header.Set("Content-Type", "application/json")
	w := &discardResponse{header: http.Header{}}
	ts.server.ServeHTTP(w, r)
	return w.status
}

func BenchmarkStart(b *testing.B) {
	ts := newTestServer(b, serverOptions{configure: useProductionLog})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if status := ts.serveBenchmark("/v1/challenges", fmt.Sprintf(`{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+1%d","subject":"u"}`, n)); status != http.StatusCreated {
			b.Fatal(status)
		}
		if n%1000 == 0 {
			ts.clock.advance(time.Hour)
			ts.outbox.messages = nil
		}
	}
}

// BenchmarkWrongCheck and BenchmarkWrongCheckEngine differ by the cost of HTTP.
func BenchmarkWrongCheck(b *testing.B) {
	ts := newTestServer(b, serverOptions{configure: useProductionLog})
	b.ReportAllocs()
	target := "/v1/challenges/" + ts.startChallenge() + "/check"
	for b.Loop() {
		if status := ts.serveBenchmark(target, `{"purpose":"sign_in","subject":"user_42","answer":"abc"}`); status < 400 {
			b.Fatal(status)
		}
	}
}

func BenchmarkWrongCheckEngine(b *testing.B) {
	ts := newTestServer(b, serverOptions{configure: useProductionLog})
	b.ReportAllocs()
	id := ts.startChallenge()
	for b.Loop() {
		_, err := ts.engines["shop"].Check(b.Context(), id, watchword.CheckRequest{Purpose: "sign_in", Subject: "user_42", Answer: watchword.Answer{Text: "abc"}})
		if err == nil {
			b.Fatal("approved")
		}
	}
}

// BenchmarkOverhead measures the cost of the benchmark itself.
func BenchmarkOverhead(b *testing.B) {
	ts := newTestServer(b, serverOptions{configure: useProductionLog})
	b.ReportAllocs()
	for b.Loop() {
		ts.serveBenchmark("/healthz", `{"purpose":"sign_in","subject":"user_42","answer":"abc"}`)
	}
}
