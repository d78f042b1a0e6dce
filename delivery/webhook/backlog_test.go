package webhook

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// The model is a list of events by age. next must return the due event with the earliest due time, and then the oldest one.
func TestBacklogBehavesLikeSortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		b := newBacklog(limit, nil)
		var model []*pendingEvent // by age
		var flying *pendingEvent
		now, came, dropped := time.Unix(0, 0), 0, 0
		find := func(id string) int { return slices.IndexFunc(model, func(p *pendingEvent) bool { return p.id == id }) }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				came++
				p := pendingEvent{id: fmt.Sprint(came), due: now}
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
					t.Fatalf("put returned %d, want %d", got, want)
				}
			},
			"take": func(t *rapid.T) {
				if flying != nil {
					t.Skip("one is flying")
				}
				var want *pendingEvent
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
		if !slices.EqualFunc(left, model, func(a, b *pendingEvent) bool { return a.id == b.id }) {
			t.Fatalf("left %v, not %v", left, model)
		}
		if b.put(pendingEvent{}) != 0 || len(b.close()) != 0 {
			t.Fatal("a closed backlog accepted an event")
		}
	})
}

// Delays grow from seconds to hours, so that there are some dozens of tries in three days.
func TestRetryDelayGrowsFromSecondsToHours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := DispatcherConfig{Jitter: func(limit time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(limit)).Draw(t, "jitter"))
		}}
		cfg.setDefaults()
		total, tries := time.Duration(0), 1
		for limit := 5 * time.Second; total < retryPeriod; tries++ {
			wait := cfg.retryDelay(tries)
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

func TestRetryAfterPausesWholeEndpoint(t *testing.T) {
	now := time.Unix(1785578400, 0)
	cfg := DispatcherConfig{Environment: delivery.Environment{Now: func() time.Time { return now }}}
	cfg.setDefaults()
	e, err := newEndpoint(0, Endpoint{URL: watchword.NewCode("https://example.com/?secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e.enqueue(pendingEvent{due: now, giveUpAt: now.Add(retryPeriod)})
	}
	p, _ := e.nextDue()
	failed := &watchword.SendError{RetryAfter: time.Minute}
	e.retryOrGiveUp(p, failed, failed)
	if p, wait := e.nextDue(); p != nil || wait != time.Minute {
		t.Errorf("got %v after %s", p, wait)
	}
	now = now.Add(time.Minute)
	if p, _ := e.nextDue(); p == nil {
		t.Error("nothing is due")
	}
}

// A backlog holds many small events or few large ones, but never more than maxBacklogBytes.
func TestBacklogIsBoundedInBytes(t *testing.T) {
	b := newBacklog(10_000, nil)
	put := func(id string, size int) int {
		return b.put(pendingEvent{id: id, body: make([]byte, size), due: time.Unix(0, 0)})
	}
	for n := range 1000 {
		put(fmt.Sprint(n), maxBacklogBytes/100)
		if b.size > maxBacklogBytes || b.byAge.Len() > 100 {
			t.Fatalf("%d events of %d bytes wait", b.byAge.Len(), b.size)
		}
	}
	if b.byAge.Len() != 100 || b.byAge.Front().Value.(*pendingEvent).id != "900" {
		t.Errorf("%d events wait, the oldest is %v", b.byAge.Len(), b.byAge.Front().Value.(*pendingEvent).id)
	}
	if dropped := put("large", maxBacklogBytes); dropped != 1000 || b.byAge.Len() != 1 {
		t.Errorf("a large one dropped %d in all and leaves %d", dropped, b.byAge.Len())
	}
	p, _ := b.next(time.Unix(1, 0))
	b.remove(p)
	if b.size != 0 || len(b.byDue) != 0 {
		t.Errorf("an empty backlog has %d bytes", b.size)
	}
}

// A full Space takes nothing from an endpoint with less than its part, and of the others the oldest events.
func TestFullSpaceIsSharedByEndpoints(t *testing.T) {
	const size, space = 100, 40 * 100
	event := func() pendingEvent { return pendingEvent{body: make([]byte, size)} }
	all := NewSpace(space)
	endpoints := make([]*backlog, 4)
	for i := range endpoints {
		endpoints[i] = newBacklog(10_000, all)
	}
	for range 50 {
		endpoints[0].put(event())
	}
	if endpoints[0].size != space || endpoints[0].dropped != 10 {
		t.Errorf("one endpoint has %d bytes and dropped %d events", endpoints[0].size, endpoints[0].dropped)
	}
	for range 10 {
		for _, b := range endpoints {
			b.put(event())
		}
	}
	endpoints[0].put(event()) // gives way to what the others have added
	for i, b := range endpoints {
		if b.size < space/4 || i > 0 && b.dropped > 0 {
			t.Errorf("endpoint %d has %d bytes and dropped %d events", i, b.size, b.dropped)
		}
	}
	if used := all.used.Load(); used > space {
		t.Errorf("%d bytes are used", used)
	}
	for _, b := range endpoints {
		b.close()
	}
	if used := all.used.Load(); used != 0 {
		t.Errorf("%d bytes are used by closed endpoints", used)
	}
}

// The bytes that a backlog counts are those that it holds: metadata is not made longer by HTML escaping, and bodies have no spare
// capacity.
func TestPayloadIsNoLongerThanItsEvent(t *testing.T) {
	for _, text := range []string{strings.Repeat("<&>", 1000), strings.Repeat("x", 3000), ""} {
		body, err := encodePayload(eventPayload{Type: watchword.EventStarted, Data: eventData{Metadata: map[string]string{"k": text}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > len(text)+200 || cap(body) > len(body)+len(body)/4+64 || !json.Valid(body) {
			t.Errorf("%d bytes of metadata make %d bytes in a slice of %d", len(text), len(body), cap(body))
		}
		var back eventPayload
		if err := json.Unmarshal(body, &back); err != nil || back.Data.Metadata["k"] != text {
			t.Errorf("the metadata changed: %v", err)
		}
	}
}
