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

// useProductionLog is how a server in production logs: nothing of what goes well.
func useProductionLog(c *server.Config) {
	c.Logger = slog.New(slog.NewJSONHandler(&syncBuffer{}, nil))
	c.Clock = time.Now
}

// discardResponse is a ResponseWriter that costs next to nothing.
type discardResponse struct {
	header http.Header
	status int
}

func (n *discardResponse) Header() http.Header         { return n.header }
func (n *discardResponse) WriteHeader(status int)      { n.status = status }
func (n *discardResponse) Write(b []byte) (int, error) { return len(b), nil }

// serveBenchmark runs one request of a benchmark.
func (ts *testServer) serveBenchmark(target, body string) int {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+shopKey)
	r.Header.Set("Content-Type", "application/json")
	w := &discardResponse{header: http.Header{}}
	ts.server.ServeHTTP(w, r)
	return w.status
}

func BenchmarkStart(bm *testing.B) {
	ts := newTestServer(bm, serverOptions{configure: useProductionLog})
	bm.ReportAllocs()
	n := 0
	for bm.Loop() {
		n++
		if status := ts.serveBenchmark("/v1/challenges", fmt.Sprintf(`{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+1%d","subject":"u"}`, n)); status != http.StatusCreated {
			bm.Fatal(status)
		}
		if n%1000 == 0 {
			ts.clock.advance(time.Hour)
			ts.outbox.messages = nil
		}
	}
}

// BenchmarkWrongCheck and BenchmarkWrongCheckEngine differ by what HTTP costs.
func BenchmarkWrongCheck(bm *testing.B) {
	ts := newTestServer(bm, serverOptions{configure: useProductionLog})
	bm.ReportAllocs()
	target := "/v1/challenges/" + ts.startChallenge() + "/check"
	for bm.Loop() {
		if status := ts.serveBenchmark(target, `{"purpose":"sign_in","subject":"user_42","answer":"abc"}`); status < 400 {
			bm.Fatal(status)
		}
	}
}

func BenchmarkWrongCheckEngine(bm *testing.B) {
	ts := newTestServer(bm, serverOptions{configure: useProductionLog})
	bm.ReportAllocs()
	id := ts.startChallenge()
	for bm.Loop() {
		_, err := ts.engines["shop"].Check(bm.Context(), id, watchword.CheckRequest{Purpose: "sign_in", Subject: "user_42", Answer: watchword.Answer{Text: "abc"}})
		if err == nil {
			bm.Fatal("approved")
		}
	}
}

// BenchmarkOverhead is what the benchmark itself costs.
func BenchmarkOverhead(bm *testing.B) {
	ts := newTestServer(bm, serverOptions{configure: useProductionLog})
	bm.ReportAllocs()
	for bm.Loop() {
		ts.serveBenchmark("/healthz", `{"purpose":"sign_in","subject":"user_42","answer":"abc"}`)
	}
}
