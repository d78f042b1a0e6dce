package redistest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
)

func TestServerStopsAndStarts(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client(t)
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := server.Do(t.Context(), "ping"); err == nil {
		t.Error("a server that was stopped answers")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := server.Client(t).Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("a server that was started again is not empty: %v", err)
	}
}

func TestClusterServesEverySlot(t *testing.T) {
	cluster := redistest.StartCluster(t)
	client := cluster.Client(t)
	owners := map[string]bool{}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if err := client.Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		owner, err := cluster.SlotOwner(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := owner.Do(t.Context(), "get", key); err != nil {
			t.Errorf("who should own %s: %v", key, err)
		}
		if _, err := cluster.OtherNode(owner).Do(t.Context(), "get", key); !redis.HasErrorPrefix(err, "MOVED") {
			t.Errorf("who should not own %s: %v", key, err)
		}
		owners[owner.Addr] = true
	}
	if len(owners) != 3 {
		t.Errorf("the keys are on %d nodes", len(owners))
	}
}

// The command was executed, but its reply is lost.
func TestProxyLosesReplyOfExecutedCommand(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr, MaxRetries: -1, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = client.Close() })
	for range 2 {
		if err := client.Incr(t.Context(), "k").Err(); err != nil {
			t.Fatal(err)
		}
	}
	proxy.CutNext("incr")
	if err := client.Get(t.Context(), "k").Err(); err != nil {
		t.Errorf("another command was cut off: %v", err)
	}
	if err := client.Incr(t.Context(), "k").Err(); err == nil {
		t.Error("the reply came through")
	}
	if n, err := client.Get(t.Context(), "k").Int(); n != 3 || err != nil || proxy.Cuts() != 1 {
		t.Errorf("counted %d, %v, with %d cuts", n, err, proxy.Cuts())
	}
}

// The test is skipped with a reason.
func TestStartSkipsWithoutRedisServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := redistest.Run(t.TempDir()); !errors.Is(err, redistest.ErrMissing) {
		t.Errorf("Run: %v", err)
	}
	if _, err := redistest.RunCluster(t.TempDir); !errors.Is(err, redistest.ErrMissing) {
		t.Errorf("RunCluster: %v", err)
	}
	t.Run("skips", func(t *testing.T) {
		t.Cleanup(func() {
			if !t.Skipped() {
				t.Error("not skipped")
			}
		})
		redistest.Start(t)
	})
}
