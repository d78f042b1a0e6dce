// Package outboxtest is the conformance suite of watchword.Outbox.
package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Backend is one empty outbox, as one or several processes see it.
type Backend struct {
	// Processes are the outbox as each process sees it. An outbox in this process has one.
	Processes []watchword.Outbox
	// EndLeases makes what is claimed now count as claimed by processes that have died. Nil: claims end with their process.
	EndLeases func(t testing.TB)
}

// waitTime is how long the suite waits for what must happen, on a busy machine, and settleTime for what must not.
const (
	waitTime   = 20 * time.Second
	settleTime = 1500 * time.Millisecond
)

// Run runs the suite. open returns a Backend for each requirement.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for name, requirement := range map[string]func(*testing.T, Backend){
		"claimed and done once":             testClaimAndDone,
		"ids are kept":                      testIDsAreKept,
		"claims are limited":                testLimit,
		"claim ends with its context":       testContext,
		"retry is due later":                testRetry,
		"message is due later":              testDueLater,
		"buried message is gone":            testBury,
		"racing workers claim each once":    testRacers,
		"racing retries are claimed once":   testRacingRetries,
		"claimed messages of dead process":  testDeadProcess,
		"messages are handed over":          testHandOver,
		"claim wakes for a message of ours": testWake,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requirement(t, open(t))
		})
	}
}

func message(n int) watchword.Outgoing {
	return watchword.Outgoing{ChallengeID: fmt.Sprintf("ch_%d", n), Send: 1}
}

func put(t *testing.T, o watchword.Outbox, out ...watchword.Outgoing) {
	t.Helper()
	if err := o.Put(t.Context(), out...); err != nil {
		t.Fatal(err)
	}
}

// claim claims until there are n messages.
func claim(t *testing.T, o watchword.Outbox, n int) (out []watchword.Outgoing) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	for len(out) < n {
		more, err := o.Claim(ctx, n-len(out))
		if err != nil {
			t.Fatalf("claimed %d of %d: %v", len(out), n, err)
		}
		out = append(out, more...)
	}
	return out
}

// expectNothing fails if a process can claim anything.
func expectNothing(t *testing.T, processes []watchword.Outbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	var all sync.WaitGroup
	for _, o := range processes {
		all.Go(func() {
			if out, err := o.Claim(ctx, 10); err == nil {
				t.Errorf("claimed %v", out)
			}
		})
	}
	all.Wait()
}

func done(t *testing.T, o watchword.Outbox, out ...watchword.Outgoing) {
	t.Helper()
	for _, one := range out {
		if err := o.Done(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
}

func testClaimAndDone(t *testing.T, b Backend) {
	put(t, b.Processes[0], message(1), message(2))
	out := claim(t, b.Processes[0], 2)
	if out[0].ChallengeID == out[1].ChallengeID {
		t.Errorf("claimed %v", out)
	}
	expectNothing(t, b.Processes)
	done(t, b.Processes[0], out...)
	if b.EndLeases != nil {
		b.EndLeases(t)
	}
	expectNothing(t, b.Processes)
}

func testIDsAreKept(t *testing.T, b Backend) {
	last := b.Processes[len(b.Processes)-1]
	want := watchword.Outgoing{Kind: "fallback", ChallengeID: "ch_AbC-_9", Send: 3, Attempt: 7}
	put(t, b.Processes[0], want)
	got := claim(t, last, 1)[0]
	claimed := got
	got.Claim = ""
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	done(t, last, claimed)
}

func testLimit(t *testing.T, b Backend) {
	for n := range 20 {
		put(t, b.Processes[0], message(n))
	}
	out, err := b.Processes[0].Claim(t.Context(), 7)
	if err != nil || len(out) > 7 {
		t.Fatalf("%d of at most 7, %v", len(out), err)
	}
	done(t, b.Processes[0], out...)
	done(t, b.Processes[0], claim(t, b.Processes[0], 20-len(out))...)
	expectNothing(t, b.Processes)
}

func testContext(t *testing.T, b Backend) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if out, err := b.Processes[0].Claim(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || len(out) > 0 {
		t.Errorf("claimed %v, %v", out, err)
	}
}

// expectDue claims one message and fails if that was possible before its time.
func expectDue(t *testing.T, o watchword.Outbox, at time.Time) watchword.Outgoing {
	t.Helper()
	out := claim(t, o, 1)[0]
	if early := time.Until(at); early > time.Millisecond {
		t.Errorf("claimed %s too early", early)
	}
	return out
}

func testRetry(t *testing.T, b Backend) {
	o := b.Processes[0]
	put(t, o, message(1))
	for attempt := range 3 {
		out := claim(t, o, 1)[0]
		if out.Attempt != attempt {
			t.Errorf("attempt %d, want %d", out.Attempt, attempt)
		}
		at := time.Now().Add(400 * time.Millisecond)
		if err := o.Retry(t.Context(), out, at); err != nil {
			t.Fatal(err)
		}
		again := expectDue(t, o, at)
		if again.Attempt != attempt+1 || again.ChallengeID != "ch_1" || again.Send != 1 {
			t.Errorf("retry %d: %+v", attempt+1, again)
		}
		if err := o.Retry(t.Context(), again, time.Now()); err != nil {
			t.Fatal(err)
		}
		back := claim(t, o, 1)[0]
		back.Attempt = attempt
		if err := o.Retry(t.Context(), back, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	done(t, o, claim(t, o, 1)...)
	expectNothing(t, b.Processes)
}

func testDueLater(t *testing.T, b Backend) {
	o, last := b.Processes[0], b.Processes[len(b.Processes)-1]
	late, later := message(1), message(2)
	late.Due, later.Due = time.Now().Add(400*time.Millisecond), time.Now().Add(900*time.Millisecond)
	put(t, o, later, late, message(3))
	if first := claim(t, o, 1)[0]; first.ChallengeID != "ch_3" {
		t.Errorf("claimed %v before what is due at once", first)
	}
	if second := expectDue(t, last, late.Due); second.ChallengeID != "ch_1" {
		t.Errorf("claimed %v", second)
	}
	expectDue(t, last, later.Due)
}

func testBury(t *testing.T, b Backend) {
	put(t, b.Processes[0], message(1))
	if err := b.Processes[0].Bury(t.Context(), claim(t, b.Processes[0], 1)[0]); err != nil {
		t.Fatal(err)
	}
	if b.EndLeases != nil {
		b.EndLeases(t)
	}
	expectNothing(t, b.Processes)
}

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

// A process that ends leaves what it has queued and not claimed to the others.
func testHandOver(t *testing.T, b Backend) {
	if len(b.Processes) < 2 {
		t.Skip("messages end with their process")
	}
	late := message(3)
	late.Due = time.Now().Add(300 * time.Millisecond)
	put(t, b.Processes[0], message(1), message(2), late)
	var ids []string
	for _, one := range claim(t, b.Processes[1], 3) {
		ids = append(ids, one.ChallengeID)
		done(t, b.Processes[1], one)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"ch_1", "ch_2", "ch_3"}) {
		t.Errorf("handed over: %v", ids)
	}
}

// A waiting Claim returns a message of its own process without being asked again.
func testWake(t *testing.T, b Backend) {
	claimed := make(chan string)
	go func() {
		out, err := b.Processes[0].Claim(t.Context(), 1)
		if err != nil || len(out) != 1 {
			claimed <- fmt.Sprint(out, err)
			return
		}
		claimed <- out[0].ChallengeID
	}()
	time.Sleep(50 * time.Millisecond)
	put(t, b.Processes[0], message(1))
	select {
	case got := <-claimed:
		if got != "ch_1" {
			t.Errorf("claimed %s", got)
		}
	case <-time.After(waitTime):
		t.Error("the claim does not return")
	}
}
