package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
	"github.com/watchword-auth/watchword/store/storetest"
)

func TestStore(t *testing.T) {
	hold(t, redistest.Start(t).URL(), redis.Config{})
}

func TestStoreOnCluster(t *testing.T) {
	hold(t, redistest.StartCluster(t).URL(), redis.Config{})
}

// hold runs the promises on two nodes with a client each. Every promise has keys of its own.
func hold(t *testing.T, url string, cfg redis.Config) {
	clients := []goredis.UniversalClient{open(t, url), open(t, url)}
	var promise atomic.Int64
	t.Run("promises", func(t *testing.T) {
		storetest.RunBackend(t, func(testing.TB) storetest.Backend {
			cfg := cfg
			cfg.Prefix = fmt.Sprintf("promise%d", promise.Add(1))
			return storetest.Backend{Nodes: []watchword.Store{redis.New(clients[0], cfg), redis.New(clients[1], cfg)}}
		})
	})
}

func open(t testing.TB, url string) goredis.UniversalClient {
	t.Helper()
	client, err := redis.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
