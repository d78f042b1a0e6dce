package redistest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
)

func clientOf(t *testing.T, p *redistest.Proxy) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: p.Addr, MaxRetries: -1, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestProxyDelaysEitherDirection(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := clientOf(t, proxy)
	const lag = 60 * time.Millisecond
	for _, c := range []struct{ toServer, toClient, least time.Duration }{{lag, 0, lag}, {0, lag, lag}, {lag, lag, 2 * lag}} {
		proxy.SetLag(c.toServer, c.toClient)
		before := time.Now()
		if err := client.Incr(t.Context(), "k").Err(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(before); took < c.least {
			t.Errorf("%s there and %s back: took %s", c.toServer, c.toClient, took)
		}
	}
}

// The held command is not executed before its release; other commands are.
func TestProxyHoldsCommandUntilReleased(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := clientOf(t, proxy)
	hold := proxy.HoldNth("incr", 2)
	if err := client.Incr(t.Context(), "k").Err(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- client.Incr(t.Context(), "k").Err() }()
	<-hold.Held()
	if n, err := client.Get(t.Context(), "k").Int(); n != 1 || err != nil {
		t.Errorf("counted %d while the second is held, %v", n, err)
	}
	hold.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n, err := client.Get(t.Context(), "k").Int(); n != 2 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
}

func TestProxyDropsHeldCommand(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := clientOf(t, proxy)
	hold := proxy.HoldNth("incr", 1)
	done := make(chan error, 1)
	go func() { done <- client.Incr(t.Context(), "k").Err() }()
	<-hold.Held()
	hold.Drop()
	if err := <-done; err == nil {
		t.Error("the sender's connection was not dropped")
	}
	if err := client.Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("it was carried out: %v", err)
	}
}

// A Cluster client uses the proxies for every node.
func TestClusterProxyDelaysEveryNode(t *testing.T) {
	cluster := redistest.StartCluster(t)
	proxy := redistest.StartClusterProxy(t, cluster)
	options, err := redis.ParseClusterURL("redis" + proxy.URL()[len("redis+cluster"):])
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClusterClient(options)
	t.Cleanup(func() { _ = client.Close() })
	const lag = 30 * time.Millisecond
	proxy.SetLag(lag, 0)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		before := time.Now()
		if err := client.Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(before); took < lag {
			t.Errorf("%s: took %s", key, took)
		}
	}
	// The reply of a node that does not own the key contains the address of a proxy.
	owner, err := cluster.SlotOwner(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range cluster.Nodes {
		if node.Addr == owner.Addr {
			continue
		}
		direct := redis.NewClient(&redis.Options{Addr: proxy.AddrOf(node)})
		if err := direct.Get(t.Context(), "a").Err(); err == nil || !redis.HasErrorPrefix(err, "MOVED") || !strings.HasSuffix(err.Error(), " "+proxy.AddrOf(owner)) {
			t.Errorf("sent to %v, want %s", err, proxy.AddrOf(owner))
		}
		_ = direct.Close()
	}
}
