package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// startMeasuredNode starts a development server on a Redis, and returns the address of its metrics.
func startMeasuredNode(t *testing.T, redisURL string) (n *node, metrics string) {
	t.Helper()
	n = startNode(t, t.TempDir(), redisURL, "--metrics-listen", "127.0.0.1:0")
	return n, n.loggedAddr("metrics served")
}

func TestMetricsAndLogNameTheLimitThatRefused(t *testing.T) {
	t.Parallel()
	n, metrics := startMeasuredNode(t, memoryURL)
	n.startRefusedChallenges()
	if text := fetchMetrics(t, metrics); !strings.Contains(text, `watchword_limits_reached_total{app="dev",limit="address_10m"} 1`) {
		t.Error("no metric names the limit")
	}
	n.stop()
	for _, record := range logRecords(t, n.log.String()) {
		if record["msg"] == "request" && record["limit"] == "address_10m" && record["status"] == 429.0 {
			return
		}
	}
	t.Errorf("no request in the log names the limit:\n%s", n.log)
}

// Whatever clients ask for that is not served, there is one series for each of 404 and 405.
func TestUnknownPathsAndMethodsMakeOneSeriesEach(t *testing.T) {
	t.Parallel()
	n, metrics := startMeasuredNode(t, memoryURL)
	n.call("GET", "/first", nil)
	n.call("PUT", "/v1/challenges", nil)
	before := strings.Count(fetchMetrics(t, metrics), "\n")
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "BREW"} {
		for _, path := range []string{"/x", "/v1/y", "/healthz", "/v1/challenges", "/c/ch_1/open", "/v1/receipts/redeem"} {
			if r := n.call(method, path, nil); r.status != http.StatusNotFound && r.status != http.StatusMethodNotAllowed {
				t.Logf("%s %s: %d", method, path, r.status) // a series of its own
			}
		}
	}
	text := fetchMetrics(t, metrics)
	for _, line := range []string{`watchword_requests_total{method="",route="",status="404"}`, `watchword_requests_total{method="",route="",status="405"}`} {
		if strings.Count(text, line) != 1 {
			t.Errorf("no %s", line)
		}
	}
	if more := strings.Count(text, "\n") - before; more > 6 {
		t.Errorf("%d more lines", more)
	}
}

func TestStoreUpFollowsRedisAndBuildInfoIsThere(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	_, metrics := startMeasuredNode(t, redis.URL())
	up := func() string {
		var values []string
		for line := range strings.Lines(fetchMetrics(t, metrics)) {
			if strings.HasPrefix(line, "watchword_store_up") {
				values = append(values, strings.TrimSpace(strings.TrimPrefix(line, "watchword_store_up")))
			}
		}
		return strings.Join(values, " ")
	}
	waitFor(t, `{store="challenges"} 1 {store="factors"} 1 {store="limits"} 1`, up)
	if text := fetchMetrics(t, metrics); !strings.Contains(text, `watchword_build_info{goversion="go1.`) {
		t.Error("no watchword_build_info")
	}
	if err := redis.Pause(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, `{store="challenges"} 0 {store="factors"} 1 {store="limits"} 0`, up)
	if err := redis.Resume(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, `{store="challenges"} 1 {store="factors"} 1 {store="limits"} 1`, up)
}

// The metrics show a sender that nothing answers for: it fails by its own fault, its breaker opens, and its messages wait.
func TestMetricsShowDeadSender(t *testing.T) {
	t.Parallel()
	n := serveInProcess(t, func(s *settings) {
		s.redis, s.metricsListen = watchword.NewCode(memoryURL), "127.0.0.1:0"
		s.apps[0].send["sms"] = []senderSettings{{"send.sms[0]", watchword.NewCode("webhook+http://" + freeport.Address(t) + "/?secret=" + firstSecret)}}
	})
	metrics := n.loggedAddr("metrics served")
	for i := range 3 {
		n.start(func(o object) { o["channel"], o["to"] = "sms", fmt.Sprintf("+1415555012%d", i) })
	}
	for _, want := range []string{
		`watchword_sending_up{app="dev"} 0`,
		`watchword_sender_breaker_closed{app="dev",channel="sms",provider="webhook",sender="0"} 0`,
		`watchword_sender_breaker_closed{app="dev",channel="email",provider="inbox",sender="0"} 1`,
		`watchword_queue_messages{app="dev",state="later"} 3`,
		`watchword_queue_messages{app="dev",state="due"} 0`,
		`watchword_sender_tries_total{app="dev",channel="sms",provider="webhook",result="accepted",sender="0"} 0`,
	} {
		waitFor(t, want, func() string {
			if strings.Contains(fetchMetrics(t, metrics), want+"\n") {
				return want
			}
			return "no such line"
		})
	}
	failed := `watchword_sender_tries_total{app="dev",channel="sms",provider="webhook",result="provider",sender="0"} `
	if text := fetchMetrics(t, metrics); !strings.Contains(text, failed) || strings.Contains(text, failed+"0\n") {
		t.Error("no failure by the provider's fault is counted")
	}
}

// Ratios of approvals leave out the challenges of verifications, which are started and never approved. The series of which they are
// made exist from the start.
func TestMetricsCountPartsOfVerificationsApart(t *testing.T) {
	m := newMetrics()
	m.addApp("shop", nil)
	scrape := func() (series []string) {
		w := httptest.NewRecorder()
		m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for line := range strings.Lines(w.Body.String()) {
			if value, ok := strings.CutPrefix(line, "watchword_events_total"); ok {
				series = append(series, strings.TrimSpace(value))
			}
		}
		return series
	}
	before := scrape()
	for _, e := range []watchword.Event{
		{Type: watchword.EventStarted, ChallengeID: "ch_1"}, {Type: watchword.EventVerificationStarted, Verification: "vf_1"},
		{Type: watchword.EventStarted, ChallengeID: "ch_2", Verification: "vf_1"}, {Type: watchword.EventStarted, ChallengeID: "ch_3", Verification: "vf_1"},
		{Type: watchword.EventVerificationApproved, ChallengeID: "ch_2", Verification: "vf_1"},
	} {
		e.App = "shop"
		m.countEvent(e)
	}
	want := []string{
		`{app="shop",event="challenge.approved",part="false"} 0`, `{app="shop",event="challenge.started",part="false"} 1`, `{app="shop",event="challenge.started",part="true"} 2`,
		`{app="shop",event="verification.approved",part="false"} 1`, `{app="shop",event="verification.started",part="false"} 1`,
	}
	if got := scrape(); !slices.Equal(got, want) || len(before) != len(want) {
		t.Errorf("series %q, want %q; %d before the first event", got, want, len(before))
	}
}
