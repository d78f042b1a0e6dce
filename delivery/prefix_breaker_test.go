package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func TestPrefixBreakerRefusesPrefixesWithTooFewVerifications(t *testing.T) {
	for _, c := range []struct {
		name    string
		cfg     delivery.PrefixBreakerConfig
		sent    int
		each    int
		refused bool
		logged  string
	}{
		{"no verifications", delivery.PrefixBreakerConfig{}, 100, 0, true, "sent=100 verified=0"},
		{"72 are sent and none verified", delivery.PrefixBreakerConfig{}, 72, 0, true, "sent=72 verified=0"},
		{"one in twenty verifies", delivery.PrefixBreakerConfig{}, 100, 20, true, "sent=100 verified=5"},
		{"18 percent verify", delivery.PrefixBreakerConfig{}, 100, 6, false, ""},
		{"one in eight verifies", delivery.PrefixBreakerConfig{}, 100, 8, false, ""},
		{"everybody verifies", delivery.PrefixBreakerConfig{}, 80, 1, false, ""},
		{"one in eight is too few here", delivery.PrefixBreakerConfig{Percent: 20}, 100, 8, true, "sent=100 verified=13"},
		{"too few to evaluate", delivery.PrefixBreakerConfig{Sent: 500}, 100, 0, false, ""},
		{"dry run", delivery.PrefixBreakerConfig{Shadow: true}, 100, 20, false, "sent=100 verified=5"},
	} {
		for _, processes := range []int{1, 2, 8} {
			t.Run(fmt.Sprintf("%s, %d processes", c.name, processes), func(t *testing.T) {
				f := newTraffic(t, processes, c.cfg)
				f.send(abusedPrefix, c.sent, c.each)
				f.now = f.now.Add(4 * time.Minute)
				if f.exchange(); f.refused(abusedPrefix) {
					t.Error("evaluated while people may still be typing")
				}
				f.now = f.now.Add(11 * time.Minute)
				f.exchange()
				if f.refused(abusedPrefix) != c.refused || f.refused(otherPrefix) {
					t.Errorf("refused %v, the other %v", f.refused(abusedPrefix), f.refused(otherPrefix))
				}
				lines := strings.Count(f.log.String(), "number prefix")
				if c.logged == "" && lines != 0 || c.logged != "" && (lines != 1 || !strings.Contains(f.log.String(), "prefix="+abusedPrefix+" "+c.logged)) {
					t.Errorf("log: %s", f.log.String())
				}
				if _, err := f.breakers[0].WrapPolicy(newPolicy(t, delivery.Addresses{}))("", abusedPrefix+"0199"); err != nil {
					t.Errorf("the canonical form alone: %v", err)
				}
			})
		}
	}
}

func TestPrefixBreakerForgetsCountsOlderThanTheWindow(t *testing.T) {
	f := newTraffic(t, 2, delivery.PrefixBreakerConfig{})
	f.send(abusedPrefix, 100, 0)
	f.now = f.now.Add(15 * time.Minute)
	if f.exchange(); !f.refused(abusedPrefix) {
		t.Fatal("not refused")
	}
	f.now = f.now.Add(time.Hour)
	if f.refused(abusedPrefix) {
		t.Error("still refused after the pause")
	}
	// Each group of forty is too small to be evaluated, and both are never in one window. Single challenges keep the prefix active.
	for _, step := range []struct {
		n     int
		pause time.Duration
	}{{40, 25 * time.Minute}, {1, 20 * time.Minute}, {1, 0}, {40, 20 * time.Minute}, {1, 0}} {
		f.send(abusedPrefix, step.n, 0)
		f.now = f.now.Add(step.pause)
		f.exchange()
	}
	if f.refused(abusedPrefix) {
		t.Error("counts what is older than the window")
	}
}

// Also with a short window, challenges that may still be answered are not evaluated.
func TestPrefixBreakerEvaluatesOnlySettledChallenges(t *testing.T) {
	f := newTraffic(t, 1, delivery.PrefixBreakerConfig{Window: time.Minute})
	started := f.now
	for range 60 {
		f.breakers[0].HandleEvent(t.Context(), watchword.Event{Type: watchword.EventMessageSent, Prefix: abusedPrefix, StartedAt: started})
	}
	for f.now.Before(started.Add(10 * time.Minute)) {
		if f.exchange(); f.refused(abusedPrefix) {
			t.Fatalf("refused after %s", f.now.Sub(started))
		}
		f.now = f.now.Add(5 * time.Second)
	}
	f.now = f.now.Add(10 * time.Second)
	if f.exchange(); !f.refused(abusedPrefix) {
		t.Error("never refused")
	}
}

// Resends and repeated approvals do not count again, and events without a prefix do not count.
func TestPrefixBreakerCountsEachChallengeOnce(t *testing.T) {
	f := newTraffic(t, 1, delivery.PrefixBreakerConfig{Sent: 2, Percent: 100})
	e := watchword.Event{Type: watchword.EventMessageSent, Prefix: abusedPrefix, StartedAt: f.now}
	handle := func(change func(e *watchword.Event)) {
		e := e
		change(&e)
		f.breakers[0].HandleEvent(t.Context(), e)
	}
	handle(func(*watchword.Event) {})
	for range 5 {
		handle(func(e *watchword.Event) { e.Repeated = true })
		handle(func(e *watchword.Event) { e.Type, e.Repeated = watchword.EventMessageDelivered, true })
		handle(func(e *watchword.Event) { e.Type, e.Repeated = watchword.EventApproved, true })
		handle(func(e *watchword.Event) { e.Type = watchword.EventMessageFailed })
		handle(func(e *watchword.Event) { e.Prefix = "" })
	}
	handle(func(e *watchword.Event) { e.Type = watchword.EventMessageDelivered }) // without a message.sent before
	f.exchange()
	counts, err := f.counters.Counters.Add(t.Context(), "shop", delivery.Batch{ID: "look", Counts: []delivery.Count{{Key: abusedPrefix}}})
	if err != nil || len(counts) != 1 || counts[0].Sent != 2 || counts[0].Verified != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
}

// A verification counts as verified where one of its messages was answered.
func TestPrefixBreakerCountsApprovedVerifications(t *testing.T) {
	f := newTraffic(t, 1, delivery.PrefixBreakerConfig{Sent: 2, Percent: 100})
	for _, kind := range []string{watchword.EventMessageSent, watchword.EventVerificationStarted, watchword.EventVerificationApproved} {
		f.breakers[0].HandleEvent(t.Context(), watchword.Event{Type: kind, Prefix: abusedPrefix, StartedAt: f.now})
	}
	f.exchange()
	counts, err := f.counters.Counters.Add(t.Context(), "shop", delivery.Batch{ID: "look", Counts: []delivery.Count{{Key: abusedPrefix}}})
	if err != nil || len(counts) != 1 || counts[0].Sent != 1 || counts[0].Verified != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
}

// Every other command waits for the script of a batch. So many prefixes are counted in several batches.
func TestPrefixBreakerCountsManyPrefixesInSmallBatches(t *testing.T) {
	f := newTraffic(t, 1, delivery.PrefixBreakerConfig{})
	const prefixes = 300
	for n := range prefixes {
		f.breakers[0].HandleEvent(t.Context(), watchword.Event{Type: watchword.EventMessageSent, Prefix: fmt.Sprint("+1415", 100+n), StartedAt: f.now})
	}
	f.exchange()
	sum := 0
	for _, n := range f.counters.batches {
		sum += n
	}
	if sum != prefixes || slices.Max(f.counters.batches) > 64 {
		t.Errorf("batches of %v counts, want %d together and at most 64 each", f.counters.batches, prefixes)
	}
}

// While counters are unavailable, refused prefixes stay refused until their pause ends. Pending counts are kept, and count once.
func TestPrefixBreakerKeepsDecisionsWhileCountersAreUnavailable(t *testing.T) {
	for _, how := range []func(*flakyCounters, bool){func(f *flakyCounters, down bool) { f.down = down }, func(f *flakyCounters, lost bool) { f.lost = lost }} {
		f := newTraffic(t, 2, delivery.PrefixBreakerConfig{})
		f.send(otherPrefix, 60, 0)
		f.now = f.now.Add(15 * time.Minute)
		if f.exchange(); !f.refused(otherPrefix) {
			t.Fatal("not refused")
		}
		how(f.counters, true)
		f.send(abusedPrefix, 60, 0)
		for range 5 {
			f.exchange()
		}
		if !f.refused(otherPrefix) || f.refused(abusedPrefix) {
			t.Error("the last known decision does not hold")
		}
		how(f.counters, false)
		f.exchange()
		f.now = f.now.Add(15 * time.Minute)
		if f.exchange(); !f.refused(abusedPrefix) || !strings.Contains(f.log.String(), "prefix=+1415555 sent=60 verified=0") {
			t.Errorf("what was counted meanwhile: %s", f.log.String())
		}
		how(f.counters, true)
		f.now = f.now.Add(time.Hour)
		if f.refused(otherPrefix) {
			t.Error("the last known decision holds for ever")
		}
	}
}

// A batch whose ID may have been forgotten is dropped, so that it never counts twice.
func TestPrefixBreakerDropsBatchWhoseIDMayBeForgotten(t *testing.T) {
	f := newTraffic(t, 1, delivery.PrefixBreakerConfig{})
	f.counters.lost = true
	f.send(abusedPrefix, 60, 0)
	f.now = f.now.Add(delivery.BatchIDLifetime)
	f.counters.lost = false
	f.send(abusedPrefix, 1, 0)
	f.now = f.now.Add(15 * time.Minute)
	if f.exchange(); !strings.Contains(f.log.String(), "sent=60 ") || !strings.Contains(f.log.String(), "prefix counts dropped") {
		t.Errorf("log: %s", f.log.String())
	}
}

// Counters that do not answer block neither the policy nor the event handler.
func TestPrefixBreakerNeverBlocksOnCounters(t *testing.T) {
	called := make(chan struct{}, 1)
	b, err := delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{App: "shop", Counters: hangingCounters{called: called}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	exchanged := make(chan error, 1)
	go func() { exchanged <- b.Exchange(ctx) }()
	<-called
	for range 100 {
		b.HandleEvent(ctx, watchword.Event{Type: watchword.EventMessageSent, Prefix: abusedPrefix, StartedAt: time.Now()})
		if _, err := b.WrapPolicy(newPolicy(t, delivery.Addresses{}))("sms", abusedPrefix+"0199"); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := <-exchanged; err == nil {
		t.Error("no error")
	}
}

// Run exchanges regularly, and once more at the end.
func TestPrefixBreakerRunHandsOverPendingCountsAtTheEnd(t *testing.T) {
	shared := delivery.NewMemoryCounters(nil)
	b, err := delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{App: "shop", Counters: shared})
	if err != nil {
		t.Fatal(err)
	}
	sent := func() (n int64) {
		counts, err := shared.Add(context.Background(), "shop", delivery.Batch{ID: fmt.Sprint(time.Now().UnixNano()), Counts: []delivery.Count{{Key: abusedPrefix}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			n += c.Sent
		}
		return n
	}
	count := func() {
		b.HandleEvent(context.Background(), watchword.Event{Type: watchword.EventMessageSent, Prefix: abusedPrefix, StartedAt: time.Now()})
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	count()
	for sent() != 1 {
		time.Sleep(10 * time.Millisecond)
	}
	count()
	stop()
	if err := <-ended; err != nil || sent() != 2 {
		t.Errorf("%d sent, %v", sent(), err)
	}
}

func TestPrefixBreakerIsSafeForConcurrentUse(t *testing.T) {
	b, err := delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	allows := b.WrapPolicy(newPolicy(t, delivery.Addresses{}))
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 100 {
				e := watchword.Event{Type: watchword.EventMessageSent, Prefix: fmt.Sprint("+1415", g%3), StartedAt: time.Now().Add(-20 * time.Minute)}
				b.HandleEvent(context.Background(), e)
				e.Type = watchword.EventApproved
				b.HandleEvent(context.Background(), e)
				if _, err := allows("sms", "+14155550123"); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					if err := b.Exchange(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
}

func TestNewPrefixBreakerRejectsInvalidConfiguration(t *testing.T) {
	for _, cfg := range []delivery.PrefixBreakerConfig{{Window: time.Second}, {Sent: -1}, {Percent: 101}, {Pause: -1}, {Pause: time.Millisecond}, {Settle: -1},
		{Window: time.Minute, Settle: time.Hour}} {
		if _, err := delivery.NewPrefixBreaker(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
