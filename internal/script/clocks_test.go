package script

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever a server's clock does between two answers, a deadline by it is never later than by ours once it has answered.
func TestDeadlineIsNeverLateByTheServersClock(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := &Clocks{began: time.Now()}
	c := &clock{all: all}
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
		c.learn(sent, received, there.Microseconds()+ahead)
		if c.ahead > ahead || c.ahead < ahead-100_000 {
			t.Fatalf("answer %d: thought to be %d µs ahead, it is %d", n, c.ahead, ahead)
		}
		local = received
	}
}
