package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// deliveryMetrics count and time what becomes of messages. Apps, channels and senders are configured. The histograms have no app,
// because each series of theirs is many.
type deliveryMetrics struct {
	tries *prometheus.CounterVec
	calls *prometheus.HistogramVec
	times *prometheus.HistogramVec
}

// The steps of a message that are timed from the request for it.
const (
	stepCalled   = "called"   // a sender is called, each time
	stepAccepted = "accepted" // a sender has accepted it
	stepReported = "reported" // the provider has reported that it was delivered
)

func newDeliveryMetrics() deliveryMetrics {
	return deliveryMetrics{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "watchword_sender_tries_total",
			Help: "Tries to send a message, by app, channel, sender (its position in the channel), provider and result: accepted; recipient, message or provider, whose fault a failure was; skipped by the circuit breaker; canceled."},
			[]string{"app", "channel", "sender", "provider", "result"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "watchword_sender_call_seconds",
			Help: "Duration of calls of senders, by channel and provider.", Buckets: []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10}},
			[]string{"channel", "provider"}),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "watchword_message_seconds",
			Help:    "Time from the request for a message to a step, by channel, provider and step: called (each call of a sender), accepted, reported (as delivered).",
			Buckets: []float64{0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300}}, []string{"channel", "provider", "step"}),
	}
}

func triesLabels(app string, s delivery.RouteSender, result delivery.TryResult) []string {
	return []string{app, s.Channel, strconv.Itoa(s.Position), s.Provider, string(result)}
}

// tryObserver returns what a router calls after each try of an app.
func (m deliveryMetrics) tryObserver(app string) func(delivery.Try) {
	return func(t delivery.Try) {
		m.tries.WithLabelValues(triesLabels(app, t.Sender, t.Result)...).Inc()
		if t.Result == delivery.TrySkipped {
			return
		}
		m.calls.WithLabelValues(t.Sender.Channel, t.Sender.Provider).Observe(t.Took.Seconds())
		if t.Waited < 0 {
			return
		}
		m.times.WithLabelValues(t.Sender.Channel, t.Sender.Provider, stepCalled).Observe(t.Waited.Seconds())
		if t.Result == delivery.TryAccepted {
			m.times.WithLabelValues(t.Sender.Channel, t.Sender.Provider, stepAccepted).Observe((t.Waited + t.Took).Seconds())
		}
	}
}

// observeReport observes when a message was reported as delivered.
func (m deliveryMetrics) observeReport(e watchword.Event) {
	if e.Type == watchword.EventMessageDelivered && !e.RequestedAt.IsZero() {
		m.times.WithLabelValues(e.Channel, e.Provider, stepReported).Observe(e.At.Sub(e.RequestedAt).Seconds())
	}
}

// A deliveryCollector reads the queues and circuit breakers of the apps at each scrape. It asks no store.
type deliveryCollector struct {
	apps                     func() map[string]*appTasks
	messages, oldest, closed *prometheus.Desc
}

func newDeliveryCollector(apps func() map[string]*appTasks) deliveryCollector {
	return deliveryCollector{apps: apps,
		messages: prometheus.NewDesc("watchword_queue_messages",
			"Messages that wait, by app and state: due (those that are being sent included) or later (to be tried again). Processes that share a queue all show it.",
			[]string{"app", "state"}, nil),
		oldest: prometheus.NewDesc("watchword_queue_oldest_seconds", "For how long the oldest message that waits has been due, by app; 0: none waits.", []string{"app"}, nil),
		closed: prometheus.NewDesc("watchword_sender_breaker_closed", "Whether the circuit breaker of a sender is closed, so that it is called (1), or not (0).",
			[]string{"app", "channel", "sender", "provider"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c deliveryCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.messages
	to <- c.oldest
	to <- c.closed
}

// Collect implements prometheus.Collector.
func (c deliveryCollector) Collect(to chan<- prometheus.Metric) {
	for app, tasks := range c.apps() {
		if queue, ok := tasks.outbox.(backlogReader); ok {
			due, later, oldest := queue.Backlog()
			to <- gauge(c.messages, float64(due), app, "due")
			to <- gauge(c.messages, float64(later), app, "later")
			to <- gauge(c.oldest, secondsSince(oldest), app)
		}
		for sender, closed := range tasks.router.Load().Senders() {
			to <- gauge(c.closed, boolToFloat(closed), app, sender.Channel, strconv.Itoa(sender.Position), sender.Provider)
		}
	}
}

// A backlogReader is an outbox that knows what waits in it without asking a store.
type backlogReader interface {
	// Backlog returns the number of messages that are due, of those that are due later, and since when the oldest one of the first has
	// been due; zero: none is.
	Backlog() (due, later int, oldest time.Time)
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// secondsSince returns how long ago a time was; 0 for the zero time.
func secondsSince(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t).Seconds(), 0)
}
