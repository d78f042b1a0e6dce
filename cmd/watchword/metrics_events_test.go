package main

import (
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// The metrics count the events that wait for an endpoint that is down, and those that an endpoint has refused.
func TestMetricsCountWaitingAndRefusedEvents(t *testing.T) {
	t.Parallel()
	redis, sink := redistest.Start(t), startSink(t)
	config := writeProductionConfig(t, redis.URL(), `apps:
  - id: shop
    keys: [{sha256: `+apiKeyDigest("shop-key")+`, scopes: [challenges]}]
    send: {sms: ["webhook+https://`+sink.address+`/?secret=`+eventsSecret+`"]}
    events:
      - {url: "https://`+sink.address+`/status/503?secret=`+eventsSecret+`", types: [challenge.started, challenge.canceled]}
      - {url: "https://`+sink.address+`/status/400?secret=`+eventsSecret+`", types: [challenge.canceled]}
`)
	n := startServer(t, []string{"SSL_CERT_FILE=" + sink.certificate}, "--config", config, "--metrics-listen", "127.0.0.1:0")
	n.key = "shop-key"
	id := n.start(func(body object) { body["channel"], body["to"] = "sms", "+14155550123" }).str("id")
	n.call("POST", "/v1/challenges/"+id+"/cancel", object{})
	metrics := n.loggedAddr("metrics served")
	waitFor(t, "0 1 2 0", func() string { // dead letters and waiting events of the first endpoint and of the second
		var values []string
		for line := range strings.Lines(fetchMetrics(t, metrics)) {
			if strings.HasPrefix(line, "watchword_events_dead_letters{") || strings.HasPrefix(line, "watchword_events_waiting{") {
				values = append(values, strings.Fields(line)[1])
			}
		}
		return strings.Join(values, " ")
	})
}
