package redis

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit"
)

// encodeEvent encodes an event of a window: 7 bytes of time in µs, and 7 bytes of the sum of spent tokens.
func encodeEvent(at time.Time, spent uint64) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(at.UnixMicro()))[:7]) + string(binary.LittleEndian.AppendUint64(nil, spent)[:7])
}

// damagedValues returns values that are not valid windows; nil stands for a list. They do not expire.
func damagedValues() map[string]any {
	now := time.Now()
	return map[string]any{
		"a short text":           "short",
		"as long as an event":    strings.Repeat("\xff", 14),
		"a time in a year":       encodeEvent(now.AddDate(1, 0, 0), 1),
		"more than can be spent": encodeEvent(now, 1<<40),
		"sums that fall":         encodeEvent(now, 5) + encodeEvent(now, 1),
		"times that fall":        encodeEvent(now, 1) + encodeEvent(now.Add(-time.Minute), 2),
		"more than is read":      strings.Repeat(encodeEvent(now, 1), 5000),
		"a list":                 nil,
	}
}

func replaceValue(t *testing.T, client *redis.Client, key string, value any) {
	t.Helper()
	err := client.Del(t.Context(), key).Err()
	if value == nil {
		err = client.RPush(t.Context(), key, "an element").Err()
	} else if err == nil {
		err = client.Set(t.Context(), key, value, 0).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A damaged window counts from zero and is reported, instead of refusing the whole app for ever.
func TestDamagedWindowCountsFromNothing(t *testing.T) {
	client := redistest.Start(t).Client(t)
	reported := 0
	s, err := New(client, Config{Prefix: "watchword", OnDamaged: func(n int) { reported += n }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ratelimit.New(s, []ratelimit.Rule{{Name: "app", Limit: 3, Window: time.Hour, By: ratelimit.ByApp}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	const key = "{watchword:shop}:shop:app:"
	app := watchword.Bucket{By: ratelimit.ByApp}
	for name, value := range damagedValues() {
		replaceValue(t, client, key, value)
		reported = 0
		passed := 0
		for l.Take(t.Context(), app) == nil && passed < 10 {
			passed++
		}
		if passed != 3 {
			t.Errorf("%s: %d pass, want 3", name, passed)
		}
		if want := boolToInt(value != nil); reported != want { // a value of another type is replaced without a report
			t.Errorf("%s: reported %d times, want %d", name, reported, want)
		}
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 {
			t.Errorf("%s: the window that took its place never leaves: %s", name, ttl)
		}
	}
}

func boolToInt(flag bool) int {
	if flag {
		return 1
	}
	return 0
}

// The scripts of Refund and of single windows also delete damaged values.
func TestDamagedWindowIsResetByEveryScript(t *testing.T) {
	client := redistest.Start(t).Client(t)
	reported := 0
	s, err := New(client, Config{Prefix: "watchword", OnDamaged: func(n int) { reported += n }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ratelimit.New(s, []ratelimit.Rule{{Name: "app", Limit: 3, Window: time.Hour, By: ratelimit.ByApp}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	app, rate := watchword.Bucket{By: ratelimit.ByApp}, limiter.Rate{Period: time.Hour, Limit: 3}
	for name, value := range damagedValues() {
		if err := l.TakeNamed(t.Context(), name, app); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		replaceValue(t, client, "{watchword:shop}:shop:app:", value)
		if err := l.Refund(t.Context(), name, app); err != nil {
			t.Errorf("%s: giving back: %v", name, err)
		}
		replaceValue(t, client, "watchword:rate:3/1h0m0s:k", value)
		if c, err := s.Increment(t.Context(), "k", 3, rate); err != nil || c.Reached {
			t.Errorf("%s: alone: %+v, %v", name, c, err)
		}
	}
	if want := 2 * len(damagedValues()); reported != want {
		t.Errorf("%d reported, want %d", reported, want)
	}
}
