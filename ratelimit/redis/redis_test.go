package redis

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/ratelimit/ratelimittest"
)

func TestSingleServer(t *testing.T) {
	addr := startServer(t)
	ratelimittest.Run(t, func(t *testing.T) ratelimittest.Fixture {
		return ratelimittest.Fixture{Nodes: []ratelimit.Store{open(t, connect(t, addr)), open(t, connect(t, addr))}}
	})
}

func TestCluster(t *testing.T) {
	addrs := startCluster(t)
	ratelimittest.Run(t, func(t *testing.T) ratelimittest.Fixture {
		return ratelimittest.Fixture{Nodes: []ratelimit.Store{open(t, connect(t, addrs...)), open(t, connect(t, addrs...))}}
	})
}

// TestExact gives the scripts a clock of its own to read, so that times can be compared to the microsecond.
func TestExact(t *testing.T) {
	const serverTime = "redis.call('TIME')"
	if strings.Count(windowSource, serverTime) != 1 {
		t.Fatalf("window.lua does not read the clock by %s once", serverTime)
	}
	source := strings.Replace(windowSource, serverTime, "{0, redis.call('GET', 'clock')}", 1)
	c := connect(t, startServer(t))
	now := time.Now().UnixMicro()
	advance := func(d time.Duration) {
		now += d.Microseconds()
		if err := c.Set(context.Background(), "clock", now, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	advance(0)
	ratelimittest.Run(t, func(*testing.T) ratelimittest.Fixture {
		return ratelimittest.Fixture{
			Nodes:   []ratelimit.Store{newStore(c, "watchword", source)},
			Advance: advance,
			Unit:    time.Microsecond,
		}
	})
}

var _ = redis.Nil
