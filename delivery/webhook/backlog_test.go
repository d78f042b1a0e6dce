package webhook

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A backlog does what a plain list would: it hands out what is due, in the order of due and then of age, and holds no
// more than it may.
func TestBacklogIsAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		b := newBacklog(limit)
		var model []*pending // by age
		var flying *pending
		now, came, dropped := time.Unix(0, 0), 0, 0
		find := func(id string) int { return slices.IndexFunc(model, func(p *pending) bool { return p.id == id }) }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				came++
				p := pending{id: fmt.Sprint(came), due: now}
				want := 0
				if len(model) == limit {
					oldest := 0
					if flying != nil && len(model) > 1 && model[0].id == flying.id {
						oldest = 1
					}
					model = slices.Delete(model, oldest, oldest+1)
					dropped++
					want = dropped
				}
				model = append(model, &p)
				if got := b.put(p); got != want {
					t.Fatalf("put says %d were dropped, not %d", got, want)
				}
			},
			"take": func(t *rapid.T) {
				if flying != nil {
					t.Skip("one is flying")
				}
				var want *pending
				for _, p := range model {
					if !p.due.After(now) && (want == nil || p.due.Before(want.due)) {
						want = p
					}
				}
				got, _ := b.next(now)
				if (got == nil) != (want == nil) || got != nil && got.id != want.id {
					t.Fatalf("got %v, want %v", got, want)
				}
				flying = got
			},
			"settle": func(t *rapid.T) {
				if flying == nil {
					t.Skip("none is flying")
				}
				i := find(flying.id)
				if rapid.Bool().Draw(t, "taken") {
					b.remove(flying)
					if i >= 0 {
						model = slices.Delete(model, i, i+1)
					}
				} else {
					due := now.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "wait")))
					b.postpone(flying, due)
					if i >= 0 {
						model[i].due = due
					}
				}
				flying = nil
			},
			"time": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "passes"))) },
			"": func(t *rapid.T) {
				if b.byAge.Len() != len(model) || len(b.byDue) != len(model) || len(model) > limit {
					t.Fatalf("%d by age, %d by due, not %d", b.byAge.Len(), len(b.byDue), len(model))
				}
			},
		})
		left := b.close()
		if !slices.EqualFunc(left, model, func(a, b *pending) bool { return a.id == b.id }) {
			t.Fatalf("left %v, not %v", left, model)
		}
		if b.put(pending{}) != 0 || len(b.close()) != 0 {
			t.Fatal("a closed backlog takes something")
		}
	})
}

// Waits grow from seconds to hours, and three days hold some dozens of tries.
func TestWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := EventsConfig{Jitter: func(limit time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(limit)).Draw(t, "jitter"))
		}}
		cfg.setDefaults()
		total, tries := time.Duration(0), 1
		for limit := 5 * time.Second; total < keepTrying; tries++ {
			wait := cfg.wait(tries)
			if wait < limit/2 || wait > limit {
				t.Fatalf("the wait after %d tries is %s, not between %s and %s", tries, wait, limit/2, limit)
			}
			total, limit = total+wait, min(2*limit, 4*time.Hour)
		}
		if tries < 20 || tries > 60 {
			t.Fatalf("%d tries", tries)
		}
	})
}

func TestRetryAfterHoldsTheWholeEndpoint(t *testing.T) {
	now := time.Unix(1785578400, 0)
	cfg := EventsConfig{Environment: delivery.Environment{Now: func() time.Time { return now }}}
	cfg.setDefaults()
	e, err := newEndpoint(0, Endpoint{URL: watchword.NewCode("https://example.com/?secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e.take(pending{due: now, until: now.Add(keepTrying)})
	}
	p, _ := e.turn()
	failed := &watchword.SendError{RetryAfter: time.Minute}
	e.again(p, failed, failed)
	if p, wait := e.turn(); p != nil || wait != time.Minute {
		t.Errorf("got %v after %s", p, wait)
	}
	now = now.Add(time.Minute)
	if p, _ := e.turn(); p == nil {
		t.Error("nothing is due")
	}
}

// Many small events wait, or few large ones: what waits takes no more than so many bytes.
func TestBacklogIsBoundedInBytes(t *testing.T) {
	b := newBacklog(10_000)
	put := func(id string, size int) int {
		return b.put(pending{id: id, body: make([]byte, size), due: time.Unix(0, 0)})
	}
	for n := range 1000 {
		put(fmt.Sprint(n), maxBacklog/100)
		if b.size > maxBacklog || b.byAge.Len() > 100 {
			t.Fatalf("%d events of %d bytes wait", b.byAge.Len(), b.size)
		}
	}
	if b.byAge.Len() != 100 || b.byAge.Front().Value.(*pending).id != "900" {
		t.Errorf("%d events wait, the oldest is %v", b.byAge.Len(), b.byAge.Front().Value.(*pending).id)
	}
	if dropped := put("large", maxBacklog); dropped != 1000 || b.byAge.Len() != 1 {
		t.Errorf("a large one dropped %d in all and leaves %d", dropped, b.byAge.Len())
	}
	p, _ := b.next(time.Unix(1, 0))
	b.remove(p)
	if b.size != 0 || len(b.byDue) != 0 {
		t.Errorf("an empty backlog has %d bytes", b.size)
	}
}
