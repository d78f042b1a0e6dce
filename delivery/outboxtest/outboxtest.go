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
	waitTime   = 2 * time.Minute
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
		"worker is reported":                testWorkerIsReported,
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

// No message is claimed before its time. On a busy machine several are due when one is claimed, and then any of them may be first.
func testDueLater(t *testing.T, b Backend) {
	o, last := b.Processes[0], b.Processes[len(b.Processes)-1]
	late, later := message(1), message(2)
	late.Due, later.Due = time.Now().Add(400*time.Millisecond), time.Now().Add(900*time.Millisecond)
	due := map[string]time.Time{late.ChallengeID: late.Due, later.ChallengeID: later.Due, message(3).ChallengeID: {}}
	put(t, o, later, late, message(3))
	for _, process := range []watchword.Outbox{o, last, last} {
		out := claim(t, process, 1)[0]
		at, left := due[out.ChallengeID]
		if early := time.Until(at); !left || early > time.Millisecond {
			t.Errorf("claimed %v %s too early, or twice", out, early)
		}
		delete(due, out.ChallengeID)
	}
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

// testWorkerIsReported is for a watchword.WorkerReporter only.
func testWorkerIsReported(t *testing.T, b Backend) {
	o, ok := b.Processes[0].(watchword.WorkerReporter)
	if !ok {
		t.Skip("the outbox does not know whether it has a worker")
	}
	put(t, o, message(1))
	if o.HasWorker() {
		t.Error("it has a worker before the first claim")
	}
	done(t, o, claim(t, o, 1)...)
	if !o.HasWorker() {
		t.Error("it has no worker after a claim")
	}
}
