package ratelimit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/ratelimit/ratelimittest"
)

func BenchmarkTake(b *testing.B) {
	b.Run("busy", func(b *testing.B) { // few people, each with a history
		ratelimittest.BenchmarkTake(b, ratelimit.NewMemory(ratelimit.MemoryConfig{}), 64, 10*time.Millisecond)
	})
	b.Run("new", func(b *testing.B) { // people who were never seen
		ratelimittest.BenchmarkTake(b, ratelimit.NewMemory(ratelimit.MemoryConfig{}), 1<<30, 10*time.Millisecond)
	})
}

// BenchmarkCheck measures Allow with the buckets and rules of a check.
func BenchmarkCheck(b *testing.B) {
	rules := ratelimit.DefaultCheckRules()
	for i := range rules {
		rules[i].Limit = ratelimit.MaxLimit
	}
	throttle, err := ratelimit.NewThrottle(rules, ratelimit.ThrottleConfig{})
	if err != nil {
		b.Fatal(err)
	}
	ips := make([]string, 1000)
	for i := range ips {
		ips[i] = strconv.Itoa(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if refused := throttle.Allow(byIP(ips[i%len(ips)]), byApp("bench")); refused != nil {
			b.Fatal(refused)
		}
	}
}
