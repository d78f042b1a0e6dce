package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/redistest"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

func TestTracesFollowMessageFromStartToReportWithoutSecrets(t *testing.T) {
	for _, store := range []string{"memory", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			c, receiver, redisURL := startTraceCollector(t), startReportingReceiver(t, firstSecret, httptest.NewServer), memoryURL
			if store == "redis" {
				redisURL = redistest.Start(t).URL()
			}
			n := serveInProcess(t, func(s *settings) {
				s.redis, s.otlpEndpoint = watchword.NewCode(redisURL), c.URL
				s.apps[0].send["sms"] = []senderSettings{receiver.settings(0)}
			})
			id, secrets := n.signInWithTrace(receiver)
			n.stop()
			start := c.one(t, "POST /v1/challenges", id)
			outbox, send := c.one(t, "outbox", id), c.one(t, "send", id)
			check := c.one(t, "POST /v1/challenges/{id}/check", watchword.EventApproved)
			for _, s := range []*traces.Span{start, outbox, send} {
				if got := hex.EncodeToString(s.TraceId); got != callersTrace {
					t.Errorf("%s has the trace %s, not the caller's", s.Name, got)
				}
			}
			if hex.EncodeToString(start.ParentSpanId) != callersSpan || !bytes.Equal(outbox.ParentSpanId, start.SpanId) || !bytes.Equal(send.ParentSpanId, start.SpanId) {
				t.Errorf("parents: start %x, outbox %x, send %x", start.ParentSpanId, outbox.ParentSpanId, send.ParentSpanId)
			}
			report := c.one(t, "report", id)
			if len(report.Links) != 1 || !bytes.Equal(report.Links[0].SpanId, start.SpanId) {
				t.Errorf("the report is linked to %v", report.Links)
			}
			for span, event := range map[*traces.Span]string{start: watchword.EventStarted, check: watchword.EventApproved, report: watchword.EventMessageDelivered} {
				if !slices.ContainsFunc(span.Events, func(e *traces.Span_Event) bool { return e.Name == event }) {
					t.Errorf("%s has no event %s: %v", span.Name, event, span.Events)
				}
			}
			for name, secret := range secrets {
				if secret == "" || bytes.Contains(c.bodies.Bytes(), []byte(secret)) {
					t.Errorf("a trace has the %s %q", name, secret)
				}
			}
			for _, s := range c.spans {
				if s.TraceState != "" || strings.Contains(s.Name, "readyz") {
					t.Errorf("%s has the tracestate %q", s.Name, s.TraceState)
				}
			}
		})
	}
}

// signInWithTrace signs in by SMS, with a start that continues a caller's trace, and returns the challenge's id and what no trace may
// have.
func (n *node) signInWithTrace(receiver *reportingReceiver) (id string, secrets map[string]string) {
	n.t.Helper()
	body := `{"strategy": "otp", "purpose": "sign_in", "channel": "sms", "to": "+14155550123", "subject": "user_42", "metadata": {"order": "order-number-17"}, "client": {"ip": "203.0.113.77"}}`
	req, err := http.NewRequest(http.MethodPost, n.url+"/v1/challenges", strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + devKey, "Content-Type": "application/json", "Traceparent": "00-" + callersTrace + "-" + callersSpan + "-01",
		"Tracestate": "callers=own-text", "User-Agent": "callers-agent", "Idempotency-Key": "callers-key-17"} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var started struct{ ID, Handle string }
	if err := json.NewDecoder(res.Body).Decode(&started); err != nil || res.StatusCode != http.StatusCreated {
		n.t.Fatalf("start: %d, %v", res.StatusCode, err)
	}
	message := receiver.waitFor(n.t, started.ID)
	waitFor(n.t, "sent webhook", func() string { return n.deliveryStatus(started.ID) })
	if status := receiver.post(n, message, signedReport{}); status >= 300 {
		n.t.Fatalf("report: %d", status)
	}
	n.check(started.ID, wrongCode(message.Code))
	r := n.check(started.ID, message.Code)
	if r.status != http.StatusOK {
		n.t.Fatal(r.text)
	}
	return started.ID, map[string]string{"code": message.Code, "wrong code": wrongCode(message.Code), "address": "14155550123", "subject": "user_42", "metadata": "order-number-17",
		"client": "203.0.113.77", "handle": started.Handle, "receipt": r.str("receipt"), "API key": "Bearer", "tracestate": "own-text", "user agent": "callers-agent",
		"Idempotency-Key": "callers-key-17", "sender's secret": strings.TrimPrefix(firstSecret, "whsec_"), "report URL": message.ReportURL}
}

// A composer is an engine that composes the same message each time.
type composer struct{ delivery.Engine }

func (composer) ComposeMessage(context.Context, watchword.Outgoing) (watchword.Message, error) {
	return watchword.Message{ChallengeID: "ch_1", Channel: "sms"}, nil
}

// refusedBy is a sender that fails by somebody's fault.
type refusedBy watchword.SendFault

func (f refusedBy) Send(context.Context, watchword.Message) (watchword.Sent, error) {
	return watchword.Sent{}, &watchword.SendError{Fault: watchword.SendFault(f), Provider: "p", Cause: errors.New("text of the provider")}
}

// A message that was asked for in another process begins a trace of its own, to which its send belongs.
func TestMessageOfAnotherProcessHasOneTrace(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tr := newTracing(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	m, err := tracedEngine{composer{}, tr, "shop"}.ComposeMessage(t.Context(), watchword.Outgoing{ChallengeID: "ch_1", Send: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tracedSender{refusedBy(watchword.FaultRecipient), tr, "shop"}.Send(t.Context(), m)
	spans := recorder.Ended()
	if err == nil || len(spans) != 2 || spans[0].SpanContext().TraceID() != spans[1].SpanContext().TraceID() || spans[0].Parent().IsValid() {
		t.Fatalf("%v, spans %v", err, spans)
	}
	if status := spans[1].Status(); status.Code != codes.Error || status.Description != "recipient" || len(spans[1].Events()) > 0 {
		t.Errorf("the send has the status %v and the events %v", status, spans[1].Events())
	}
}

// Requests that anybody can send continue no trace, and probes have no span.
func TestRequestsOfPagesContinueNoTrace(t *testing.T) {
	c := startTraceCollector(t)
	n := serveInProcess(t, func(s *settings) { s.otlpEndpoint = c.URL })
	req, err := http.NewRequest(http.MethodGet, n.url+"/problems", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	n.call("GET", "/readyz", nil)
	n.stop()
	if page := c.one(t, "GET /problems", ""); hex.EncodeToString(page.TraceId) == callersTrace || len(page.ParentSpanId) > 0 {
		t.Errorf("a page's request continues the trace %x", page.TraceId)
	}
	for _, name := range c.names() {
		if strings.Contains(name, "readyz") {
			t.Errorf("there is a span %s", name)
		}
	}
}

// A collector that does not answer neither fails requests nor delays them, and the log has no text of it.
func TestRequestsSucceedWhileCollectorIsDown(t *testing.T) {
	var hits sync.WaitGroup
	hits.Add(1)
	once := sync.OnceFunc(hits.Done)
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		once()
		http.Error(w, "text-of-the-collector", http.StatusForbidden)
	}))
	t.Cleanup(down.Close)
	n := serveInProcess(t, func(s *settings) { s.otlpEndpoint = down.URL })
	id := n.start().str("id")
	if r := n.check(id, n.waitForCode(id)); r.status != http.StatusOK {
		t.Error(r.text)
	}
	n.stop()
	hits.Wait()
	if log := n.log.String(); !strings.Contains(log, "traces not exported") || strings.Contains(log, "text-of-the-collector") {
		t.Errorf("the log has:\n%s", log)
	}
}

func TestOTLPEndpointIsABaseURL(t *testing.T) {
	for endpoint, ok := range map[string]bool{"http://127.0.0.1:4318": true, "https://otel.example.com": true, "https://otel.example.com/tenant": true,
		"127.0.0.1:4318": false, "grpc://127.0.0.1:4317": false, "http://": false, "https://user:password@otel.example.com": false,
		"https://otel.example.com/?key=1": false, "https://otel.example.com/#x": false, "http://[::1": false} {
		if err := checkOTLPEndpoint(endpoint); (err == nil) != ok {
			t.Errorf("%s: %v", endpoint, err)
		} else if err != nil && strings.Contains(err.Error(), "password") {
			t.Errorf("the error shows the URL: %v", err)
		}
	}
}

func TestSpanContextsAreBounded(t *testing.T) {
	tr := newTestTracing(t)
	ctx, span := tr.tracer.Start(t.Context(), "request")
	defer span.End()
	for n := range maxTracedChallenges + 10 {
		tr.requests.add(ctx, []watchword.Outgoing{{ChallengeID: fmt.Sprint(n)}, {ChallengeID: fmt.Sprint(n)}})
	}
	if len(tr.requests.of) != maxTracedChallenges || len(tr.requests.order) != maxTracedChallenges {
		t.Errorf("%d and %d remembered", len(tr.requests.of), len(tr.requests.order))
	}
	if tr.requests.find("5").IsValid() || !tr.requests.find(fmt.Sprint(maxTracedChallenges)).IsValid() {
		t.Error("the oldest ones are not those that are forgotten")
	}
}
