// Package storetest holds stores to the promises of watchword.Store, with goroutines that race for them. Whoever writes
// a store proves it with a test of eight lines:
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
// Most stores are used by several processes at once, and some can be given a clock. Those are tested by RunBackend, which
// makes its calls through every node in turn and, with a Clock, need not wait for time to pass.
//
// A promise that a store breaks is reported under its name, Attempt/one_of_many_right_guesses_wins say. The tests of
// this package break a small store in each of these ways and see to it that each is noticed.
package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Backend is where the entries of a test live.
type Backend struct {
	// Nodes are Stores over one and the same backend, as several processes would hold them. At least one.
	Nodes []watchword.Store
	// Clock is the clock that the nodes read. Nil: they read the real time, and tests wait for it to pass. It need not
	// agree with this machine's clock, only run as fast.
	Clock *Clock
}

// Run tests a store that reads the real time. It calls open for every promise. The stores may share a backend: entries
// of different promises have different ids.
func Run(t *testing.T, open func(t testing.TB) watchword.Store) {
	t.Helper()
	RunBackend(t, func(t testing.TB) Backend { return Backend{Nodes: []watchword.Store{open(t)}} })
}

// RunBackend is Run for stores with several nodes or a clock that can be set.
func RunBackend(t *testing.T, open func(t testing.TB) Backend) {
	t.Helper()
	for _, p := range allRequirements() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.check(newHarness(t, open(t)))
		})
	}
}

// A requirement is one thing that every store must hold.
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

// A Clock is a time that passes only when it is told to. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a time of no meaning.
func NewClock() *Clock { return &Clock{now: time.Unix(1_900_000_000, 0).UTC()} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
