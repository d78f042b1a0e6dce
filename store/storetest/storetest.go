// Package storetest tests implementations of watchword.Store, also under concurrent calls. The test of a store is short:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) watchword.Store {
//			s, err := acme.Open(t.TempDir())
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		})
//	}
//
// Use RunBackend for a store that several processes use at the same time, or whose clock can be set. It distributes its calls
// over all nodes and, with a Clock, does not wait for time to pass.
//
// Each requirement is a subtest, such as Attempt/a_right_guess_wins_once. The package's own tests verify that each requirement
// finds a store that violates it.
package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Backend is the storage that a requirement is tested on.
type Backend struct {
	// Nodes has at least one Store. All use the same storage, as several processes would.
	Nodes []watchword.Store
	// Clock is the clock that the nodes read. Nil means that they read a real clock, and tests wait for time to pass. That
	// clock may differ from this machine's, but must run at the same speed.
	Clock *Clock
}

// Run tests a store that reads a real clock. It calls open for every requirement. The stores may share their storage: entries of
// different requirements have different ids.
func Run(t *testing.T, open func(t testing.TB) watchword.Store) {
	t.Helper()
	RunBackend(t, func(t testing.TB) Backend { return Backend{Nodes: []watchword.Store{open(t)}} })
}

// RunBackend tests a store with several nodes or a Clock. It calls open for every requirement.
func RunBackend(t *testing.T, open func(t testing.TB) Backend) {
	t.Helper()
	for _, p := range allRequirements() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.check(newHarness(t, open(t)))
		})
	}
}

// A requirement is one property that every store must have.
type requirement struct {
	name  string
	check func(h *harness)
}

func allRequirements() (all []requirement) {
	for _, some := range [][]requirement{entryRequirements, attemptRequirements, closeRequirements, updateRequirements, budgetRequirements, inFlightRequirements, raceRequirements} {
		all = append(all, some...)
	}
	return all
}

// A Clock is a clock that only Advance changes. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a Clock that is set to an arbitrary time.
func NewClock() *Clock { return &Clock{now: time.Unix(1_900_000_000, 0).UTC()} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance adds d to the clock's time.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
