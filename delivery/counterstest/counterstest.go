// Package counterstest is the conformance suite of delivery.Counters. The test of an implementation calls Run.
package counterstest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/delivery"
)

// Run tests an implementation of delivery.Counters. The nodes, at least one, are clients of the same state, as in several
// processes. The state need not be empty: each test uses app ids of its own.
func Run(t *testing.T, nodes ...delivery.Counters) {
	s := &suite{nodes: nodes}
	for _, test := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"all nodes see what each counts", s.testNodesShareCounts},
		{"concurrent batches are all counted", s.testConcurrentBatchesAllCount},
		{"a batch counts once", s.testBatchCountsOncePerID},
		{"apps and keys are separate", s.testAppsAndKeysAreSeparate},
		{"a zero count only reads", s.testZeroCountOnlyReads},
		{"old slots are removed", s.testOldSlotsAreForgotten},
		{"keys expire", s.testKeysExpire},
		{"keys are bounded", s.testKeysAreBounded},
		{"a refused key is counted from zero", s.testRefusedKeyCountsAnew},
		{"one of concurrent refusals succeeds", s.testOneConcurrentRefusalWins},
		{"a refusal ends", s.testRefusalExpires},
	} {
		t.Run(test.name, test.run)
	}
}

type suite struct {
	nodes []delivery.Counters
	ids   atomic.Int64
}

// newID returns a unique id, for apps and batches.
func (s *suite) newID() string { return fmt.Sprintf("n%d-%d", time.Now().UnixNano(), s.ids.Add(1)) }

func (s *suite) batch(counts ...delivery.Count) delivery.Batch {
	return delivery.Batch{ID: s.newID(), Counts: counts, Keep: time.Hour}
}

func addBatch(t *testing.T, c delivery.Counters, app string, b delivery.Batch) []delivery.Count {
	t.Helper()
	counts, err := c.Add(context.Background(), app, b)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	slices.SortFunc(counts, func(a, b delivery.Count) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Slot, b.Slot)) })
	return counts
}

func (s *suite) requireCounts(t *testing.T, app string, key string, want ...delivery.Count) {
	t.Helper()
	for i, node := range s.nodes {
		if got := addBatch(t, node, app, s.batch(delivery.Count{Key: key})); !slices.Equal(got, want) {
			t.Errorf("node %d: %v, want %v", i, got, want)
		}
	}
}

func (s *suite) lastNode() delivery.Counters { return s.nodes[len(s.nodes)-1] }

func (s *suite) testNodesShareCounts(t *testing.T) {
	app := s.newID()
	addBatch(t, s.nodes[0], app, s.batch(delivery.Count{Key: "+1415555", Slot: 7, Sent: 3}, delivery.Count{Key: "+1415555", Slot: 8, Sent: 1, Verified: 1}))
	got := addBatch(t, s.lastNode(), app, s.batch(delivery.Count{Key: "+1415555", Slot: 7, Verified: 2}))
	if want := []delivery.Count{{Key: "+1415555", Slot: 7, Sent: 3, Verified: 2}, {Key: "+1415555", Slot: 8, Sent: 1, Verified: 1}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func (s *suite) testConcurrentBatchesAllCount(t *testing.T) {
	const workers, batches = 8, 25
	app := s.newID()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for range batches {
				b := s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 2, Verified: 1}, delivery.Count{Key: "b", Slot: int64(w), Sent: 1})
				if _, err := s.nodes[w%len(s.nodes)].Add(context.Background(), app, b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.requireCounts(t, app, "a", delivery.Count{Key: "a", Slot: 1, Sent: 2 * workers * batches, Verified: workers * batches})
	for w, got := range addBatch(t, s.lastNode(), app, s.batch(delivery.Count{Key: "b"})) {
		if want := (delivery.Count{Key: "b", Slot: int64(w), Sent: batches}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func (s *suite) testBatchCountsOncePerID(t *testing.T) {
	app := s.newID()
	b := s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 5})
	want := []delivery.Count{{Key: "a", Slot: 1, Sent: 5}}
	for i := range 6 {
		if got := addBatch(t, s.nodes[i%len(s.nodes)], app, b); !slices.Equal(got, want) {
			t.Errorf("repetition %d: %v", i, got)
		}
	}
}

func (s *suite) testAppsAndKeysAreSeparate(t *testing.T) {
	one, two := s.newID(), s.newID()
	addBatch(t, s.nodes[0], one, s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 1}, delivery.Count{Key: "b", Slot: 1, Sent: 2}))
	addBatch(t, s.nodes[0], two, s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 4}))
	s.requireCounts(t, one, "a", delivery.Count{Key: "a", Slot: 1, Sent: 1})
	s.requireCounts(t, one, "b", delivery.Count{Key: "b", Slot: 1, Sent: 2})
	s.requireCounts(t, two, "a", delivery.Count{Key: "a", Slot: 1, Sent: 4})
	s.requireCounts(t, two, "b")
	s.requireRefuse(t, s.nodes[0], one, "a", time.Hour, true)
	s.requireRefused(t, two)
}

func (s *suite) testZeroCountOnlyReads(t *testing.T) {
	app := s.newID()
	s.requireCounts(t, app, "a")
	addBatch(t, s.nodes[0], app, s.batch(delivery.Count{Key: "a", Slot: 3, Sent: 1}))
	s.requireCounts(t, app, "a", delivery.Count{Key: "a", Slot: 3, Sent: 1})
}

func (s *suite) testOldSlotsAreForgotten(t *testing.T) {
	app := s.newID()
	addBatch(t, s.nodes[0], app, s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 1}, delivery.Count{Key: "a", Slot: 5, Sent: 2}))
	b := s.batch(delivery.Count{Key: "a", Slot: 4, Sent: 9}, delivery.Count{Key: "a", Slot: 6, Sent: 3})
	b.Oldest = 5
	addBatch(t, s.nodes[0], app, b)
	s.requireCounts(t, app, "a", delivery.Count{Key: "a", Slot: 5, Sent: 2}, delivery.Count{Key: "a", Slot: 6, Sent: 3})
}

// waitFor waits up to two minutes until the condition holds, and fails the test with the message otherwise.
func waitFor(t *testing.T, message string, condition func() bool) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal(message)
		}
	}
}

func (s *suite) testKeysExpire(t *testing.T) {
	app := s.newID()
	b := s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 1})
	b.Keep = 50 * time.Millisecond
	addBatch(t, s.nodes[0], app, b)
	waitFor(t, "the key stays", func() bool {
		return len(addBatch(t, s.lastNode(), app, s.batch(delivery.Count{Key: "a"}))) == 0
	})
}

func (s *suite) testKeysAreBounded(t *testing.T) {
	app := s.newID()
	key := func(n int) string { return fmt.Sprintf("+%d", n) }
	for n := 0; n < delivery.MaxCounterKeys; n += 500 {
		b := s.batch()
		for i := range 500 {
			b.Counts = append(b.Counts, delivery.Count{Key: key(n + i), Slot: 1, Sent: 1})
		}
		addBatch(t, s.nodes[0], app, b)
	}
	addBatch(t, s.lastNode(), app, s.batch(delivery.Count{Key: "one more", Slot: 1, Sent: 1}, delivery.Count{Key: key(0), Slot: 1, Sent: 1}))
	s.requireCounts(t, app, "one more")
	s.requireCounts(t, app, key(0), delivery.Count{Key: key(0), Slot: 1, Sent: 2})
	s.requireCounts(t, app, key(delivery.MaxCounterKeys-1), delivery.Count{Key: key(delivery.MaxCounterKeys - 1), Slot: 1, Sent: 1})
	s.requireRefuse(t, s.nodes[0], app, key(1), time.Hour, true) // which frees a place
	addBatch(t, s.lastNode(), app, s.batch(delivery.Count{Key: "one more", Slot: 1, Sent: 1}))
	s.requireCounts(t, app, "one more", delivery.Count{Key: "one more", Slot: 1, Sent: 1})
}

func (s *suite) requireRefuse(t *testing.T, c delivery.Counters, app, key string, d time.Duration, want bool) {
	t.Helper()
	if first, err := c.Refuse(context.Background(), app, key, d); err != nil || first != want {
		t.Errorf("Refuse(%s): %t, %v; want %t", key, first, err, want)
	}
}

// requireRefused checks that all nodes return exactly these keys as refused, for an hour or less.
func (s *suite) requireRefused(t *testing.T, app string, keys ...string) {
	t.Helper()
	for i, node := range s.nodes {
		got, err := node.Refused(context.Background(), app)
		if err != nil || len(got) != len(keys) {
			t.Errorf("node %d: refused %v, %v; want %v", i, got, err, keys)
		}
		for _, key := range keys {
			if left := got[key]; left <= 0 || left > time.Hour {
				t.Errorf("node %d: %s is refused for %s", i, key, left)
			}
		}
	}
}

func (s *suite) testRefusedKeyCountsAnew(t *testing.T) {
	app := s.newID()
	s.requireRefused(t, app)
	addBatch(t, s.nodes[0], app, s.batch(delivery.Count{Key: "a", Slot: 1, Sent: 1}, delivery.Count{Key: "b", Slot: 1, Sent: 2}))
	s.requireRefuse(t, s.nodes[0], app, "a", time.Hour, true)
	s.requireCounts(t, app, "a")
	addBatch(t, s.nodes[0], app, s.batch(delivery.Count{Key: "a", Slot: 2, Sent: 3}))
	s.requireRefuse(t, s.lastNode(), app, "a", time.Hour, false)
	s.requireCounts(t, app, "a", delivery.Count{Key: "a", Slot: 2, Sent: 3})
	s.requireCounts(t, app, "b", delivery.Count{Key: "b", Slot: 1, Sent: 2})
	s.requireRefused(t, app, "a")
	s.requireRefuse(t, s.lastNode(), app, "b", time.Minute, true)
	s.requireRefused(t, app, "a", "b")
}

func (s *suite) testOneConcurrentRefusalWins(t *testing.T) {
	app := s.newID()
	var all sync.WaitGroup
	var first atomic.Int64
	for w := range 16 {
		all.Go(func() {
			ok, err := s.nodes[w%len(s.nodes)].Refuse(context.Background(), app, "a", time.Hour)
			if err != nil {
				t.Error(err)
			}
			if ok {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if first.Load() != 1 {
		t.Errorf("%d are the first", first.Load())
	}
}

func (s *suite) testRefusalExpires(t *testing.T) {
	app := s.newID()
	s.requireRefuse(t, s.nodes[0], app, "a", 50*time.Millisecond, true)
	s.requireRefuse(t, s.nodes[0], app, "b", time.Hour, true)
	waitFor(t, "the refusal stays", func() bool {
		got, err := s.lastNode().Refused(context.Background(), app)
		if err != nil {
			t.Fatal(err)
		}
		_, refused := got["a"]
		return !refused
	})
	s.requireRefused(t, app, "b")
	s.requireRefuse(t, s.lastNode(), app, "a", time.Hour, true)
}
