package ratelimit_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

func newThrottle(t testing.TB, clock *fakeClock, rules ...ratelimit.Rule) *ratelimit.Throttle {
	t.Helper()
	throttle, err := ratelimit.NewThrottle(rules, ratelimit.ThrottleConfig{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return throttle
}

func byApp(key string) watchword.Bucket { return watchword.Bucket{By: ratelimit.ByApp, Key: key} }

// The test also shows that refused events do not count.
func TestThrottleAllowsLimitAtOnceThenOnePerInterval(t *testing.T) {
	clock := newFakeClock()
	throttle := newThrottle(t, clock, ratelimit.Rule{Name: "minute", Limit: 7, Window: time.Minute, By: ratelimit.ByIP})
	for i := range 7 {
		if refused := throttle.Allow(byIP("a")); refused != nil {
			t.Fatalf("event %d of 7: %v", i+1, refused)
		}
	}
	for range 100 {
		refused := throttle.Allow(byIP("a"))
		if refused == nil || refused.Rule != "minute" || refused.RetryAfter != time.Minute/7 {
			t.Fatalf("the eighth event: %+v", refused)
		}
	}
	if refused := throttle.Allow(byIP("b")); refused != nil {
		t.Errorf("another client is refused: %v", refused)
	}
	clock.Advance(time.Minute/7 - 1)
	if throttle.Allow(byIP("a")) == nil {
		t.Error("allowed a moment too early")
	}
	clock.Advance(1)
	if refused := throttle.Allow(byIP("a")); refused != nil {
		t.Errorf("refused after the wait that was named: %v", refused)
	}
	if throttle.Allow(byIP("a")) == nil {
		t.Error("a second event is allowed after the interval of one")
	}
}

func TestThrottleRefusedEventCountsInNoRule(t *testing.T) {
	clock := newFakeClock()
	throttle := newThrottle(t, clock, ratelimit.Rule{Name: "client", Limit: 5, Window: time.Minute, By: ratelimit.ByIP},
		ratelimit.Rule{Name: "app", Limit: 1, Window: time.Second, By: ratelimit.ByApp})
	for i := range 5 {
		if refused := throttle.Allow(byIP("a"), byApp("shop")); refused != nil {
			t.Fatalf("event %d: %v", i+1, refused)
		}
		for range 10 {
			if refused := throttle.Allow(byIP("a"), byApp("shop")); refused == nil || refused.Rule != "app" && i < 4 {
				t.Fatalf("beyond the app's limit: %+v", refused)
			}
		}
		clock.Advance(time.Second)
	}
	if refused := throttle.Allow(byIP("a"), byApp("shop")); refused == nil || refused.Rule != "client" {
		t.Errorf("beyond the client's limit: %+v", refused)
	}
}

func TestNewThrottleRejectsRulesByAll(t *testing.T) {
	if _, err := ratelimit.NewThrottle([]ratelimit.Rule{{Name: "all", Limit: 1, Window: time.Second, By: ratelimit.ByAll}}, ratelimit.ThrottleConfig{}); err == nil {
		t.Error("a rule by ByAll is accepted")
	}
}

// Buckets whose tokens are all available again are dropped after two windows at the latest, also with few events.
func TestThrottleForgetsRestoredBuckets(t *testing.T) {
	clock := newFakeClock()
	throttle := newThrottle(t, clock, ratelimit.Rule{Name: "minute", Limit: 60, Window: time.Minute, By: ratelimit.ByIP})
	for i := range 10_000 {
		throttle.Allow(byIP(strconv.Itoa(i)))
		clock.Advance(time.Second)
		if n := throttle.Len(); n > 121 {
			t.Fatalf("after %d clients, one a second, %d buckets of a minute are kept", i+1, n)
		}
	}
}

// Of a million distinct clients an hour, for two hours, none is refused, and memory stays bounded. A client that always exceeds its
// limit stays refused.
func TestThrottleStaysBoundedWithAMillionClients(t *testing.T) {
	clock := newFakeClock()
	throttle := newThrottle(t, clock, ratelimit.DefaultCheckRules()...)
	before := heap()
	const clients = 2_000_000
	for i := range clients {
		if refused := throttle.Allow(byIP(strconv.Itoa(i)), byApp("shop")); refused != nil {
			t.Fatalf("client %d is refused: %v", i, refused)
		}
		if i%100 == 99 {
			clock.Advance(time.Hour / (clients / 200))
			for throttle.Allow(byIP("persistent")) == nil {
			}
		}
	}
	buckets, used := throttle.Len(), heap()-before
	t.Logf("%d buckets in %d bytes, %d each", buckets, used, used/int64(buckets))
	if most := 4*1<<15 + 2*2; buckets > most {
		t.Errorf("%d buckets are kept, more than %d", buckets, most)
	}
	if used > 6<<20 {
		t.Errorf("%d bytes are used", used)
	}
	runtime.KeepAlive(throttle)
}

// heap returns the bytes in use after a garbage collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
