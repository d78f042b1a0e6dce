package main

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// metrics counts requests and events. Every label has few values: apps, providers and limits are configured; routes, statuses and
// event types are fixed. No label holds what a caller chooses, such as a subject, an address or an id.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	events    *prometheus.CounterVec
	sent      *prometheus.CounterVec
	limits    *prometheus.CounterVec
	damaged   *prometheus.CounterVec
	batches   *prometheus.HistogramVec
	delivery  deliveryMetrics
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_requests_total",
			Help: "Requests by method, route and status. Requests that no operation serves have neither method nor route."},
			[]string{"method", "route", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "watchword_request_seconds",
			Help: "Duration of requests, by route.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"route"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_events_total",
			Help: "Events of challenges, verifications, factors and limits, by app and event, and by whether they are about a challenge that is part of a verification."},
			[]string{"app", "event", "part"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_messages_total",
			Help: "Messages by app, event, channel and provider."}, []string{"app", "event", "channel", "provider"}),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_limits_reached_total",
			Help: "Requests that a limit refused, by app and limit."}, []string{"app", "limit"}),
		damaged: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_damaged_values_total",
			Help: "Damaged values in the stores of challenges, messages and limits, by kind: entry, budget, limit, outbox or event."}, []string{"what"}),
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "watchword_store_commands_per_round_trip",
			Help: "Commands that share a round trip to a store, by store: challenges or limits.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64}},
			[]string{"store"}),
		delivery: newDeliveryMetrics(),
	}
	for _, what := range []string{"entry", "budget", "limit", "outbox"} { // so that the first one is an increase
		m.damaged.WithLabelValues(what)
	}
	m.registry.MustRegister(m.delivery.tries, m.delivery.calls, m.delivery.times)
	m.registry.MustRegister(m.requests, m.durations, m.events, m.sent, m.limits, m.damaged, m.batches, newBuildInfo(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// newBuildInfo makes a metric with the value 1, whose labels describe the program.
func newBuildInfo() prometheus.Collector {
	version, revision := buildVersion()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "watchword_build_info", Help: "The version of the program; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()}}, func() float64 { return 1 })
}

// AddRoute implements server.Metrics. Every route has a histogram from the start, so that requests add none.
func (m *metrics) AddRoute(route string) { m.durations.WithLabelValues(route) }

// ObserveRequest implements server.Metrics.
func (m *metrics) ObserveRequest(_ context.Context, method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if route != "" {
		m.durations.WithLabelValues(route).Observe(took.Seconds())
	}
}

// addApp adds the series of an app that ratios are made of, so that they have a value before the first approval or failure.
func (m *metrics) addApp(app string, senders map[delivery.RouteSender]bool) {
	for _, event := range []string{watchword.EventStarted, watchword.EventApproved, watchword.EventVerificationStarted, watchword.EventVerificationApproved} {
		m.events.WithLabelValues(app, event, "false")
	}
	m.events.WithLabelValues(app, watchword.EventStarted, "true") // parts are never approved: their verification is
	for sender := range senders {
		for _, result := range delivery.TryResults() {
			m.delivery.tries.WithLabelValues(triesLabels(app, sender, result)...)
		}
	}
}

// countEvent counts an event of an engine.
func (m *metrics) countEvent(e watchword.Event) {
	switch e.Type {
	case watchword.EventMessageSent, watchword.EventMessageDelivered, watchword.EventMessageFailed:
		m.sent.WithLabelValues(e.App, e.Type, e.Channel, e.Provider).Inc()
		m.delivery.observeReport(e)
	default:
		m.events.WithLabelValues(e.App, e.Type, strconv.FormatBool(isAboutPart(e))).Inc()
	}
	if e.Type == watchword.EventLimitReached {
		m.limits.WithLabelValues(e.App, e.Limit).Inc()
	}
}

// isAboutPart reports whether an event is about a challenge that is part of a verification.
func isAboutPart(e watchword.Event) bool {
	return e.Verification != "" && e.ChallengeID != "" && e.Type != watchword.EventVerificationApproved
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
