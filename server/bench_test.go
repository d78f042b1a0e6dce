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

// quiet is how a server in production logs: nothing of what goes well.
func quiet(c *server.Config) {
	c.Logger = slog.New(slog.NewJSONHandler(&lockedBuffer{}, nil))
	c.Clock = time.Now
}

// nowhere is a ResponseWriter that costs next to nothing.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(status int)      { n.status = status }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }

// serve runs one request of a benchmark.
func (b *bench) serve(target, body string) int {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+shopKey)
	r.Header.Set("Content-Type", "application/json")
	w := &nowhere{header: http.Header{}}
	b.server.ServeHTTP(w, r)
	return w.status
}

func BenchmarkStart(bm *testing.B) {
	b := newBench(bm, options{configure: quiet})
	bm.ReportAllocs()
	n := 0
	for bm.Loop() {
		n++
		if status := b.serve("/v1/challenges", fmt.Sprintf(`{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+1%d","subject":"u"}`, n)); status != http.StatusCreated {
			bm.Fatal(status)
		}
		if n%1000 == 0 {
			b.clock.move(time.Hour)
			b.outbox.kept = nil
		}
	}
}

// BenchmarkWrongCheck and BenchmarkWrongCheckEngine differ by what HTTP costs.
func BenchmarkWrongCheck(bm *testing.B) {
	b := newBench(bm, options{configure: quiet})
	bm.ReportAllocs()
	target := "/v1/challenges/" + b.start() + "/check"
	for bm.Loop() {
		if status := b.serve(target, `{"purpose":"sign_in","subject":"user_42","answer":"abc"}`); status < 400 {
			bm.Fatal(status)
		}
	}
}

func BenchmarkWrongCheckEngine(bm *testing.B) {
	b := newBench(bm, options{configure: quiet})
	bm.ReportAllocs()
	id := b.start()
	for bm.Loop() {
		_, err := b.engines["shop"].Check(bm.Context(), id, watchword.CheckRequest{Purpose: "sign_in", Subject: "user_42", Answer: watchword.Answer{Text: "abc"}})
		if err == nil {
			bm.Fatal("approved")
		}
	}
}

// BenchmarkNothing is what the benchmark itself costs.
func BenchmarkNothing(bm *testing.B) {
	b := newBench(bm, options{configure: quiet})
	bm.ReportAllocs()
	for bm.Loop() {
		b.serve("/healthz", `{"purpose":"sign_in","subject":"user_42","answer":"abc"}`)
	}
}
