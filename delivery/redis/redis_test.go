package redis

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/counterstest"
	"github.com/watchword-auth/watchword/internal/redistest"
)

func newCounters(t testing.TB, c redis.UniversalClient) *Counters {
	t.Helper()
	counters, err := New(c, "watchword")
	if err != nil {
		t.Fatal(err)
	}
	return counters
}

func TestCountersPassConformanceSuiteOnSingleServer(t *testing.T) {
	server := redistest.Start(t)
	counterstest.Run(t, newCounters(t, server.Client(t)), newCounters(t, server.Client(t)))
}

func TestCountersPassConformanceSuiteOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	counterstest.Run(t, newCounters(t, cluster.Client(t)), newCounters(t, cluster.Client(t)))
}

func TestCountersSetExpiryOnEveryKey(t *testing.T) {
	client := redistest.Start(t).Client(t)
	c := newCounters(t, client)
	batch := delivery.Batch{ID: "one", Counts: []delivery.Count{{Key: "+1415555", Slot: 1, Sent: 1, Verified: 1}}, Keep: time.Hour}
	if _, err := c.Add(t.Context(), "shop", batch); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refuse(t.Context(), "shop", "+1212555", time.Hour); err != nil {
		t.Fatal(err)
	}
	keys := client.Keys(t.Context(), "*").Val()
	if len(keys) != 4 {
		t.Errorf("keys %q", keys)
	}
	for _, key := range keys {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour || !strings.HasPrefix(key, "{watchword:counts:shop}:") {
			t.Errorf("%s stays for %s", key, ttl)
		}
	}
}

// Errors contain no data of the request, and a batch without a reply may be sent again.
func TestAddCountsUnansweredBatchOnce(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	slow := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(proxy.URL(), "redis://"), DialerRetries: 1, ContextTimeoutEnabled: true, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = slow.Close() })
	c := newCounters(t, slow)
	count := func(name string) delivery.Batch {
		return delivery.Batch{ID: name, Counts: []delivery.Count{{Key: "+1415555", Slot: 1, Sent: 1}}, Keep: time.Hour}
	}
	if _, err := c.Add(t.Context(), "shop", count("one")); err != nil { // the script is known, and so is the clock
		t.Fatal(err)
	}
	proxy.SetLag(0, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	_, err := c.Add(ctx, "shop", count("two"))
	cancel()
	if err == nil || strings.Contains(err.Error(), "1415555") {
		t.Fatalf("%v", err)
	}
	proxy.SetLag(0, 0)
	direct := newCounters(t, server.Client(t))
	for range 3 {
		if counts, err := direct.Add(t.Context(), "shop", count("two")); err != nil || len(counts) != 1 || counts[0].Sent != 2 {
			t.Fatalf("%v, %v", counts, err)
		}
	}
}

// Ping needs the rights of the other scripts, and leaves no key.
func TestPingFailsWithoutRights(t *testing.T) {
	server := redistest.Start(t)
	allow := func(rules ...any) {
		if _, err := server.Do(t.Context(), append([]any{"acl", "setuser", "app", "reset", "on", ">secret"}, rules...)...); err != nil {
			t.Fatal(err)
		}
	}
	allow("~{watchword*", "+@all")
	client := redis.NewClient(&redis.Options{Addr: server.Addr, Username: "app", Password: "secret", DialerRetries: 1, Protocol: 2, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = client.Close() })
	c := newCounters(t, client)
	if err := c.Ping(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if keys := server.Client(t).Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("keys %q are left", keys)
	}
	for _, rules := range [][]any{{"~{watchword:shop*", "+@all"}, {"~*", "+@all", "-zadd"}, {"~*", "+@all", "-pexpire"}, {"~*", "+@all", "-hincrby"}} {
		allow(rules...)
		if err := c.Ping(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "user has no right to a command or a key") {
			t.Errorf("%v: %v", rules, err)
		}
	}
}

func TestNewRejectsInvalidPrefixes(t *testing.T) {
	for _, prefix := range []string{"", "a:b", "{a", "a}"} {
		if _, err := New(nil, prefix); err == nil {
			t.Errorf("%q is accepted", prefix)
		}
	}
}

// A hash that no counters have written, giant or damaged, is not read: it is replaced, and counting goes on.
func TestAddReplacesForeignHashes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	c := newCounters(t, client)
	const giant, damaged = "{watchword:counts:shop}:of:+1415555", "{watchword:counts:shop}:of:+1212555"
	const fill = `for i = 1, 300000, 1000 do local fields = {}; for n = i, i + 999 do table.insert(fields, 's' .. n); table.insert(fields, 1) end; redis.call('HSET', KEYS[1], unpack(fields)) end return 1`
	if err := client.Eval(t.Context(), fill, []string{giant}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), damaged, "s", "1", "sx", "1", "v7", "many", "s7", "4").Err(); err != nil {
		t.Fatal(err)
	}
	counts, err := c.Add(t.Context(), "shop", delivery.Batch{ID: "one", Keep: time.Hour,
		Counts: []delivery.Count{{Key: "+1415555", Slot: 7, Sent: 1}, {Key: "+1212555", Slot: 7, Sent: 1}}})
	if err != nil || len(counts) != 2 {
		t.Fatalf("%v, %d counts", err, len(counts))
	}
	for _, count := range counts {
		if want := map[string]int64{"+1415555": 1, "+1212555": 5}[count.Key]; count.Sent != want || count.Slot != 7 || count.Verified != 0 {
			t.Errorf("%+v, want %d sent", count, want)
		}
	}
	for key, want := range map[string]int64{giant: 1, damaged: 1} {
		if n := client.HLen(t.Context(), key).Val(); n != want {
			t.Errorf("%s has %d fields, want %d", key, n, want)
		}
	}
}

// A key that is no hash, and a field that cannot be added to, stop no counts: neither those of the key nor those of the batch's others.
func TestAddReplacesKeysOfAnotherType(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	c := newCounters(t, client)
	const tag = "{watchword:counts:shop}:"
	for _, key := range []string{"of:+1415555", "keys"} {
		if err := client.Set(t.Context(), tag+key, "foreign", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.HSet(t.Context(), tag+"of:+1212555", "s7", "many", "v7", "9223372036854775807").Err(); err != nil {
		t.Fatal(err)
	}
	counts, err := c.Add(t.Context(), "shop", delivery.Batch{ID: "one", Keep: time.Hour, Counts: []delivery.Count{
		{Key: "+1415555", Slot: 7, Sent: 1}, {Key: "+1212555", Slot: 7, Sent: 3, Verified: 2}, {Key: "+1312555", Slot: 7, Sent: 4}}})
	if err != nil || len(counts) != 3 {
		t.Fatalf("%v, %+v", err, counts)
	}
	want := map[string]delivery.Count{"+1415555": {Sent: 1}, "+1212555": {Sent: 3, Verified: 2}, "+1312555": {Sent: 4}}
	for _, count := range counts {
		if count.Sent != want[count.Key].Sent || count.Verified != want[count.Key].Verified {
			t.Errorf("%+v", count)
		}
	}
}

// The counts of the longest PrefixBreakerConfig.Settle in the shortest window are no foreign hash.
func TestAddKeepsAllSlotsOfALongSettle(t *testing.T) {
	t.Parallel()
	c := newCounters(t, redistest.Start(t).Client(t))
	const slots = 12*50 + 15
	var counts []delivery.Count
	for n := range slots {
		batch := delivery.Batch{ID: string(rune('A' + n)), Keep: time.Hour, Counts: []delivery.Count{{Key: "+1415555", Slot: int64(n), Sent: 1, Verified: 1}}}
		var err error
		if counts, err = c.Add(t.Context(), "shop", batch); err != nil {
			t.Fatal(err)
		}
	}
	if len(counts) != slots {
		t.Errorf("%d slots, want %d", len(counts), slots)
	}
}
