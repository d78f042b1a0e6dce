package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit"
)

// newLimiter returns a limiter whose Ping has no stored result.
func newLimiter(t *testing.T, s *Store) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(s, ratelimit.DefaultRules(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Ping fails with a reason if starts could not be counted, and succeeds again when they can.
func TestPingFailsWhenTakeWouldFail(t *testing.T) {
	user := func(rules ...any) []any {
		return append([]any{"acl", "setuser", "app", "reset", "on", ">secret"}, rules...)
	}
	for name, c := range map[string]struct {
		breaks, heals []any
		reason        string
	}{
		"key pattern of the other store's keys": {user("~{watchword:0}*", "+@all"), user("~{watchword:*", "+@all"), "no right"},
		"no right to read many":                 {user("~*", "+@all", "-mget"), user("~*", "+@all"), "no right"},
		"no right to remove":                    {user("~*", "+@all", "-del"), user("~*", "+@all"), "no right"},
		"a replica":                             {[]any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}, "replica"},
		"full":                                  {[]any{"config", "set", "maxmemory", 1}, []any{"config", "set", "maxmemory", 0}, "memory is full"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			command := func(words []any) {
				if _, err := server.Do(t.Context(), words...); err != nil {
					t.Fatal(err)
				}
			}
			command(user("~*", "+@all"))
			client := redis.NewClient(&redis.Options{Addr: server.Addr, Username: "app", Password: "secret", DialerRetries: 1, Protocol: 2, ReadTimeout: time.Minute})
			t.Cleanup(func() { _ = client.Close() })
			s := newTestStore(t, client)
			if err := newLimiter(t, s).Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			command(c.breaks)
			var plain interface{ Reason() string }
			if err := newLimiter(t, s).Ping(t.Context()); !errors.As(err, &plain) || !strings.Contains(plain.Reason(), c.reason) {
				t.Errorf("Ping = %v", err)
			}
			command(c.heals)
			if err := newLimiter(t, s).Ping(t.Context()); err != nil {
				t.Errorf("after that: %v", err)
			}
		})
	}
}

// The windows of an app are on one master of a Cluster, and Ping uses that master.
func TestPingUsesTheMasterOfItsApp(t *testing.T) {
	cluster := redistest.StartCluster(t, "--cluster-require-full-coverage", "no")
	s := newTestStore(t, cluster.Client(t))
	owner, err := cluster.SlotOwner(t.Context(), "{watchword:shop}:")
	if err != nil {
		t.Fatal(err)
	}
	other := cluster.OtherNode(owner)
	for _, c := range []struct {
		node  *redistest.Server
		fails bool
	}{{other, false}, {owner, true}} {
		if _, err := c.node.Do(t.Context(), "config", "set", "maxmemory", 1); err != nil {
			t.Fatal(err)
		}
		if err := newLimiter(t, s).Ping(t.Context()); (err != nil) != c.fails {
			t.Errorf("full is %s: %v", c.node.Addr, err)
		}
	}
}

// Ping spends no tokens of the app's rules, and its keys expire.
func TestPingSpendsNoTokens(t *testing.T) {
	client := redistest.Start(t).Client(t)
	s := newTestStore(t, client)
	l, err := ratelimit.New(s, []ratelimit.Rule{{Name: "app", Limit: 1, Window: time.Hour, By: ratelimit.ByApp}, {Name: "all", Limit: 1, Window: time.Hour, By: ratelimit.ByAll}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Take(t.Context(), watchword.Bucket{By: ratelimit.ByApp}, watchword.Bucket{By: ratelimit.ByAll}); err != nil {
		t.Error(err)
	}
	for _, key := range client.Keys(t.Context(), "*readiness*").Val() {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl == -1 || ttl > 3*time.Second || // -1: for ever; -2: it has expired meanwhile
			!strings.HasPrefix(key, "{watchword}:shop:=readiness:") {
			t.Errorf("%s stays for %s", key, ttl)
		}
	}
}
