package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// spanContexts are the spans of the last requests for messages, by challenge, at most maxTracedChallenges. They are safe for
// concurrent use.
type spanContexts struct {
	mu    sync.Mutex
	of    map[string]trace.SpanContext
	order []string // the oldest first
}

// add remembers the span in which messages are queued, unless there is none.
func (s *spanContexts) add(ctx context.Context, out []watchword.Outgoing) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range out {
		if _, known := s.of[o.ChallengeID]; !known {
			s.order = append(s.order, o.ChallengeID)
		}
		s.of[o.ChallengeID] = span
		if len(s.order) > maxTracedChallenges {
			delete(s.of, s.order[0])
			s.order = s.order[1:]
		}
	}
}

// find returns the span of the last request for a message of a challenge; an invalid one if this process does not know it.
func (s *spanContexts) find(challenge string) trace.SpanContext {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[challenge]
}

// startSpan begins a span of a message. It belongs to the trace of the request for the message, if that came to this process.
func (t *tracing) startSpan(ctx context.Context, name string, kind trace.SpanKind, app, challenge string, more ...attribute.KeyValue) (context.Context, trace.Span) {
	if request := t.requests.find(challenge); request.IsValid() && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, request)
	}
	more = append(more, attribute.String("watchword.app", app), attribute.String("watchword.challenge", challenge))
	return t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(more...))
}

// endSpan ends a span with one of a few results.
func endSpan(span trace.Span, result string, failed bool) {
	span.SetAttributes(attribute.String("watchword.result", result))
	if failed {
		span.SetStatus(codes.Error, result)
	}
	span.End()
}

// A tracedEngine makes a span of each message that is taken from the outbox and composed.
type tracedEngine struct {
	delivery.Engine
	tracing *tracing
	app     string
}

// ComposeMessage implements delivery.Engine. A message that was asked for in another process begins a trace of its own, to which its
// send belongs.
func (e tracedEngine) ComposeMessage(ctx context.Context, o watchword.Outgoing) (watchword.Message, error) {
	ctx, span := e.tracing.startSpan(ctx, "outbox", trace.SpanKindConsumer, e.app, o.ChallengeID,
		attribute.String("watchword.kind", string(o.Kind)), attribute.Int("watchword.send", o.Send), attribute.Int("watchword.attempt", o.Attempt))
	if !e.tracing.requests.find(o.ChallengeID).IsValid() {
		e.tracing.requests.add(ctx, []watchword.Outgoing{o})
	}
	m, err := e.Engine.ComposeMessage(ctx, o)
	result := composeResult(err)
	endSpan(span, result, result == "failed")
	return m, err
}

// resultUnwanted is the result of a message whose challenge has ended, or was sent again.
const resultUnwanted = "unwanted"

// composeResult returns what became of a message that was taken from the outbox.
func composeResult(err error) string {
	var claimed *watchword.ClaimedError
	switch {
	case err == nil:
		return "composed"
	case errors.As(err, &claimed):
		return "claimed"
	case errors.Is(err, watchword.ErrExpired):
		return "expired"
	case errors.Is(err, watchword.ErrClosed), errors.Is(err, watchword.ErrNotFound):
		return resultUnwanted
	}
	return "failed"
}

// A tracedSender makes a span of each message that is sent, all senders of its channel and their retries included.
type tracedSender struct {
	watchword.Sender
	tracing *tracing
	app     string
}

// Send implements watchword.Sender.
func (s tracedSender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	ctx, span := s.tracing.startSpan(ctx, "send", trace.SpanKindClient, s.app, m.ChallengeID,
		attribute.String("watchword.message", m.ID), attribute.String("watchword.channel", m.Channel))
	sent, err := s.Sender.Send(ctx, m)
	if err != nil {
		result := failureResult(err)
		endSpan(span, result, result != resultUnwanted)
		return sent, err
	}
	span.SetAttributes(attribute.String("watchword.provider", sent.Provider), attribute.String("watchword.sender", sent.Sender))
	endSpan(span, "accepted", false)
	return sent, nil
}

// failureResult returns whose fault a failure was, or that the challenge has ended while a sender was called.
func failureResult(err error) string {
	var failed *watchword.SendError
	switch {
	case errors.As(err, &failed):
		return failed.Fault.String()
	case composeResult(err) == resultUnwanted:
		return resultUnwanted
	}
	return watchword.FaultProvider.String()
}

// A reportFunc records a delivery report; see delivery.Environment.Report.
type reportFunc = func(context.Context, watchword.Outgoing, watchword.Delivery) error

// traceReports makes a span of each report that a provider sends.
func (t *tracing) traceReports(app string, record reportFunc) reportFunc {
	return func(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
		ctx, span := t.startSpan(ctx, "report", trace.SpanKindInternal, app, o.ChallengeID, attribute.Int("watchword.send", o.Send),
			attribute.String("watchword.channel", d.Channel), attribute.String("watchword.provider", d.Provider), attribute.String("watchword.sender", d.Sender))
		if request := t.requests.find(o.ChallengeID); request.IsValid() {
			span.AddLink(trace.Link{SpanContext: request})
		}
		err := record(ctx, o, d)
		endSpan(span, d.Status, err != nil && !errors.Is(err, watchword.ErrNotFound))
		return err
	}
}

// A tracedOutbox connects the messages that it queues with the requests for them.
type tracedOutbox struct {
	watchword.Outbox
	tracing *tracing
}

// Put implements watchword.Outbox.
func (o tracedOutbox) Put(ctx context.Context, out ...watchword.Outgoing) error {
	o.tracing.requests.add(ctx, out)
	return o.Outbox.Put(ctx, out...)
}

// An outboxStore is a store that is an outbox too.
type outboxStore interface {
	watchword.Store
	watchword.DirectOutbox
	watchword.Pinger
}

// A tracedStore connects the messages that it queues with the requests for them.
type tracedStore struct {
	outboxStore
	tracing *tracing
}

// Create implements watchword.Store.
func (s tracedStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.tracing.requests.add(ctx, out)
	return s.outboxStore.Create(ctx, e, out...)
}

// Update implements watchword.Store.
func (s tracedStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.tracing.requests.add(ctx, out)
	return s.outboxStore.Update(ctx, e, out...)
}

// traceQueue wraps what an engine queues its messages in.
func (b *builder) traceQueue(cfg *watchword.Config) {
	if b.tracing == nil {
		return
	}
	if cfg.Outbox != nil {
		cfg.Outbox = tracedOutbox{cfg.Outbox, b.tracing}
	}
	if store, ok := cfg.Store.(outboxStore); ok {
		cfg.Store = tracedStore{store, b.tracing}
	}
}

// tracedRequests count requests and describes their spans.
type tracedRequests struct {
	*metrics
	tracing *tracing
}

// ObserveRequest implements server.Metrics.
func (r tracedRequests) ObserveRequest(ctx context.Context, method, route string, status int, took time.Duration) {
	r.tracing.nameRequest(ctx, method, route, status)
	r.metrics.ObserveRequest(ctx, method, route, status, took)
}
