package factorstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watchword-auth/watchword"
)

const (
	nodes  = 8
	rounds = 25 // updates of each node
)

// race calls a function on n goroutines and waits for all of them.
func race(n int, run func(node int)) {
	var all sync.WaitGroup
	for node := range n {
		all.Go(func() { run(node) })
	}
	all.Wait()
}

// Several nodes increment a counter in one factor. If two updates of the same version succeeded, the final count would be too
// low.
func testRacingUpdates(t *testing.T, s *suite) {
	f := s.factor("a", "user")
	f.Data = make([]byte, 8)
	s.create(f)
	var conflicts atomic.Int64
	race(nodes, func(int) {
		for won := 0; won < rounds && !t.Failed(); {
			read, err := s.Get(t.Context(), s.app, "a")
			if err != nil {
				t.Errorf("get: %v", err)
				return
			}
			read.Data = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(read.Data)+1)
			switch err := s.Update(t.Context(), read); {
			case err == nil:
				won++
			case errors.Is(err, watchword.ErrConflict):
				conflicts.Add(1)
			default:
				t.Errorf("update: %v", err)
			}
		}
	})
	got, err := s.Get(t.Context(), s.app, "a")
	if err != nil || got.Version != 1+nodes*rounds || binary.BigEndian.Uint64(got.Data) != nodes*rounds {
		t.Errorf("version %d, count %x (%v); want %d updates", got.Version, got.Data, err, nodes*rounds)
	}
	t.Logf("%d updates, %d conflicts", nodes*rounds, conflicts.Load())
}

// If several nodes create the same id, one succeeds, and its factor is stored.
func testRacingCreates(t *testing.T, s *suite) {
	for round := range rounds {
		id := fmt.Sprint("id", round)
		var winner atomic.Value
		var won atomic.Int64
		race(nodes, func(node int) {
			f := s.factor(id, fmt.Sprint("user", node))
			switch err := s.Create(t.Context(), f); {
			case err == nil:
				won.Add(1)
				winner.Store(f)
			case !errors.Is(err, watchword.ErrExists):
				t.Errorf("create: %v", err)
			}
		})
		if won.Load() != 1 {
			t.Fatalf("%d of %d creates of one id succeeded", won.Load(), nodes)
		}
		s.wantStored(winner.Load().(watchword.SealedFactor))
	}
}

// Updates and deletes of the same version race. At most one update and exactly one delete succeed, and nothing is left.
func testRacingEverything(t *testing.T, s *suite) {
	for round := range rounds {
		f := s.create(s.factor(fmt.Sprint("id", round), "user"))
		var updated, deleted atomic.Int64
		race(nodes, func(node int) {
			if node < 2 {
				switch err := s.Delete(t.Context(), s.app, f.ID); {
				case err == nil:
					deleted.Add(1)
				case !errors.Is(err, watchword.ErrNotFound):
					t.Errorf("delete: %v", err)
				}
				return
			}
			switch err := s.Update(t.Context(), f); {
			case err == nil:
				updated.Add(1)
			case !errors.Is(err, watchword.ErrConflict) && !errors.Is(err, watchword.ErrNotFound):
				t.Errorf("update: %v", err)
			}
		})
		_, err := s.Get(t.Context(), s.app, f.ID)
		if updated.Load() > 1 || deleted.Load() != 1 || !errors.Is(err, watchword.ErrNotFound) {
			t.Fatalf("%d updates and %d deletes of one version succeeded; left: %v", updated.Load(), deleted.Load(), err)
		}
	}
}
