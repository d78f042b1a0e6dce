package ratelimittest

import (
	"strconv"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// BenchmarkTake measures Takes of four buckets that seven rules count, for the given number of people in turn. No Take is refused. A
// shorter window means fewer stored events for each person.
func BenchmarkTake(b *testing.B, store ratelimit.Store, people int, window time.Duration) {
	exact := func(name, by string) ratelimit.Rule {
		return ratelimit.Rule{Name: name, Limit: ratelimit.ExactLimit, Window: window, By: by}
	}
	l, err := ratelimit.New(store, []ratelimit.Rule{
		exact("address_short", ratelimit.ByAddress), exact("address_long", ratelimit.ByAddress),
		exact("subject_short", ratelimit.BySubject), exact("subject_long", ratelimit.BySubject),
		exact("ip_short", ratelimit.ByIP), exact("ip_long", ratelimit.ByIP),
		{Name: "app", Limit: ratelimit.MaxLimit, Window: window, By: ratelimit.ByApp},
	}, "bench")
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := strconv.Itoa(i % people)
		err := l.Take(ctx,
			watchword.Bucket{By: ratelimit.ByAddress, Key: key, Channel: "sms"},
			watchword.Bucket{By: ratelimit.BySubject, Key: key, Channel: "sms"},
			watchword.Bucket{By: ratelimit.ByIP, Key: key, Channel: "sms"},
			watchword.Bucket{By: ratelimit.ByApp, Key: "bench", Channel: "sms"})
		if err != nil {
			b.Fatal(err)
		}
	}
}
