package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchword-auth/watchword"
)

// scrapeTimeout bounds the test of the stores at a scrape. A store that does not answer within it is down.
const scrapeTimeout = 2 * time.Second

// A storeCollector tests the stores at each scrape, as /readyz does: with the operations that requests use, at most once a second.
type storeCollector struct {
	up      *prometheus.Desc
	stores  []string
	engines func() []*watchword.Engine
}

// observeStores adds a metric that says which stores of the engines work. engines returns those that serve now.
func (m *metrics) observeStores(hasFactors bool, engines func() []*watchword.Engine) {
	c := storeCollector{stores: []string{"challenges", "limits"}, engines: engines,
		up: prometheus.NewDesc("watchword_store_up", "Whether a store works (1) or not (0): challenges, limits or factors.", []string{"store"}, nil)}
	if hasFactors {
		c.stores = append(c.stores, "factors")
	}
	m.registry.MustRegister(c)
}

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(to chan<- *prometheus.Desc) { to <- c.up }

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	down := map[string]bool{}
	for _, e := range c.engines() {
		var failed *watchword.Error
		if errors.As(e.Ping(ctx), &failed) {
			for _, fault := range failed.Faults {
				down[fault.Part] = true
			}
		}
	}
	for _, store := range c.stores {
		value := 1.0
		if down[store] {
			value = 0
		}
		to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, value, store)
	}
}
