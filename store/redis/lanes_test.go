package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// roundTrips records how many commands share each round trip.
type roundTrips struct {
	mu    sync.Mutex
	sizes []int
}

func (r *roundTrips) note(commands int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sizes = append(r.sizes, commands)
}

// shared returns how many round trips had more than one command, and the largest number of commands.
func (r *roundTrips) shared() (trips, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.sizes {
		if n > 1 {
			trips++
		}
		largest = max(largest, n)
	}
	return trips, largest
}

func TestBrokenPipelinesChargeAndApproveOnce(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := goredis.NewClient(&goredis.Options{Addr: proxy.Addr, MaxRetries: 3, ReadTimeout: patience})
	t.Cleanup(func() { _ = client.Close() })
	checkBrokenPipelines(t, client, open(t, server.URL()), server, proxy)
}

func TestBrokenPipelinesChargeAndApproveOnceBehindSentinel(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	sentinel := redistest.StartSentinel(t, "main", server, "secret")
	proxy := redistest.StartProxy(t, server.Addr)
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{sentinel.Addr}, Password: "secret",
		MaxRetries: 3, ReadTimeout: patience, Dialer: dialProxy(server, proxy)})
	t.Cleanup(func() { _ = client.Close() })
	checkBrokenPipelines(t, client, open(t, "redis://:secret@"+server.Addr), server, proxy)
}

func testBrokenPipelinesOnCluster(t *testing.T, cluster *redistest.Cluster) {
	owner, err := cluster.SlotOwner(t.Context(), "{broken:0}")
	must(t, err)
	proxy := redistest.StartProxy(t, owner.Addr)
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{owner.Addr}, MaxRetries: 3, ReadTimeout: patience, Dialer: dialProxy(owner, proxy)})
	t.Cleanup(func() { _ = client.Close() })
	checkBrokenPipelines(t, client, open(t, cluster.URL()), owner, proxy)
}

// dialProxy returns a dialer that connects to the proxy in place of the server.
func dialProxy(server *redistest.Server, proxy *redistest.Proxy) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == server.Addr {
			addr = proxy.Addr
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}

// checkBrokenPipelines breaks the connections of two pipelines after the server has received them. The client repeats other
// commands.
func checkBrokenPipelines(t *testing.T, client, direct goredis.UniversalClient, server *redistest.Server, proxy *redistest.Proxy) {
	const each = 30 // entries with a wrong guess, entries with a right one, and right guesses at one entry
	ctx, trips := t.Context(), &roundTrips{}
	cfg := redis.Config{Prefix: "broken", Partitions: 1}
	onServer := newStore(direct, cfg)
	cfg.OnRoundTrip = trips.note
	s := newStore(client, cfg)
	ids := []string{"raced.cut", "first.0", "first.1"}
	for i := range each {
		ids = append(ids, fmt.Sprintf("wrong%d.cut", i), fmt.Sprintf("right%d.cut", i))
	}
	for _, id := range ids {
		must(t, onServer.Create(ctx, entry(id)))
	}
	attempt := func(id, word string) error {
		_, err := s.Attempt(ctx, id, guess(word), limited(strings.TrimSuffix(id, ".cut")+".any"))
		return err
	}
	// A failover client closes other connections when it learns who the master is. A connection to another node of a Cluster discards
	// the estimates of clocks, so that a script would be sent twice.
	must(t, s.PingNow(ctx))
	var first, all sync.WaitGroup
	pair := func() { // keeps two lanes busy
		for i := range 2 {
			first.Go(func() { wants(t, "before the cut", attempt(fmt.Sprint("first.", i), "wrong"), watchword.ErrMismatch) })
		}
	}
	pair() // loads the script and makes connections
	first.Wait()

	before := len(trips.all())
	must(t, server.Pause())
	pair()
	await(t, "round trip of each of two attempts", func() bool { return len(trips.all()) >= before+2 })
	proxy.CutEach(".cut", 2)
	raced, right := make([]error, each), make([]error, each)
	var begun atomic.Int32
	for i := range each {
		all.Go(func() {
			begun.Add(1)
			if err := attempt(fmt.Sprintf("wrong%d.cut", i), "wrong"); !errors.Is(err, watchword.ErrMismatch) && !errors.Is(err, watchword.ErrOutcomeUnknown) {
				t.Errorf("a wrong guess: %v", err)
			}
		})
		all.Go(func() { begun.Add(1); right[i] = attempt(fmt.Sprintf("right%d.cut", i), "right") })
		all.Go(func() { begun.Add(1); raced[i] = attempt("raced.cut", "right") })
	}
	await(t, "attempts begun", func() bool { return begun.Load() == 3*each })
	time.Sleep(50 * time.Millisecond) // most of them wait for a lane now
	must(t, server.Resume())
	all.Wait()
	first.Wait()
	if shared, _ := trips.shared(); shared < 2 || proxy.Cuts() != 2 {
		t.Fatalf("%d cuts, and round trips of %v commands: the test shows nothing", proxy.Cuts(), trips.all())
	}
	checkChargedOnce(t, onServer, direct, ids[3:])
	checkApprovedOnce(t, onServer, raced, right)
}

func (r *roundTrips) all() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int(nil), r.sizes...)
}

// checkChargedOnce checks that one try and one token of the budget was charged for each entry.
func checkChargedOnce(t *testing.T, s *redis.Store, client goredis.UniversalClient, ids []string) {
	t.Helper()
	for _, id := range ids {
		e, err := s.Get(t.Context(), id)
		if err != nil || e.Used != 1 || e.Tries != 4 {
			t.Errorf("%s: %d tries were charged for one attempt (%v)", id, e.Used, err)
		}
		if n := client.StrLen(t.Context(), "{broken:0}:b:"+strings.TrimSuffix(id, ".cut")+".any").Val(); strings.HasPrefix(id, "wrong") && n != 8 {
			t.Errorf("%s: %d charges of the budget for one attempt", id, n/8)
		}
	}
}

// checkApprovedOnce checks the errors of right guesses: those at one entry, and those at an entry of their own.
func checkApprovedOnce(t *testing.T, s *redis.Store, raced, right []error) {
	t.Helper()
	approved, unknown := 0, 0
	for _, err := range raced {
		switch {
		case err == nil:
			approved++
		case errors.Is(err, watchword.ErrOutcomeUnknown):
			unknown++
		case !errors.Is(err, watchword.ErrClosed):
			t.Errorf("a right guess among others: %v", err)
		}
	}
	if e, err := s.Get(t.Context(), "raced.cut"); err != nil || e.State != watchword.StateApproved || e.Used != 1 || approved > 1 || approved+unknown == 0 {
		t.Errorf("of %d right guesses %d were approved, and the outcome of %d is unknown: state %d, %d tries (%v)", len(raced), approved, unknown, e.State, e.Used, err)
	}
	for i, err := range right {
		if err != nil && !errors.Is(err, watchword.ErrOutcomeUnknown) {
			t.Errorf("the only right guess at its entry: %v", err)
		}
		if e, err := s.Get(t.Context(), fmt.Sprintf("right%d.cut", i)); err != nil || e.State != watchword.StateApproved {
			t.Errorf("entry %d is in state %d (%v)", i, e.State, err)
		}
	}
}

// More calls than may wait fail at once, and have no effect.
func TestStoreRefusesMoreCallsThanMayWait(t *testing.T) {
	const callers, most = 1500, 1024 + 2
	server := redistest.Start(t)
	s := newStore(open(t, server.URL()), redis.Config{})
	for i := range 2 { // connects
		must(t, s.Create(t.Context(), entry(fmt.Sprint("first.", i))))
	}
	must(t, server.Pause())
	errs := make(chan error, callers)
	for i := range callers {
		go func() { errs <- s.Create(context.WithoutCancel(t.Context()), entry(fmt.Sprint("g.", i))) }()
	}
	for range callers - most {
		if err := <-errs; err == nil || errors.Is(err, watchword.ErrOutcomeUnknown) || !strings.Contains(reasonOf(err), "too many commands wait") {
			t.Errorf("a call beyond those that may wait: %v", err)
		}
	}
	must(t, server.Resume())
	for range most {
		must(t, <-errs)
	}
	if n := server.Client(t).DBSize(t.Context()).Val(); n != 2+most {
		t.Errorf("%d entries are stored, want %d", n, 2+most)
	}
}
