package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A traffic drives the PrefixBreakers of several processes, with one clock and shared counters.
type traffic struct {
	t        *testing.T
	now      time.Time
	counters *flakyCounters
	breakers []*delivery.PrefixBreaker
	log      bytes.Buffer
	n        int
}

func newTraffic(t *testing.T, processes int, cfg delivery.PrefixBreakerConfig) *traffic {
	t.Helper()
	f := &traffic{t: t, now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	cfg.Now, cfg.Logger = func() time.Time { return f.now }, slog.New(slog.NewTextHandler(&f.log, nil))
	f.counters = &flakyCounters{Counters: delivery.NewMemoryCounters(cfg.Now)}
	cfg.App, cfg.Counters = "shop", f.counters
	for range processes {
		b, err := delivery.NewPrefixBreaker(cfg)
		if err != nil {
			t.Fatal(err)
		}
		f.breakers = append(f.breakers, b)
	}
	return f
}

// flakyCounters can be unavailable (down), or lose their replies after a step took effect (lost).
type flakyCounters struct {
	delivery.Counters
	down, lost bool
	batches    []int // numbers of counts
}

var errNoCounters = errors.New("no counters")

func (f *flakyCounters) Add(ctx context.Context, app string, b delivery.Batch) ([]delivery.Count, error) {
	if f.down {
		return nil, errNoCounters
	}
	counts, err := f.Counters.Add(ctx, app, b)
	f.batches = append(f.batches, len(b.Counts))
	if f.lost {
		err = errNoCounters
	}
	return counts, err
}

func (f *flakyCounters) Refused(ctx context.Context, app string) (map[string]time.Duration, error) {
	if f.down || f.lost {
		return nil, errNoCounters
	}
	return f.Counters.Refused(ctx, app)
}

// send sends n challenges to the prefix within ten minutes, from all processes in turn. Every each-th one is approved by the next
// process; none if each is 0.
func (f *traffic) send(prefix string, n, each int) {
	for i := range n {
		f.n++
		e := watchword.Event{Type: watchword.EventMessageSent, ChallengeID: fmt.Sprintf("ch_%d", f.n), Prefix: prefix, StartedAt: f.now}
		f.breakers[f.n%len(f.breakers)].HandleEvent(context.Background(), e)
		if each > 0 && i%each == 0 {
			e.Type = watchword.EventApproved
			f.breakers[(f.n+1)%len(f.breakers)].HandleEvent(context.Background(), e)
		}
		f.now = f.now.Add(10 * time.Minute / time.Duration(n))
	}
	f.exchange()
}

// exchange simulates two seconds, in which each process exchanges twice.
func (f *traffic) exchange() {
	f.t.Helper()
	for range 2 {
		for _, b := range f.breakers {
			if err := b.Exchange(context.Background()); err != nil && !f.counters.down && !f.counters.lost {
				f.t.Fatal(err)
			}
		}
	}
}

// refused reports whether the prefix is refused. All processes must agree.
func (f *traffic) refused(prefix string) bool {
	f.t.Helper()
	refusals := 0
	for _, b := range f.breakers {
		a, err := b.WrapPolicy(newPolicy(f.t, delivery.Addresses{AllCountries: true}))("sms", prefix+"0199")
		var problem *watchword.Error
		if err != nil && (!errors.As(err, &problem) || problem.Code != watchword.ErrRateLimited.Code || problem.Limit != delivery.LimitPrefixBreaker ||
			problem.RetryAfter <= 0 || problem.RetryAfter > time.Hour) || a.Value == "" {
			f.t.Fatalf("%+v, %v", a, err)
		}
		if err != nil {
			refusals++
		}
	}
	if refusals != 0 && refusals != len(f.breakers) {
		f.t.Fatalf("%d of %d processes refuse %s", refusals, len(f.breakers), prefix)
	}
	return refusals > 0
}

const abusedPrefix, otherPrefix = "+1415555", "+1212555"

// hangingCounters do not return from Refused before the context ends.
type hangingCounters struct {
	delivery.Counters
	called chan struct{}
}

func (s hangingCounters) Refused(ctx context.Context, _ string) (map[string]time.Duration, error) {
	s.called <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}
