package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// configure sends a server an administrative command.
func configure(t *testing.T, server *redistest.Server, words ...any) {
	t.Helper()
	if _, err := server.Do(t.Context(), words...); err != nil {
		t.Fatal(err)
	}
}

// reasonOf returns the text of an error that readiness shows.
func reasonOf(err error) string {
	var plain interface{ Reason() string }
	if errors.As(err, &plain) {
		return plain.Reason()
	}
	return ""
}

// Ping fails with a reason while challenges cannot be started or checked, and recovers by itself.
func TestPingFailsWhenRequestsWouldFail(t *testing.T) {
	user := func(rules ...any) []any {
		return append([]any{"acl", "setuser", "app", "reset", "on", ">secret"}, rules...)
	}
	for name, c := range map[string]struct {
		breaks, heals []any
		reason        string
	}{
		"key pattern without the hash tag": {user("~watchword*", "+@all"), user("~{watchword:*", "+@all"), "no right"},
		"key pattern without budgets":      {user("~{watchword:0}:e:*", "+@all"), user("~{watchword:*", "+@all"), "no right"},
		"no right to scripts":              {user("~*", "+@all", "-@scripting"), user("~*", "+@all"), "no right"},
		"no right to write in scripts":     {user("~*", "+@all", "-setrange"), user("~*", "+@all"), "no right"},
		"no right to read":                 {user("~*", "+@all", "-getrange"), user("~*", "+@all"), "no right"},
		"a replica":                        {[]any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}, "replica"},
		"full":                             {[]any{"config", "set", "maxmemory", 1}, []any{"config", "set", "maxmemory", 0}, "memory is full"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			configure(t, server, user("~*", "+@all")...)
			s := newStore(open(t, "redis://app:secret@"+server.Addr), redis.Config{})
			must(t, s.PingNow(t.Context()))
			configure(t, server, c.breaks...)
			err := s.PingNow(t.Context())
			if err == nil || !strings.Contains(reasonOf(err), c.reason) {
				t.Errorf("%v, for everybody %q", err, reasonOf(err))
			}
			if created := s.Create(t.Context(), entry("g.1")); created == nil {
				_, wrong := s.Attempt(t.Context(), "g.1", guess("wrong"), limited("g.any"))
				_, right := s.Attempt(t.Context(), "g.1", guess("right"), limited("g.any"))
				if errors.Is(wrong, watchword.ErrMismatch) && right == nil {
					t.Error("requests are answered all the same")
				}
			}
			configure(t, server, c.heals...)
			if err := s.PingNow(t.Context()); err != nil {
				t.Errorf("after that: %v", err)
			}
		})
	}
}

// The entries of a probe expire, and it leaves no budget.
func TestPingEntriesExpire(t *testing.T) {
	server := redistest.Start(t)
	s := newStore(open(t, server.URL()), redis.Config{})
	for range 3 {
		must(t, s.PingNow(t.Context()))
	}
	client := server.Client(t)
	keys := client.Keys(t.Context(), "*").Val()
	if len(keys) != 3 {
		t.Errorf("%d keys: %v", len(keys), keys)
	}
	for _, key := range keys {
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 5*time.Minute+time.Second || !strings.HasPrefix(key, "{watchword:0}:e:readiness") {
			t.Errorf("%s stays for %s", key, ttl)
		}
	}
}

// Ping sends one round of commands a second, however often it is called.
func TestPingEndsWithinItsTimeout(t *testing.T) {
	server := redistest.Start(t)
	client := open(t, server.URL())
	sent := &commands{}
	client.AddHook(sent)
	s := newStore(client, redis.Config{})
	must(t, s.PingNow(t.Context()))
	round := len(sent.take()) // and the scripts that the server did not know
	began := time.Now()
	for range 5000 {
		must(t, s.Ping(t.Context()))
	}
	rounds := 1 + int(time.Since(began)/time.Second)
	if n := len(sent.take()); n > rounds*round {
		t.Errorf("%d commands in %d seconds, %d a round", n, rounds, round)
	}
}

// Every master of a Cluster is probed.
func testPingOnCluster(t *testing.T, cluster *redistest.Cluster) {
	s := newStore(open(t, cluster.URL()), redis.Config{})
	must(t, s.PingNow(t.Context()))
	for _, node := range cluster.Nodes {
		configure(t, node, "config", "set", "maxmemory", 1)
		if err := s.PingNow(t.Context()); !strings.Contains(reasonOf(err), "memory is full") {
			t.Errorf("one master is full: %v", err)
		}
		configure(t, node, "config", "set", "maxmemory", 0)
	}
	must(t, s.PingNow(t.Context()))
}
