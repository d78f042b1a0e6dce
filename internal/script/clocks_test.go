package script

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// For random changes of the server's clock, a converted deadline is never late after the server has replied.
func TestServerTimeIsNeverLate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := &Clocks{started: time.Now()}
	c := &clock{clocks: all}
	if got := c.serverTime(time.Hour); got != 0 {
		t.Errorf("a deadline by a clock that is not known: %d", got)
	}
	local, ahead := time.Duration(0), int64(1e15)
	for n := range 10_000 {
		if n%1000 == 999 { // it is set, or another server answers
			ahead += r.Int64N(2e9) - 1e9
		}
		if n%2500 == 2499 {
			all.dials.Add(1)
			if c.serverTime(local) != 0 {
				t.Fatal("believed after a connection to somebody else")
			}
		}
		sent := local
		there := sent + time.Duration(r.Int64N(int64(50*time.Millisecond)))
		received := there + time.Duration(r.Int64N(int64(50*time.Millisecond)))
		c.update(sent, received, there.Microseconds()+ahead, all.dials.Load())
		if c.ahead > ahead || c.ahead < ahead-100_000 {
			t.Fatalf("answer %d: thought to be %d µs ahead, it is %d", n, c.ahead, ahead)
		}
		local = received
	}
}

// The last reply of a server is received after the connection to its successor was made. It must not change the estimate of
// the successor's clock.
func TestUpdateDiscardsAnswerOfPreviousServer(t *testing.T) {
	all := &Clocks{started: time.Now()}
	all.single.clocks = all
	connections := &dialCounter{clocks: all}
	connections.countConnection("old:6379")
	sent, before := all.now(), all.dials.Load()
	connections.countConnection("new:6379") // whose clock is ten seconds behind the old one's
	received := all.now() + time.Millisecond
	all.single.update(sent, received, received.Microseconds()+10_000_000, before)
	if limit := all.now() + time.Second; all.single.serverTime(limit) > limit.Microseconds() {
		t.Error("a deadline by the new server's clock is too late")
	}
}

// The number of clocks is limited to the number of slots. The expected slots are those of CLUSTER KEYSLOT.
func TestClusterHasOneClockForEachSlot(t *testing.T) {
	for tag, want := range map[string]int{"": 0, "123456789": 0x31c3, "foo": 12182, "user1000": 3443} {
		if got := hashSlot(tag); got != want {
			t.Errorf("slot of %q: %d, not %d", tag, got, want)
		}
	}
	all := &Clocks{cluster: true, slots: make([]atomic.Pointer[clock], slots)}
	different := map[*clock]bool{}
	for n := range 100_000 {
		different[all.forKeys([]string{"ww:{" + strconv.Itoa(n) + "}.x"})] = true
	}
	if len(different) > slots {
		t.Errorf("%d clocks are kept", len(different))
	}
	if all.forKeys([]string{"a:{foo}"}) != all.forKeys([]string{"b:{foo}:c"}) {
		t.Error("keys of one tag have different clocks")
	}
}
