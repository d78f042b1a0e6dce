package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/watchword-auth/watchword"
)

// metrics counts requests and events. Every label has few values: apps, providers and limits are configured; routes, statuses and
// event types are fixed. No label holds what a caller chooses, such as a subject, an address or an id.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	events   *prometheus.CounterVec
	sent     *prometheus.CounterVec
	limits   *prometheus.CounterVec
	damaged  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "watchword_request_seconds",
			Help: "Duration of requests, by method, route and status.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)},
			[]string{"method", "route", "status"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_events_total",
			Help: "Events of challenges, factors and limits, by app and event."}, []string{"app", "event"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_messages_total",
			Help: "Messages by app, event, channel and provider."}, []string{"app", "event", "channel", "provider"}),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_limits_reached_total",
			Help: "Requests that a limit refused, by app and limit."}, []string{"app", "limit"}),
		damaged: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_damaged_values_total",
			Help: "Damaged values in the stores of challenges, messages and limits, by kind: entry, budget, limit or outbox."}, []string{"what"}),
	}
	m.registry.MustRegister(m.requests, m.events, m.sent, m.limits, m.damaged, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ObserveRequest implements server.Metrics.
func (m *metrics) ObserveRequest(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// countEvent counts an event of an engine.
func (m *metrics) countEvent(e watchword.Event) {
	switch e.Type {
	case watchword.EventMessageSent, watchword.EventMessageDelivered, watchword.EventMessageFailed:
		m.sent.WithLabelValues(e.App, e.Type, e.Channel, e.Provider).Inc()
	default:
		m.events.WithLabelValues(e.App, e.Type).Inc()
	}
	if e.Type == watchword.EventLimitReached {
		m.limits.WithLabelValues(e.App, e.Limit).Inc()
	}
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
