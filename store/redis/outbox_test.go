package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	t.Run("create stores nothing if it cannot queue", func(t *testing.T) { testNothingStoredWithoutMessage(t, server) })
	t.Run("five claims", func(t *testing.T) { testFiveClaims(t, server) })
	t.Run("entries of others", func(t *testing.T) { testEntriesOfOthers(t, server) })
	t.Run("dead consumers", func(t *testing.T) { testDeadConsumers(t, server) })
	t.Run("ping", func(t *testing.T) { testOutboxPing(t, server) })
	t.Run("direct messages", func(t *testing.T) { testDirect(t, server) })
	t.Run("update and finish", func(t *testing.T) { testUpdateAndFinish(t, server) })
	t.Run("lost replies", func(t *testing.T) { testLostClaims(t, server) })
	t.Run("ids only", func(t *testing.T) { testIDsOnly(t, server) })
	t.Run("backlog", func(t *testing.T) { testBacklog(t, server) })
}

func TestOutboxOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, "--cluster-require-full-coverage", "no")
	t.Run("requirements", func(t *testing.T) { runOutboxRequirements(t, cluster.URL()) })
	t.Run("messages are in the slots of their entries", func(t *testing.T) { testMessagesAreDistributed(t, cluster) })
	t.Run("finish with an entry of another partition", func(t *testing.T) { testFinishOfAnotherPartition(t, cluster) })
	t.Run("backlog of all partitions", func(t *testing.T) { testBacklogOfAllPartitions(t, cluster) })
	t.Run("a node hangs", func(t *testing.T) { testOutboxWithHangingNode(t, cluster) }) // last, because the node is taken for failed
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
	o, err := redis.NewOutbox(newStore(client, redis.Config{Prefix: prefix}), redis.OutboxConfig{App: "shop"})
	must(t, err)
	return o
}

// endLeases makes all claimed entries idle for longer than the lease.
func endLeases(t testing.TB, client goredis.UniversalClient, prefix string) {
	t.Helper()
	for p := range 64 {
		endLeasesOf(t, client, fmt.Sprintf("{%s:%d}:o:shop", prefix, p))
	}
}

func endLeasesOf(t testing.TB, client goredis.UniversalClient, stream string) {
	t.Helper()
	ctx := t.Context()
	pending, err := client.XPendingExt(ctx, &goredis.XPendingExtArgs{Stream: stream, Group: "w", Start: "-", End: "+", Count: 1000}).Result()
	if goredis.HasErrorPrefix(err, "NOGROUP") || err == goredis.Nil {
		return
	}
	must(t, err)
	for _, entry := range pending {
		args := []any{"xclaim", stream, "w", entry.Consumer, 0, entry.ID, "idle", watchword.SendLease.Milliseconds() + 1, "justid"}
		must(t, client.Do(ctx, args...).Err())
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

func message(n int) watchword.Outgoing {
	return watchword.Outgoing{ChallengeID: fmt.Sprint("ch_", n), Send: 1}
}

// testIDsOnly refuses to queue what is no id.
func testIDsOnly(t *testing.T, server *redistest.Server) {
	o := newOutbox(t, open(t, server.URL()), "ids")
	for _, bad := range []watchword.Outgoing{{}, {ChallengeID: strings.Repeat("x", 300)}, {ChallengeID: "ch_1", Kind: "Kind|1"}} {
		if err := o.Create(t.Context(), entry("g.1"), bad); err == nil {
			t.Errorf("queued %+v", bad)
		}
	}
	if _, err := o.Get(t.Context(), "g.1"); !errors.Is(err, watchword.ErrNotFound) {
		t.Errorf("stored: %v", err)
	}
}

// testDirect queues messages for the worker of their own process. It gets them without asking Redis. If it dies, another process
// gets them after the lease.
func testDirect(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	own, other := newOutbox(t, client, "direct"), newOutbox(t, client, "direct")
	if own.Reserve() {
		t.Fatal("reserved although no worker waits")
	}
	claims := make(chan []watchword.Outgoing, 1)
	waitForOne := func() { // claims once, so that only the other process asks Redis later
		go func() {
			out, _ := own.Claim(t.Context(), 2)
			claims <- out
		}()
		await(t, "a reservation", own.Reserve)
	}
	waitForOne()
	if !own.Reserve() || own.Reserve() {
		t.Fatal("a worker that takes two messages has not exactly two reservations")
	}
	wants(t, "an update", own.Update(t.Context(), entry("g.0"), direct("ch_0")), watchword.ErrNotFound) // uses one up
	must(t, own.Create(t.Context(), entry("g.1"), direct("ch_1")))
	out := <-claims
	if len(out) != 1 || out[0].ChallengeID != "ch_1" || !out[0].Direct {
		t.Fatalf("claimed %v", out)
	}
	if n := client.XLen(t.Context(), "{direct:0}:o:shop").Val(); n != 0 {
		t.Errorf("%d entries in the stream", n)
	}
	short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if got, err := other.Claim(short, 10); err == nil {
		t.Fatalf("another process has %v before the lease ends", got)
	}
	must(t, client.ZAdd(t.Context(), "{direct:0}:d:shop", goredis.Z{Score: 1, Member: "|1|0|ch_1"}).Err())
	got, err := other.Claim(t.Context(), 10)
	if err != nil || len(got) != 1 || got[0].ChallengeID != "ch_1" || got[0].Direct {
		t.Fatalf("after the lease: %v, %v", got, err)
	}
	must(t, other.Done(t.Context(), got[0]))
	must(t, own.Done(t.Context(), out[0])) // too late, and no error

	waitForOne()
	must(t, own.Create(t.Context(), entry("g.2"), direct("ch_2")))
	out = <-claims
	must(t, own.Done(t.Context(), out[0]))
	waitForOne()
	must(t, own.Create(t.Context(), entry("g.3"), direct("ch_3")))
	out = <-claims
	must(t, own.Retry(t.Context(), out[0], time.Now().Add(time.Hour)))
	if left := elements(t, client, "{direct:0}"); !slices.Equal(left, []string{"|1|1|ch_3"}) {
		t.Errorf("left: %q", left)
	}
	testDirectWithoutTry(t, client, own, claims, waitForOne)
}

// testDirectWithoutTry returns a direct message that no provider was called for: its attempt, and so its element, stays the same.
func testDirectWithoutTry(t *testing.T, client goredis.UniversalClient, own *redis.Outbox, claims chan []watchword.Outgoing, waitForOne func()) {
	t.Helper()
	for i, at := range []time.Time{time.Now().Add(time.Hour), {}} {
		id := fmt.Sprint("ch_", 4+i)
		waitForOne()
		must(t, own.Create(t.Context(), entry("g."+id), direct(id)))
		out := (<-claims)[0]
		out.Attempt--
		must(t, own.Retry(t.Context(), out, at))
		found := 0
		for _, element := range elements(t, client, "{direct:0}") {
			if element == "|1|0|"+id {
				found++
			}
		}
		if found != 1 {
			t.Errorf("the message of %s is queued %d times", id, found)
		}
	}
}

func direct(id string) watchword.Outgoing {
	return watchword.Outgoing{ChallengeID: id, Send: 1, Direct: true}
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("no %s", what)
}
