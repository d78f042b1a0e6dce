package script_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/internal/script"
)

func TestLanesOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	t.Run("a slot moves", func(t *testing.T) { testSlotMovesUnderLoad(t, cluster) })
	t.Run("one node hangs", func(t *testing.T) { testHangingNodeDelaysNoOther(t, cluster) })
}

// While a slot moves back and forth, MOVED, ASK and TRYAGAIN are handled for each command of a pipeline alone: every command runs
// once, and commands for other slots are not affected.
func testSlotMovesUnderLoad(t *testing.T, cluster *redistest.Cluster) {
	const callers = 64
	ctx, trips := t.Context(), &roundTrips{}
	lanes := script.NewLanes(cluster.Client(t), trips.note)
	counter, two := script.New(count), script.New(countTwo)
	from, err := cluster.SlotOwner(ctx, "{moving}")
	if err != nil {
		t.Fatal(err)
	}
	moving, still := make([]string, callers), make([]string, callers)
	for i := range callers {
		moving[i], still[i] = fmt.Sprintf("{moving}%d", i), fmt.Sprintf("{still%d}", i%3)
	}
	ran := make([]atomic.Int64, callers)
	var stop atomic.Bool
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if _, err := counter.Run(ctx, lanes, []string{still[i]}); err != nil {
					t.Errorf("%s: %v", still[i], err)
					return
				}
				s, keys := counter, []string{moving[i]}
				if n%4 == 0 { // both keys may be on different nodes
					s, keys = two, []string{moving[i], moving[(i+1)%callers]}
				}
				if _, err := s.Run(ctx, lanes, keys); err == nil {
					ran[i].Add(1)
				} else if !strings.HasPrefix(err.Error(), "TRYAGAIN") {
					t.Errorf("%s: %v", moving[i], err)
					return
				}
			}
		})
	}
	for range 2 {
		to := cluster.OtherNode(from)
		for _, step := range []func() error{
			func() error { return cluster.BeginSlotMove(ctx, "{moving}", from, to) },
			func() error { return cluster.MoveKeys(ctx, from, to, moving[:callers/2]...) },
			func() error { time.Sleep(100 * time.Millisecond); return nil },
			func() error { return cluster.MoveKeys(ctx, from, to, moving[callers/2:]...) },
			func() error { return cluster.FinishSlotMove(ctx, "{moving}", to) },
			func() error { time.Sleep(100 * time.Millisecond); return nil },
		} {
			if err := step(); err != nil {
				t.Error(err)
			}
		}
		from = to
	}
	stop.Store(true)
	all.Wait()
	direct := cluster.Client(t)
	for i, key := range moving {
		if n, err := direct.Get(ctx, key).Int64(); err != nil || n != ran[i].Load() || n == 0 {
			t.Errorf("%s: counted %d (%v), want %d", key, n, err, ran[i].Load())
		}
	}
	if n, commands, largest := trips.take(); largest < 2 {
		t.Errorf("%d round trips with %d commands: none was shared", n, commands)
	}
}

// Each node has its own lanes.
func testHangingNodeDelaysNoOther(t *testing.T, cluster *redistest.Cluster) {
	ctx := context.WithoutCancel(t.Context())
	lanes, counter := script.NewLanes(cluster.Client(t), nil), script.New(count)
	keys := map[*redistest.Server]string{}
	for i := 0; len(keys) < len(cluster.Nodes); i++ {
		key := fmt.Sprintf("{n%d}", i)
		owner, err := cluster.SlotOwner(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		keys[owner] = key
	}
	for _, key := range keys {
		if _, err := counter.Run(ctx, lanes, []string{key}); err != nil {
			t.Fatal(err)
		}
	}
	hanging := cluster.Nodes[0]
	if err := hanging.Pause(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { _, _ = counter.Run(ctx, lanes, []string{keys[hanging]}) })
	}
	for begin := time.Now(); lanes.Waiting() != 20-script.LanesPerNode; time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%d of 20 commands wait", lanes.Waiting())
		}
	}
	for _, node := range cluster.Nodes[1:] {
		for n := int64(2); n < 20; n++ {
			if got, err := counter.Run(ctx, lanes, []string{keys[node]}); err != nil || got != n {
				t.Errorf("on another node: %v, %v, want %d", got, err, n)
			}
		}
	}
	if err := hanging.Resume(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}
