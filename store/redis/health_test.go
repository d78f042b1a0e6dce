package redis_test

import (
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

func TestCheckPolicyRefusesEvictingServers(t *testing.T) {
	ctx := t.Context()
	server := redistest.Start(t)
	s := newStore(open(t, server.URL()), redis.Config{})
	must(t, s.CheckPolicy(ctx))
	for _, policy := range []string{"allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-random"} {
		if _, err := server.Do(ctx, "config", "set", "maxmemory-policy", policy); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckPolicy(ctx); err == nil || !strings.Contains(err.Error(), policy) {
			t.Errorf("policy %s: %v", policy, err)
		}
	}
}

func testPolicyOnCluster(t *testing.T, cluster *redistest.Cluster) {
	ctx := t.Context()
	s := newStore(open(t, cluster.URL()), redis.Config{})
	must(t, s.CheckPolicy(ctx))
	for _, node := range cluster.Nodes {
		for policy, fine := range map[string]bool{"allkeys-lfu": false, "noeviction": true} {
			if _, err := node.Do(ctx, "config", "set", "maxmemory-policy", policy); err != nil {
				t.Fatal(err)
			}
			if err := s.CheckPolicy(ctx); (err == nil) != fine {
				t.Errorf("one node with %s: %v", policy, err)
			}
		}
		if _, err := node.Do(ctx, "config", "set", "maxmemory-policy", "noeviction"); err != nil {
			t.Fatal(err)
		}
	}
}

// Create and charges fail, and existing entries are kept.
func TestFullServerRefusesNewEntriesAndCharges(t *testing.T) {
	ctx := t.Context()
	server := redistest.Start(t)
	s := newStore(open(t, server.URL()), redis.Config{})
	must(t, s.Create(ctx, entry("g.1")))
	if _, err := server.Do(ctx, "config", "set", "maxmemory", 1); err != nil { // byte
		t.Fatal(err)
	}
	if err := s.Create(ctx, entry("g.2")); err == nil {
		t.Error("created in a server that is full")
	}
	if _, err := s.Attempt(ctx, "g.1", guess("right"), limited("g.any")); err == nil {
		t.Error("approved in a server that is full")
	}
	if e, err := s.Get(ctx, "g.1"); err != nil || e.Used != 0 || e.State != 0 {
		t.Errorf("after refusals: %+v, %v", e, err)
	}
	if n, _ := server.Client(t).Exists(ctx, "{watchword:0}:b:g.any").Result(); n != 0 {
		t.Error("a budget was charged though the try was not")
	}
}
