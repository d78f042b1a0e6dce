package main

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// An eventCollector counts at each scrape the events on Redis that endpoints have not accepted.
type eventCollector struct {
	waiting, dead *prometheus.Desc
	service       func() *service
}

// observeEvents adds metrics of the events that wait on Redis. service returns the one that serves now.
func (m *metrics) observeEvents(service func() *service) {
	labels := []string{"app", "endpoint"}
	m.registry.MustRegister(eventCollector{service: service,
		waiting: prometheus.NewDesc("watchword_events_waiting", "Events on Redis that an endpoint has not accepted yet, by app and number of the endpoint in the configuration.", labels, nil),
		dead:    prometheus.NewDesc("watchword_events_dead_letters", "Events on Redis that failed for good, by app and number of the endpoint; at most 1,000 of each are kept.", labels, nil)})
}

// Describe implements prometheus.Collector.
func (c eventCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.waiting
	to <- c.dead
}

// Collect implements prometheus.Collector. Without Redis, or while it is unavailable, there are no values.
func (c eventCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	svc := c.service()
	for _, a := range svc.built {
		stored := svc.storage.apps[a.settings.id].events
		if stored == nil {
			continue
		}
		for _, endpoint := range a.publisher.Endpoints() {
			waiting, dead, err := stored.Counts(ctx, endpoint.ID)
			if err != nil {
				return
			}
			number := strconv.Itoa(endpoint.Number)
			to <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(waiting), a.settings.id, number)
			to <- prometheus.MustNewConstMetric(c.dead, prometheus.GaugeValue, float64(dead), a.settings.id, number)
		}
	}
}
