package redis_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/outboxtest"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

func TestOutbox(t *testing.T) {
	server := redistest.Start(t)
	t.Run("requirements", func(t *testing.T) { runOutboxRequirements(t, server.URL()) })
	t.Run("create and update queue in one step", func(t *testing.T) { testQueuedWithEntry(t, server) })
}

func TestOutboxOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	t.Run("requirements", func(t *testing.T) { runOutboxRequirements(t, cluster.URL()) })
	t.Run("messages are in the slots of their entries", func(t *testing.T) { testMessagesAreDistributed(t, cluster) })
}

// runOutboxRequirements runs the suite on three processes with a client each. Every requirement has its own keys.
func runOutboxRequirements(t *testing.T, url string) {
	var clients []goredis.UniversalClient
	for range 3 {
		clients = append(clients, open(t, url))
	}
	var requirement atomic.Int64
	t.Run("all", func(t *testing.T) {
		outboxtest.Run(t, func(t *testing.T) outboxtest.Backend {
			prefix := fmt.Sprintf("outbox%d", requirement.Add(1))
			b := outboxtest.Backend{EndLeases: func(t testing.TB) { endLeases(t, clients[0], prefix) }}
			for _, client := range clients {
				b.Processes = append(b.Processes, newOutbox(t, client, prefix))
			}
			return b
		})
	})
}

func newOutbox(t testing.TB, client goredis.UniversalClient, prefix string) *redis.Outbox {
	t.Helper()
	o, err := redis.NewOutbox(redis.New(client, redis.Config{Prefix: prefix, Timeout: 10 * time.Second}), redis.OutboxConfig{App: "shop"})
	must(t, err)
	return o
}

// endLeases makes all claimed entries idle for longer than the lease.
func endLeases(t testing.TB, client goredis.UniversalClient, prefix string) {
	t.Helper()
	ctx := t.Context()
	for p := range 64 {
		stream := fmt.Sprintf("{%s:%d}:o:shop", prefix, p)
		pending, err := client.XPendingExt(ctx, &goredis.XPendingExtArgs{Stream: stream, Group: "w", Start: "-", End: "+", Count: 1000}).Result()
		if goredis.HasErrorPrefix(err, "NOGROUP") || err == goredis.Nil {
			continue
		}
		must(t, err)
		for _, entry := range pending {
			args := []any{"xclaim", stream, "w", entry.Consumer, 0, entry.ID, "idle", watchword.SendLease.Milliseconds() + 1, "justid"}
			must(t, client.Do(ctx, args...).Err())
		}
	}
}

// elements returns what an outbox holds, due or not.
func elements(t testing.TB, client goredis.UniversalClient, tag string) (all []string) {
	t.Helper()
	entries, err := client.XRange(t.Context(), tag+":o:shop", "-", "+").Result()
	must(t, err)
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.Values["m"]))
	}
	return append(all, client.ZRange(t.Context(), tag+":d:shop", 0, -1).Val()...)
}

func testQueuedWithEntry(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	o := newOutbox(t, client, "step")
	out := watchword.Outgoing{ChallengeID: "ch_1", Send: 1}
	later := watchword.Outgoing{Kind: "fallback", ChallengeID: "ch_1", Send: 1, Due: time.Now().Add(time.Minute)}
	e := entry("g.1")
	must(t, o.Create(t.Context(), e, out, later))
	wants(t, "a second Create", o.Create(t.Context(), e, out), watchword.ErrExists)
	e.Version = 7
	wants(t, "Update of another version", o.Update(t.Context(), e, out), watchword.ErrConflict)
	e.ID = "g.unknown"
	wants(t, "Update of nothing", o.Update(t.Context(), e, out), watchword.ErrNotFound)
	e.ID, e.Version, out.Send = "g.1", 1, 2
	must(t, o.Update(t.Context(), e, out))
	if got := strings.Join(elements(t, client, "{step:0}"), " "); got != "|1|0|ch_1 |2|0|ch_1 fallback|1|0|ch_1" {
		t.Errorf("the outbox holds %s", got)
	}
	if n := client.Exists(t.Context(), "{step:0}:e:g.unknown").Val(); n != 0 {
		t.Error("an entry was made")
	}
}

// testMessagesAreDistributed starts challenges on every partition, and claims their messages in another process.
func testMessagesAreDistributed(t *testing.T, cluster *redistest.Cluster) {
	first, second := newOutbox(t, open(t, cluster.URL()), "far"), newOutbox(t, open(t, cluster.URL()), "far")
	const n = 300
	for i := range n {
		must(t, first.Create(t.Context(), entry(fmt.Sprintf("group%d.x", i)), watchword.Outgoing{ChallengeID: fmt.Sprint("ch_", i), Send: 1}))
	}
	seen := map[string]bool{}
	for len(seen) < n {
		out, err := second.Claim(t.Context(), 32)
		must(t, err)
		for _, one := range out {
			if seen[one.ChallengeID] {
				t.Fatalf("%s was claimed twice", one.ChallengeID)
			}
			seen[one.ChallengeID] = true
			must(t, second.Done(t.Context(), one))
		}
	}
	for i, node := range cluster.Nodes {
		streams, err := node.Client(t).Keys(t.Context(), "{far:*}:o:*").Result()
		must(t, err)
		if len(streams) < 5 {
			t.Errorf("node %d has %d streams", i, len(streams))
		}
	}
}
