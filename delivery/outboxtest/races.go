package outboxtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A race is several workers of every process that claim until all messages are done.
type race struct {
	mu      sync.Mutex
	claimed map[string]int
	left    int
	ended   context.CancelFunc
}

// run calls finish for each claimed message; it reports whether the message is done.
func (r *race) run(t *testing.T, b Backend, finish func(o watchword.Outbox, out watchword.Outgoing) bool) {
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	r.claimed, r.ended = map[string]int{}, cancel
	defer cancel()
	var all sync.WaitGroup
	for worker := range 4 * len(b.Processes) {
		o := b.Processes[worker%len(b.Processes)]
		all.Go(func() {
			for {
				out, err := o.Claim(ctx, 5)
				if err != nil {
					return
				}
				for _, one := range out {
					r.count(one, finish(o, one))
				}
			}
		})
	}
	all.Wait()
	if r.left > 0 {
		t.Errorf("%d messages were never done", r.left)
	}
}

func (r *race) count(one watchword.Outgoing, isDone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claimed[fmt.Sprint(one.ChallengeID, " ", one.Attempt)]++
	if isDone {
		if r.left--; r.left == 0 {
			r.ended()
		}
	}
}

func (r *race) expectOnce(t *testing.T, want int) {
	t.Helper()
	if len(r.claimed) != want {
		t.Errorf("%d of %d were claimed", len(r.claimed), want)
	}
	for what, n := range r.claimed {
		if n != 1 {
			t.Errorf("%s was claimed %d times", what, n)
		}
	}
}

func testRacers(t *testing.T, b Backend) {
	const n = 200
	r := &race{left: n}
	var putting sync.WaitGroup
	for k := range 4 {
		putting.Go(func() {
			for i := range n / 4 {
				put(t, b.Processes[k%len(b.Processes)], message(k*n/4+i))
			}
		})
	}
	r.run(t, b, func(o watchword.Outbox, out watchword.Outgoing) bool { return o.Done(t.Context(), out) == nil })
	putting.Wait()
	r.expectOnce(t, n)
}

func testRacingRetries(t *testing.T, b Backend) {
	const n = 50
	r := &race{left: n}
	for i := range n {
		put(t, b.Processes[0], message(i))
	}
	r.run(t, b, func(o watchword.Outbox, out watchword.Outgoing) bool {
		if out.Attempt < 2 {
			return o.Retry(t.Context(), out, time.Now().Add(20*time.Millisecond)) != nil
		}
		return o.Done(t.Context(), out) == nil
	})
	r.expectOnce(t, 3*n)
}

// A process claims messages and dies. Before its lease ends nobody else has them, and then another process has them once.
func testDeadProcess(t *testing.T, b Backend) {
	if b.EndLeases == nil {
		t.Skip("messages end with their process")
	}
	const n = 10
	dead, alive := b.Processes[0], b.Processes[1:]
	for i := range n {
		put(t, dead, message(i))
	}
	claim(t, dead, n)
	expectNothing(t, alive)
	b.EndLeases(t)
	r := &race{left: n}
	r.run(t, Backend{Processes: alive}, func(o watchword.Outbox, out watchword.Outgoing) bool { return o.Done(t.Context(), out) == nil })
	r.expectOnce(t, n)
	b.EndLeases(t)
	expectNothing(t, alive)
}
