package redis

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit/ratelimittest"
)

// BenchmarkTake measures sequential Takes, and the server's time for each.
func BenchmarkTake(b *testing.B) {
	c := redistest.Start(b).Client(b)
	for _, test := range []struct {
		name   string
		people int
	}{{"busy", 400}, {"new", 1 << 30}} {
		b.Run(test.name, func(b *testing.B) {
			c.ConfigResetStat(context.Background())
			ratelimittest.BenchmarkTake(b, newTestStore(b, c), test.people, time.Second)
			b.ReportMetric(serverTime(b, c), "server-µs/op")
		})
	}
}

// serverTime returns the server's time for one EVALSHA in microseconds.
func serverTime(b *testing.B, c redis.UniversalClient) float64 {
	stats, err := c.Info(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`cmdstat_evalsha:.*usec_per_call=([0-9.]+)`).FindStringSubmatch(stats)
	if found == nil {
		b.Fatal("no EVALSHA in commandstats")
	}
	micro, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return micro
}
