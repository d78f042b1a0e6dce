package webhook_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

// newTestDispatcher returns a dispatcher for another dispatcher to adopt.
func newTestDispatcher(t *testing.T, endpoints ...webhook.Endpoint) *webhook.Dispatcher {
	t.Helper()
	d, err := webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: endpoints, Environment: delivery.Environment{Development: true}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An endpoint that is in both configurations keeps its pending event, with its id; a new one gets later events; one that is no longer there
// gets its pending events once more and no later one.
func TestAdoptKeepsPendingEventsOfUnchangedEndpoints(t *testing.T) {
	var available atomic.Bool
	kept := newListener(t, func(w http.ResponseWriter, _ int) {
		if !available.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	added := newListener(t, acceptEvent)
	removed := newListener(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s := startDispatcher(t, webhook.DispatcherConfig{}, removed.endpoint(), kept.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	pending := kept.next(t)
	removed.requireChallenges(t, "ch_1")
	s.Adopt(newTestDispatcher(t, added.endpoint(), kept.endpoint()))
	for len(kept.received) > 0 { // tries before
		<-kept.received
	}
	s.HandleEvent(t.Context(), approvedEvent("ch_2"))
	added.requireChallenges(t, "ch_2")
	removed.requireChallenges(t, "ch_1")
	for tries := 0; tries < 3; { // a removed endpoint would be tried once
		if h := kept.next(t); h.doc.Data["challenge_id"] == "ch_1" {
			tries++
			if h.id != pending.id {
				t.Errorf("the pending event has the id %s, and had %s", h.id, pending.id)
			}
		}
	}
	available.Store(true)
	for kept.next(t).doc.Data["challenge_id"] != "ch_2" {
	}
	if len(removed.received) > 0 {
		t.Error("an event was sent to the removed endpoint")
	}
}

// Two endpoints with one URL stay two, and another secret makes another endpoint.
func TestAdoptComparesWholeEndpoints(t *testing.T) {
	l := newListener(t, acceptEvent)
	s := startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint())
	other := webhook.Endpoint{URL: watchword.NewCode(strings.Replace(l.endpoint().URL.Reveal(), secretA, secretB+"&secret="+secretA, 1))}
	s.Adopt(newTestDispatcher(t, l.endpoint(), l.endpoint(), other, l.endpoint("factor.*")))
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	l.requireChallenges(t, "ch_1", "ch_1", "ch_1")
	s.Adopt(newTestDispatcher(t))
	s.HandleEvent(t.Context(), approvedEvent("ch_2"))
	select {
	case h := <-l.received:
		t.Errorf("an endpoint that is gone got %s", h.body)
	case <-time.After(50 * time.Millisecond):
	}
}
