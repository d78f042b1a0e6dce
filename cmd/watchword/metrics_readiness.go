package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchword-auth/watchword"
)

// scrapeTimeout bounds the test of stores and senders at a scrape. A store that does not answer within it is down.
const scrapeTimeout = 2 * time.Second

// A readinessCollector tests stores and senders at each scrape, as /readyz does: with the operations that requests use, at most once a
// second.
type readinessCollector struct {
	store, sending *prometheus.Desc
	stores         []string
	engines        func() []*watchword.Engine
}

// newReadinessCollector returns the collector of what the engines need. engines returns those that serve now.
func newReadinessCollector(hasFactors bool, engines func() []*watchword.Engine) readinessCollector {
	c := readinessCollector{stores: []string{"challenges", "limits"}, engines: engines,
		store: prometheus.NewDesc("watchword_store_up", "Whether a store works (1) or not (0): challenges, limits or factors.", []string{"store"}, nil),
		sending: prometheus.NewDesc("watchword_sending_up", "Whether every channel of an app has a sender that works (1) or not (0), as far as senders can be tested without a message.",
			[]string{"app"}, nil)}
	if hasFactors {
		c.stores = append(c.stores, "factors")
	}
	return c
}

// Describe implements prometheus.Collector.
func (c readinessCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.store
	to <- c.sending
}

// Collect implements prometheus.Collector.
func (c readinessCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	engines, down := c.engines(), map[string]bool{}
	for i, err := range pingEngines(ctx, engines) {
		canSend := true
		var failed *watchword.Error
		if errors.As(err, &failed) {
			for _, fault := range failed.Faults {
				down[fault.Part] = true
				canSend = canSend && fault.Part != partSending
			}
		}
		to <- gauge(c.sending, boolToFloat(canSend), engines[i].App())
	}
	for _, store := range c.stores {
		to <- gauge(c.store, boolToFloat(!down[store]), store)
	}
}
