package redis

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/ratelimit/ratelimittest"
)

// newTestStore returns a store with the given client.
func newTestStore(t testing.TB, c redis.UniversalClient) *Store {
	t.Helper()
	s, err := New(c, Config{Prefix: "watchword"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStorePassesConformanceSuiteOnSingleServer(t *testing.T) {
	server := redistest.Start(t)
	ratelimittest.Run(t, func(t *testing.T) ratelimittest.Fixture {
		return ratelimittest.Fixture{Nodes: []ratelimit.Store{newTestStore(t, server.Client(t)), newTestStore(t, server.Client(t))}}
	})
}

func TestStorePassesConformanceSuiteOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	ratelimittest.Run(t, func(t *testing.T) ratelimittest.Fixture {
		return ratelimittest.Fixture{Nodes: []ratelimit.Store{newTestStore(t, cluster.Client(t)), newTestStore(t, cluster.Client(t))}}
	})
}

// The scripts read the time from a key that the test sets, so that times can be compared exactly. The keys are kept for an hour, because
// Redis expires them by its own clock.
func TestStorePassesConformanceSuiteWithExactClock(t *testing.T) {
	const lifetime, hour = "ARGV[1 + i])", "3600000)"
	if strings.Count(windowSource, lifetime) != 2 {
		t.Fatal("the script sets other lifetimes")
	}
	source := "local now = tonumber(redis.call('GET', 'clock'))\n" + strings.ReplaceAll(windowSource, lifetime, hour)
	c := redistest.Start(t).Client(t)
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
			Nodes:   []ratelimit.Store{newStore(c, Config{Prefix: "watchword", OnDamaged: func(n int) { t.Errorf("%d valid windows were reported as damaged", n) }}, source)},
			Advance: advance,
			Unit:    time.Microsecond,
		}
	})
	for _, key := range c.Keys(t.Context(), "*:many:*").Val() {
		if n := c.StrLen(t.Context(), key).Val(); n > (150+20)*14 {
			t.Errorf("a window with a limit of 150 takes %d octets: what has ended is not cut off", n)
		}
	}
}

// A commandCounter is a go-redis hook that counts commands.
type commandCounter struct{ sent atomic.Int64 }

func (c *commandCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commandCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.sent.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.sent.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// startBuckets returns the buckets of a start by SMS.
func startBuckets(person string) []watchword.Bucket {
	var buckets []watchword.Bucket
	for _, by := range []string{ratelimit.ByAddress, ratelimit.BySubject, ratelimit.ByIP, ratelimit.ByPrefix, ratelimit.ByCountry, ratelimit.ByApp, ratelimit.ByAll} {
		buckets = append(buckets, watchword.Bucket{By: by, Key: person, Channel: "sms"})
	}
	return buckets
}

func TestTakeUsesOneRoundTrip(t *testing.T) {
	client := redistest.Start(t).Client(t)
	l, err := ratelimit.New(newTestStore(t, client), ratelimit.DefaultRules(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Take(t.Context(), startBuckets("somebody")...); err != nil { // loads the script into the server
		t.Fatal(err)
	}
	hook := new(commandCounter)
	client.AddHook(hook)
	if err := l.Take(t.Context(), startBuckets("anna")...); err != nil {
		t.Fatal(err)
	}
	if n := hook.sent.Load(); n != 1 {
		t.Errorf("a Take that passes sends %d commands, want 1", n)
	}
	for err == nil {
		hook.sent.Store(0)
		err = l.Take(t.Context(), startBuckets("anna")...)
	}
	if limit := (*watchword.LimitError)(nil); !errors.As(err, &limit) {
		t.Fatalf("Take = %v, want a *LimitError", err)
	}
	if n := hook.sent.Load(); n != 1 {
		t.Errorf("a Take that is refused sends %d commands, want 1", n)
	}
}

func TestTakeWritesTaggedExpiringKeys(t *testing.T) {
	client := redistest.Start(t).Client(t)
	s := newTestStore(t, client)
	rules := ratelimit.DefaultRules()
	take := func(app string, rules []ratelimit.Rule) {
		l, err := ratelimit.New(s, rules, app)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Take(t.Context(), startBuckets("anna")...); err != nil {
			t.Fatal(err)
		}
	}
	take("shop", rules)
	take("bank", append(rules, ratelimit.Rule{Name: "all_hour", Limit: 5, Window: time.Hour, By: ratelimit.ByAll}))
	longest := map[string]time.Duration{"all_hour": time.Hour}
	for _, r := range rules {
		longest[r.Name] = r.Window
	}
	keys := client.Keys(t.Context(), "*").Val()
	if len(keys) != 9+10 {
		t.Errorf("there are %d keys, want one for each rule and app: %v", len(keys), keys)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "{watchword:shop}:shop:") && !strings.HasPrefix(key, "{watchword}:bank:") && !strings.HasPrefix(key, "{watchword}::all_hour:") {
			t.Errorf("the key %q has the wrong tag", key)
		}
		rule := strings.Split(key, ":")[len(strings.Split(key, ":"))-2]
		ttl := client.PTTL(t.Context(), key).Val()
		if window := longest[rule]; ttl <= window-time.Minute || ttl > window+window/100+expiryMargin {
			t.Errorf("the key %q lives for %s, its window is %s", key, ttl, window)
		}
	}
}

// Events with the same rounded time share an entry, so that windows with large limits stay small.
func TestLargeLimitsShareEntries(t *testing.T) {
	client := redistest.Start(t).Client(t)
	l, err := ratelimit.New(newTestStore(t, client), []ratelimit.Rule{{Name: "app", Limit: 100_000, Window: 24 * time.Hour, By: ratelimit.ByApp}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := l.Take(t.Context(), watchword.Bucket{By: ratelimit.ByApp}); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.StrLen(t.Context(), "{watchword:shop}:shop:app:").Val(); n == 0 || n > 2*14 {
		t.Errorf("200 events at once take %d octets, want those of one entry, or two", n)
	}
}

func TestNewRejectsInvalidPrefixes(t *testing.T) {
	for _, prefix := range []string{"", "a:b", "{a", "a}"} {
		if _, err := New(nil, Config{Prefix: prefix}); err == nil {
			t.Errorf("New accepts the prefix %q", prefix)
		}
	}
}

// While the server is stopped no Take passes. After its restart Takes pass again.
func TestTakeFailsWhileServerIsUnavailable(t *testing.T) {
	server := redistest.Start(t)
	s := newTestStore(t, server.Client(t))
	l := newLimiter(t, s)
	reachable := func() {
		t.Helper()
		if err := l.Take(t.Context(), startBuckets("anna")...); err != nil {
			t.Errorf("Take = %v, want nil", err)
		}
		if err := newLimiter(t, s).Ping(t.Context()); err != nil {
			t.Errorf("Ping = %v, want nil", err)
		}
	}
	reachable()
	server.Stop()
	limit := (*watchword.LimitError)(nil)
	if err := l.Take(t.Context(), startBuckets("anna")...); err == nil || errors.As(err, &limit) || strings.Contains(err.Error(), "anna") {
		t.Errorf("Take without a server = %v, want a plain error", err)
	}
	if err := newLimiter(t, s).Ping(t.Context()); err == nil {
		t.Error("Ping without a server succeeds")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	reachable()
}

// The connection breaks after the script ran, so Take fails although its token is spent.
func TestTakeWithLostReplyIsChargedOnce(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr, DialerRetries: 1, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = client.Close() })
	l, err := ratelimit.New(newTestStore(t, client), []ratelimit.Rule{{Name: "three", Limit: 3, Window: time.Hour, By: ratelimit.ByApp}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	app := watchword.Bucket{By: ratelimit.ByApp}
	if err := l.Take(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	proxy.CutNext("evalsha")
	if err := l.Take(t.Context(), app); err == nil || proxy.Cuts() != 1 {
		t.Fatalf("Take = %v after %d cuts, want an error after 1", err, proxy.Cuts())
	}
	if err := l.Take(t.Context(), app); err != nil {
		t.Errorf("the third Take = %v, want nil: the second was charged more than once", err)
	}
	if err := l.Take(t.Context(), app); err == nil {
		t.Error("a fourth Take passes, though the second had been charged")
	}
}

func TestParseIntegersRejectsOtherReplies(t *testing.T) {
	if _, err := parseIntegers("text", nil); err == nil {
		t.Error("a reply of another type is accepted")
	}
	if _, err := parseIntegers([]any{int64(1), "text"}, nil); err == nil {
		t.Error("a reply with other items is accepted")
	}
	if _, err := parseIntegers(nil, context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the cause of an error is lost")
	}
}

func TestErrorsContainNoServerText(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(redistest.StartHostile(t, "-ERR unknown command '492039'\r\n"), "redis://"), Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	s := newTestStore(t, client)
	l, err := ratelimit.New(s, []ratelimit.Rule{{Name: "app", Limit: 3, Window: time.Hour, By: ratelimit.ByApp}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	_, errReset := s.Reset(t.Context(), "k", limiter.Rate{Limit: 1, Period: time.Hour})
	for call, err := range map[string]error{"Take": l.Take(t.Context(), watchword.Bucket{By: ratelimit.ByApp}), "Ping": l.Ping(t.Context()), "Reset": errReset} {
		if err == nil || strings.Contains(err.Error(), "492039") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// Take is TakeNamed without a name. Its tokens cannot be refunded.
func TestRefundWithoutNameReturnsNothing(t *testing.T) {
	for name, store := range map[string]ratelimit.Store{"memory": ratelimit.NewMemory(ratelimit.MemoryConfig{}), "redis": newTestStore(t, redistest.Start(t).Client(t))} {
		l, err := ratelimit.New(store, []ratelimit.Rule{{Name: "three", Limit: 3, Window: time.Hour, By: ratelimit.ByApp}}, "shop")
		if err != nil {
			t.Fatal(err)
		}
		app := watchword.Bucket{By: ratelimit.ByApp}
		for range 3 {
			if err := l.TakeNamed(t.Context(), "", app); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Refund(t.Context(), "", app); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		passed := 0
		for l.Take(t.Context(), app) == nil && passed < 10 {
			passed++
		}
		if passed != 0 {
			t.Errorf("%s: after a Refund without a name %d more pass: the window is gone", name, passed)
		}
	}
}
