package redis_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// tooLong is much longer than a call may take while its server is down, and much shorter than go-redis' default timeouts.
const tooLong = 2 * time.Second

// Calls fail at once while the server is stopped. When it is back, the same client works again.
func TestStoreRecoversWhenTheServerReturns(t *testing.T) {
	server := redistest.Start(t)
	s := redis.New(open(t, server.URL()), redis.Config{})
	must(t, s.Create(t.Context(), entry("g.1")))
	must(t, s.PingNow(t.Context()))
	server.Stop()
	wantUnavailable(t, s)
	must(t, server.Start())
	waitUntilAvailable(t, s)
	must(t, s.Create(t.Context(), entry("g.2")))
	_, err := s.Attempt(t.Context(), "g.2", guess("right"), limited("g.any")) // a script that the server has forgotten
	must(t, err)
}

// Calls to a hanging server fail within the timeouts, and do not block later calls.
func TestCallsToHangingServerEndWithinTimeout(t *testing.T) {
	server := redistest.Start(t)
	s := redis.New(open(t, server.URL()), redis.Config{})
	must(t, s.Create(t.Context(), entry("g.1")))
	must(t, server.Pause())
	wantUnavailable(t, s)
	must(t, server.Resume())
	waitUntilAvailable(t, s)
	must(t, s.Create(t.Context(), entry("g.2")))
}

// While a node of a Cluster is down, its entries are unavailable and Ping fails.
func testNodeStops(t *testing.T, cluster *redistest.Cluster) {
	s := redis.New(open(t, cluster.URL()), redis.Config{})
	must(t, s.PingNow(t.Context()))
	reached := map[bool]int{}
	cluster.Nodes[2].Stop()
	for _, g := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		begin := time.Now()
		err := s.Create(t.Context(), entry(g+".1"))
		wantQuick(t, begin)
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
	for range 20 {
		for i, call := range calls {
			all.Go(func() {
				begin := time.Now()
				err := call(context.WithoutCancel(t.Context()))
				wantQuick(t, begin)
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
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := s.PingNow(t.Context())
		if err == nil {
			return
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("the server is back, but not for the store: %v", err)
		}
	}
}

func wantQuick(t *testing.T, begin time.Time) {
	t.Helper()
	if took := time.Since(begin); took > tooLong {
		t.Errorf("took %s", took)
	}
}

// The reply is lost after the command was executed: the command has taken effect once, and the error reports an unknown
// outcome. The client has go-redis' default retries.
func TestLostReplyReportsUnknownOutcome(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := goredis.NewClient(&goredis.Options{Addr: proxy.Addr, MaxRetries: 3})
	t.Cleanup(func() { _ = client.Close() })
	checkLostReply(t, redis.New(client, redis.Config{}), redis.New(open(t, server.URL()), redis.Config{}), proxy)
}

func testLostReplyOnCluster(t *testing.T, cluster *redistest.Cluster) {
	cfg := redis.Config{Prefix: "cut", Partitions: 1}
	owner, err := cluster.SlotOwner(t.Context(), "{cut:0}")
	must(t, err)
	proxy := redistest.StartProxy(t, owner.Addr)
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{owner.Addr}, MaxRetries: 3,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == owner.Addr {
				addr = proxy.Addr
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}})
	t.Cleanup(func() { _ = client.Close() })
	checkLostReply(t, redis.New(client, cfg), redis.New(open(t, cluster.URL()), cfg), proxy)
}

func checkLostReply(t *testing.T, s, direct *redis.Store, proxy *redistest.Proxy) {
	t.Helper()
	ctx, b := t.Context(), limited("g.any")
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
