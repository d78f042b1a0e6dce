package redis_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// tooLong is much longer than a call may take while its server is down, and much shorter than go-redis' default timeouts. A runClock
// measures it.
const tooLong = 2 * time.Second

// Calls fail at once while the server is stopped. When it is back, the same client works again.
func TestStoreRecoversWhenTheServerReturns(t *testing.T) {
	server := redistest.Start(t)
	s := redis.New(openAsGiven(t, server.URL()), redis.Config{})
	createEventually(t, s, "g.1")
	waitUntilAvailable(t, s)
	server.Stop()
	wantUnavailable(t, s)
	must(t, server.Start())
	waitUntilAvailable(t, s)
	createEventually(t, s, "g.2")
	eventually(t, "a right guess", func() error { // with a script that the server has forgotten
		_, err := s.Attempt(t.Context(), "g.2", guess("right"), limited("g.any"))
		return ignore(err, watchword.ErrClosed)
	})
}

// createEventually creates an entry with a store whose calls may end too soon on a busy machine.
func createEventually(t *testing.T, s *redis.Store, id string) {
	t.Helper()
	eventually(t, "Create", func() error { return ignore(s.Create(t.Context(), entry(id)), watchword.ErrExists) })
}

// Calls to a hanging server fail within the timeouts, and do not block later calls.
func TestCallsToHangingServerEndWithinTimeout(t *testing.T) {
	server := redistest.Start(t)
	s := redis.New(openAsGiven(t, server.URL()), redis.Config{})
	createEventually(t, s, "g.1")
	must(t, server.Pause())
	wantUnavailable(t, s)
	must(t, server.Resume())
	waitUntilAvailable(t, s)
	createEventually(t, s, "g.2")
}

// While a node of a Cluster is down, its entries are unavailable and Ping fails.
func testNodeStops(t *testing.T, cluster *redistest.Cluster) {
	s := redis.New(openAsGiven(t, cluster.URL()), redis.Config{})
	waitUntilAvailable(t, s)
	reached, clock := map[bool]int{}, startRunClock(t)
	cluster.Nodes[2].Stop()
	for _, g := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		begin := clock.now()
		err := s.Create(t.Context(), entry(g+".1"))
		wantQuick(t, clock.now()-begin)
		reached[err == nil]++
	}
	if reached[true] == 0 || reached[false] == 0 {
		t.Errorf("with one node of three gone, reached or not: %v", reached)
	}
	if s.PingNow(t.Context()) == nil {
		t.Error("Ping finds nothing wrong though a node is gone")
	}
}

// wantUnavailable checks that every call fails soon, and with an error that is not a result of the store.
func wantUnavailable(t *testing.T, s *redis.Store) {
	t.Helper()
	calls := []func(ctx context.Context) error{
		s.PingNow,
		s.CheckPolicy,
		func(ctx context.Context) error { return s.Create(ctx, entry("g.3")) },
		func(ctx context.Context) error { _, err := s.Get(ctx, "g.1"); return err },
		func(ctx context.Context) error {
			_, err := s.Attempt(ctx, "g.1", guess("right"), limited("g.any"))
			return err
		},
		func(ctx context.Context) error {
			return s.Close(ctx, "g.1", watchword.Closing{State: watchword.StateApproved})
		},
		func(ctx context.Context) error { return s.Update(ctx, watchword.Entry{ID: "g.1", Version: 1}) },
	}
	var all sync.WaitGroup
	clock := startRunClock(t)
	for range 20 {
		for i, call := range calls {
			all.Go(func() {
				begin := clock.now()
				err := call(context.WithoutCancel(t.Context()))
				wantQuick(t, clock.now()-begin)
				if err == nil {
					t.Errorf("call %d: no error though the server is gone", i)
				}
				for _, answer := range []error{watchword.ErrNotFound, watchword.ErrExists, watchword.ErrClosed, watchword.ErrExpired,
					watchword.ErrSpent, watchword.ErrMismatch, watchword.ErrConflict} {
					if errors.Is(err, answer) {
						t.Errorf("call %d: %v though the server is gone", i, err)
					}
				}
			})
		}
	}
	all.Wait()
}

// waitUntilAvailable waits until calls succeed again. After many failures go-redis reconnects once a second.
func waitUntilAvailable(t *testing.T, s *redis.Store) {
	t.Helper()
	eventually(t, "the server is back, but not for the store", func() error { return s.PingNow(t.Context()) })
}

func wantQuick(t *testing.T, took time.Duration) {
	t.Helper()
	if took > tooLong {
		t.Errorf("took %s", took)
	}
}

// The reply is lost after the command was executed: the command has taken effect once, and the error reports an unknown
// outcome. The client has go-redis' default retries.
func TestLostReplyReportsUnknownOutcome(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := goredis.NewClient(&goredis.Options{Addr: proxy.Addr, MaxRetries: 3, ReadTimeout: patience})
	t.Cleanup(func() { _ = client.Close() })
	checkLostReply(t, newStore(client, redis.Config{}), newStore(open(t, server.URL()), redis.Config{}), proxy)
}

func testLostReplyOnCluster(t *testing.T, cluster *redistest.Cluster) {
	cfg := redis.Config{Prefix: "cut", Partitions: 1}
	owner, err := cluster.SlotOwner(t.Context(), "{cut:0}")
	must(t, err)
	proxy := redistest.StartProxy(t, owner.Addr)
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{owner.Addr}, MaxRetries: 3, ReadTimeout: patience,
		Dialer: dialProxy(owner, proxy)})
	t.Cleanup(func() { _ = client.Close() })
	checkLostReply(t, newStore(client, cfg), newStore(open(t, cluster.URL()), cfg), proxy)
}

func checkLostReply(t *testing.T, s, direct *redis.Store, proxy *redistest.Proxy) {
	t.Helper()
	ctx, b := t.Context(), limited("g.any")
	must(t, s.PingNow(ctx)) // connects to every node. A connection to another node discards the estimates of clocks
	// The scripts are loaded, so that each is sent once.
	must(t, s.Create(ctx, entry("g.0")))
	_, err := s.Attempt(ctx, "g.0", guess("right"), b)
	must(t, err)
	wants(t, "Close", s.Close(ctx, "g.0", watchword.Closing{State: watchword.StateApproved}), watchword.ErrClosed)
	must(t, s.Update(ctx, watchword.Entry{ID: "g.0", Version: 1, State: watchword.StateApproved}))

	lost := func(what, word string, call func() error) {
		t.Helper()
		proxy.CutNext(word)
		if err := call(); err == nil || errors.Is(err, watchword.ErrExists) || errors.Is(err, watchword.ErrClosed) || errors.Is(err, watchword.ErrConflict) {
			t.Errorf("%s, cut off: got %v", what, err)
		}
	}
	lost("Create", "evalsha", func() error { return s.Create(ctx, entry("g.1")) })
	lost("a wrong guess", "evalsha", func() error { _, err := s.Attempt(ctx, "g.1", guess("wrong"), b); return err })
	e, err := direct.Get(ctx, "g.1")
	if err != nil || e.Used != 1 || e.Tries != 4 {
		t.Errorf("a wrong guess that was cut off: %d used, %d left, %v", e.Used, e.Tries, err)
	}
	lost("Update", "evalsha", func() error { return s.Update(ctx, e) })
	lost("a right guess", "evalsha", func() error { _, err := s.Attempt(ctx, "g.1", guess("right"), b); return err })
	if e, err = direct.Get(ctx, "g.1"); err != nil || e.Used != 2 || e.Version != 2 || e.State != watchword.StateApproved {
		t.Errorf("after all that was cut off: %+v, %v", e, err)
	}
	must(t, s.Create(ctx, entry("g.2")))
	lost("Close", "evalsha", func() error { return s.Close(ctx, "g.2", watchword.Closing{State: watchword.StateCanceled}) })
	wants(t, "Close after one that was cut off", s.Close(ctx, "g.2", watchword.Closing{State: watchword.StateApproved}), watchword.ErrClosed)
	if proxy.Cuts() != 5 {
		t.Errorf("%d connections were cut", proxy.Cuts())
	}
}
