package redis_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
	"github.com/watchword-auth/watchword/store/storetest"
)

func TestStore(t *testing.T) {
	server := redistest.Start(t)
	t.Run("requirements", func(t *testing.T) { runRequirements(t, server.URL()) })
	t.Run("one command per call", func(t *testing.T) { testOneCommandPerCall(t, open(t, server.URL())) })
	t.Run("keys", func(t *testing.T) { testKeys(t, open(t, server.URL())) })
	t.Run("limits that shrink", func(t *testing.T) { testShrinkingLimits(t, open(t, server.URL())) })
	t.Run("another group's budget", func(t *testing.T) { testBudgetOfAnotherGroup(t, open(t, server.URL())) })
	t.Run("content that is too long", func(t *testing.T) { testTooLongContent(t, open(t, server.URL())) })
	t.Run("damaged values", func(t *testing.T) { testDamagedValues(t, open(t, server.URL())) })
}

func TestStoreOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, "--cluster-require-full-coverage", "no")
	t.Run("requirements", func(t *testing.T) { runRequirements(t, cluster.URL()) })
	t.Run("one command per call", func(t *testing.T) { testOneCommandPerCall(t, open(t, cluster.URL())) })
	t.Run("entries are distributed", func(t *testing.T) { testEntriesAreDistributed(t, cluster) })
	t.Run("slot migration", func(t *testing.T) { testSlotMigration(t, cluster) })
	t.Run("lost reply", func(t *testing.T) { testLostReplyOnCluster(t, cluster) })
	t.Run("broken pipelines", func(t *testing.T) { testBrokenPipelinesOnCluster(t, cluster) })
	t.Run("policy", func(t *testing.T) { testPolicyOnCluster(t, cluster) })
	t.Run("ping", func(t *testing.T) { testPingOnCluster(t, cluster) })
	t.Run("waiting for replicas", func(t *testing.T) { testWaitOnCluster(t, cluster) })
	t.Run("a node stops", func(t *testing.T) { testNodeStops(t, cluster) }) // last, because the node stays down
}

// runRequirements runs storetest on two nodes with a client each. Every requirement has its own keys.
func runRequirements(t *testing.T, url string) {
	clients := []goredis.UniversalClient{open(t, url), open(t, url)}
	var promise atomic.Int64
	trips := &roundTrips{}
	t.Run("all", func(t *testing.T) {
		storetest.RunBackend(t, func(testing.TB) storetest.Backend {
			cfg := redis.Config{Prefix: fmt.Sprintf("promise%d", promise.Add(1)), OnRoundTrip: trips.note}
			return storetest.Backend{Nodes: []watchword.Store{newStore(clients[0], cfg), newStore(clients[1], cfg)}}
		})
	})
	if shared, largest := trips.shared(); shared < 10 || largest > 64 {
		t.Errorf("%d round trips were shared, the largest by %d calls", shared, largest)
	}
}

// testOneCommandPerCall counts the commands of each call, except those of new connections and for unknown scripts.
func testOneCommandPerCall(t *testing.T, client goredis.UniversalClient) {
	ctx, s := t.Context(), newStore(client, redis.Config{Prefix: "count"})
	everything := func(id string) map[string]func() error {
		e := entry("group." + id)
		return map[string]func() error{
			"1 evalsha create":   func() error { return s.Create(ctx, e) },
			"2 getrange":         func() error { _, err := s.Get(ctx, e.ID); return err },
			"3 evalsha wrong":    func() error { _, err := s.Attempt(ctx, e.ID, guess("wrong"), limited("group.any")); return err },
			"4 evalsha update":   func() error { e.Version = 1; return s.Update(ctx, e) },
			"5 evalsha right":    func() error { _, err := s.Attempt(ctx, e.ID, guess("right"), limited("group.any")); return err },
			"6 evalsha close":    func() error { return s.Close(ctx, e.ID, watchword.Closing{State: watchword.StateCanceled}) },
			"7 evalsha too late": func() error { _, err := s.Attempt(ctx, e.ID, guess("right"), limited("group.any")); return err },
		}
	}
	must(t, s.PingNow(ctx)) // connects to every node of a Cluster. A connection to another node discards the estimates of clocks
	warm := everything("warm")
	for _, name := range sorted(warm) {
		_ = warm[name]()
	}
	sent := &commands{}
	client.AddHook(sent)
	calls := everything("counted")
	for _, name := range sorted(calls) {
		if err := calls[name](); err != nil && !errors.Is(err, watchword.ErrMismatch) && !errors.Is(err, watchword.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
		var verb string
		_, _ = fmt.Sscanf(name[2:], "%s", &verb)
		if got := sent.take(); !slices.Equal(got, []string{verb}) {
			t.Errorf("%s: sent %v", name, got)
		}
	}
}

func sorted(m map[string]func() error) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// testKeys checks the keys in Redis, their expiry and their removal.
func testKeys(t *testing.T, client goredis.UniversalClient) {
	ctx, s := t.Context(), newStore(client, redis.Config{Prefix: "app", Partitions: 16})
	must(t, s.Create(ctx, entry("AbCdEfGhIjk.xyz")))
	for range 3 {
		_, err := s.Attempt(ctx, "AbCdEfGhIjk.xyz", guess("wrong"), limited("AbCdEfGhIjk.any"))
		wants(t, "a wrong guess", err, watchword.ErrMismatch)
	}
	const entryKey, budgetKey = "{app:11}:e:AbCdEfGhIjk.xyz", "{app:11}:b:AbCdEfGhIjk.any"
	found, err := client.Keys(ctx, "{app:*").Result()
	must(t, err)
	slices.Sort(found)
	if !slices.Equal(found, []string{budgetKey, entryKey}) {
		t.Fatalf("keys: %q", found)
	}
	log, newest := []byte(client.Get(ctx, budgetKey).Val()), time.Now().Add(time.Minute)
	if len(log) != 3*8 {
		t.Errorf("%d bytes of charges after three wrong guesses", len(log))
	}
	for ; len(log) >= 8; log = log[8:] {
		charged := time.UnixMicro(int64(binary.BigEndian.Uint64(log)))
		if !charged.Before(newest) || time.Since(charged) > time.Minute {
			t.Errorf("a charge is kept as of %s, the one after it as of %s", charged, newest)
		}
		newest = charged
	}
	for key, want := range map[string]time.Duration{entryKey: 25 * time.Minute, budgetKey: 24 * time.Hour} {
		if ttl := client.PTTL(ctx, key).Val(); ttl > want+time.Second || ttl < want-time.Minute {
			t.Errorf("%s lives for %s, want %s", key, ttl, want)
		}
	}
	_, err = s.Attempt(ctx, "AbCdEfGhIjk.xyz", guess("right"), limited("AbCdEfGhIjk.any"))
	must(t, err)
	if n := client.Exists(ctx, budgetKey).Val(); n != 0 {
		t.Error("the budget is still there after an approval")
	}
	if ttl := client.PTTL(ctx, entryKey).Val(); ttl < 20*time.Minute || ttl > 26*time.Minute {
		t.Errorf("a closed entry lives for %s", ttl)
	}
}

// testShrinkingLimits checks that a budget keeps no more charges than its limits need.
func testShrinkingLimits(t *testing.T, client goredis.UniversalClient) {
	ctx, s := t.Context(), newStore(client, redis.Config{Prefix: "shrink"})
	for _, most := range []int{20, 3} {
		for i := range 30 { // first tries, which are charged though the budget is spent
			e := entry(fmt.Sprintf("g.%d-%d", most, i))
			must(t, s.Create(ctx, e))
			_, err := s.Attempt(ctx, e.ID, guess("wrong"), watchword.Budget{Key: "g.any", FirstFree: true, Limits: []watchword.Window{{Max: most, Per: time.Hour}}})
			wants(t, "a wrong guess", err, watchword.ErrMismatch)
		}
		if n := client.StrLen(ctx, "{shrink:0}:b:g.any").Val(); n != int64(8*most) {
			t.Errorf("%d bytes are kept for limits of %d", n, most)
		}
	}
}

// testBudgetOfAnotherGroup checks that a budget on another node is refused.
func testBudgetOfAnotherGroup(t *testing.T, client goredis.UniversalClient) {
	ctx, s := t.Context(), newStore(client, redis.Config{Prefix: "another"})
	must(t, s.Create(ctx, entry("mine.1")))
	if _, err := s.Attempt(ctx, "mine.1", guess("right"), limited("yours.any")); err == nil {
		t.Error("an entry was charged to another group's budget")
	}
	if err := s.Close(ctx, "mine.1", watchword.Closing{State: watchword.StateApproved, Clear: "yours.any"}); err == nil {
		t.Error("an entry emptied another group's budget")
	}
	for _, state := range []watchword.State{watchword.StatePending, watchword.StateCanceled, 77} {
		bad := guess("right")
		bad[0].State = state
		if _, err := s.Attempt(ctx, "mine.1", bad, watchword.Budget{}); err == nil {
			t.Errorf("a guess may lead to state %d", state)
		}
	}
	if err := s.Close(ctx, "mine.1", watchword.Closing{}); err == nil {
		t.Error("an entry was closed as pending")
	}
	if e, err := s.Get(ctx, "mine.1"); err != nil || e.Used != 0 || e.State != watchword.StatePending {
		t.Errorf("after nothing but refusals: %+v, %v", e, err)
	}
}

// testTooLongContent checks that what the store would not read is not stored.
func testTooLongContent(t *testing.T, client goredis.UniversalClient) {
	ctx, s := t.Context(), newStore(client, redis.Config{Prefix: "long"})
	long := entry("g.1")
	long.Sealed = make([]byte, 128<<10)
	for what, err := range map[string]error{"Create": s.Create(ctx, long), "Update": s.Update(ctx, long),
		"Close": s.Close(ctx, "g.1", watchword.Closing{State: watchword.StateCanceled, Sealed: make([]byte, 128<<10+1)})} {
		if err == nil || !strings.Contains(err.Error(), "128 KiB") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// testEntriesAreDistributed checks that all nodes of a Cluster store entries.
func testEntriesAreDistributed(t *testing.T, cluster *redistest.Cluster) {
	ctx, s := t.Context(), newStore(open(t, cluster.URL()), redis.Config{Prefix: "spread"})
	const n = 300
	for i := range n {
		must(t, s.Create(ctx, entry(fmt.Sprintf("group%d.x", i))))
	}
	for i, node := range cluster.Nodes {
		found, err := node.Client(t).Keys(ctx, "{spread:*").Result()
		must(t, err)
		if len(found) < n/6 {
			t.Errorf("node %d has %d of %d entries", i, len(found), n)
		}
	}
}

// testSlotMigration answers challenges while their slot migrates between nodes.
func testSlotMigration(t *testing.T, cluster *redistest.Cluster) {
	ctx := t.Context()
	s := newStore(open(t, cluster.URL()), redis.Config{Prefix: "moving", Partitions: 1})
	tag := "{moving:0}"
	from, err := cluster.SlotOwner(ctx, tag)
	must(t, err)
	to := cluster.OtherNode(from)
	for _, id := range []string{"g.1", "g.2", "g.3"} {
		must(t, s.Create(ctx, entry(id)))
	}
	attempt := func(id, word string, want error) {
		t.Helper()
		_, err := s.Attempt(ctx, id, guess(word), limited("g.any"))
		wants(t, id, err, want)
	}
	attempt("g.1", "wrong", watchword.ErrMismatch)
	must(t, cluster.BeginSlotMove(ctx, tag, from, to))
	attempt("g.1", "wrong", watchword.ErrMismatch) // both keys are on the old node
	must(t, cluster.MoveKeys(ctx, from, to, tag+":e:g.1", tag+":b:g.any"))
	attempt("g.1", "wrong", watchword.ErrMismatch) // both keys are on the new node
	must(t, cluster.MoveKeys(ctx, from, to, tag+":e:g.2", tag+":e:g.3"))
	attempt("g.2", "right", nil)
	must(t, cluster.FinishSlotMove(ctx, tag, to))
	attempt("g.3", "right", nil)
	e, err := s.Get(ctx, "g.1")
	if err != nil || e.Used != 3 {
		t.Errorf("%d tries are counted of three (%v)", e.Used, err)
	}
}

// A call ends with its context.
func TestCallsEndWithTheirContext(t *testing.T) {
	s := newStore(open(t, redistest.Start(t).URL()), redis.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, "Create", s.Create(ctx, entry("g.1")), context.Canceled)
	_, err := s.Get(t.Context(), "g.1")
	wants(t, "Get", err, watchword.ErrNotFound)
}
