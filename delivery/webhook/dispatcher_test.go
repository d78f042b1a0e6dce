package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

func TestDispatcherPostsDocumentedPayload(t *testing.T) {
	l := newListener(t, acceptEvent)
	s := startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint())
	full := approvedEvent("ch_1")
	full.Strategy, full.Purpose, full.Subject, full.Channel, full.Provider, full.Factor = "otp", "sign_in", "user_42", "sms", "twilio", "fa_1"
	full.Limit, full.Metadata = "address_10m", map[string]string{"order": "17"}
	s.HandleEvent(t.Context(), full)
	s.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventLimitReached, At: full.At, App: "shop", Limit: "app_hour"})
	first, second := l.next(t), l.next(t)
	const want = `{"type":"challenge.approved","timestamp":"2026-08-01T10:00:00.123Z","data":{"app":"shop","challenge_id":"ch_1","strategy":"otp",` +
		`"purpose":"sign_in","subject":"user_42","channel":"sms","provider":"twilio","factor":"fa_1","limit":"address_10m","metadata":{"order":"17"}}}`
	if first.body != want {
		t.Errorf("\n got %s\nwant %s", first.body, want)
	}
	if want := `{"type":"limit.reached","timestamp":"2026-08-01T10:00:00.123Z","data":{"app":"shop","limit":"app_hour"}}`; second.body != want {
		t.Errorf("\n got %s\nwant %s", second.body, want)
	}
	if !strings.HasPrefix(first.id, "evt_") || len(first.id) < 24 || first.id == second.id {
		t.Errorf("ids %q and %q", first.id, second.id)
	}
}

func TestDispatcherSignsWithEverySecret(t *testing.T) {
	l := newListener(t, acceptEvent) // verifies with secretA
	both := webhook.Endpoint{URL: watchword.NewCode("webhook+" + l.URL + "/?secret=" + secretB + "&secret=" + secretA)}
	s := startDispatcher(t, webhook.DispatcherConfig{}, both)
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	l.requireChallenges(t, "ch_1")
}

func TestDispatcherRetryKeepsIDAndBody(t *testing.T) {
	l := newListener(t, func(w http.ResponseWriter, n int) {
		if n < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s := startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	first := l.next(t)
	for range 3 {
		if retry := l.next(t); retry.id != first.id || retry.body != first.body {
			t.Errorf("first try %+v, retry %+v", first, retry)
		}
	}
	s.HandleEvent(t.Context(), approvedEvent("ch_2"))
	l.requireChallenges(t, "ch_2") // and not the first a fifth time
	if log := s.log.String(); strings.Count(log, "event delivery failed") != 1 || strings.Count(log, "event delivery recovered") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func TestDispatcherRetriesByAnswerStatus(t *testing.T) {
	for status, retries := range map[int]bool{200: false, 202: false, 301: false, 400: false, 401: false, 404: false, 422: false,
		408: true, 425: true, 429: true, 500: true, 502: true, 599: true} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			l := newListener(t, func(w http.ResponseWriter, n int) {
				if n == 1 {
					w.WriteHeader(status)
				}
			})
			s := startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint())
			s.HandleEvent(t.Context(), approvedEvent("ch_1"))
			l.requireChallenges(t, "ch_1")
			if retries {
				l.requireChallenges(t, "ch_1")
			}
			s.HandleEvent(t.Context(), approvedEvent("ch_2"))
			l.requireChallenges(t, "ch_2")
			if refused := strings.Contains(s.log.String(), "event refused"); refused != (status >= 300 && !retries) {
				t.Errorf("log:\n%s", s.log)
			}
		})
	}
}

func TestDispatcherRetriesBrokenConnections(t *testing.T) {
	l := newListener(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	s := startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	l.requireChallenges(t, "ch_1", "ch_1")
	if strings.Contains(s.log.String(), "/events") {
		t.Errorf("the log contains the URL's path:\n%s", s.log)
	}
}

// An endpoint that answered 410 gets no more events. Other endpoints are not affected.
func TestDispatcherStopsPostingAfter410(t *testing.T) {
	gone := newListener(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusGone) })
	there := newListener(t, acceptEvent)
	s := startDispatcher(t, webhook.DispatcherConfig{}, gone.endpoint(), there.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	gone.requireChallenges(t, "ch_1")
	there.requireChallenges(t, "ch_1")
	for until := time.Now().Add(waitLimit); !strings.Contains(s.log.String(), "endpoint answered 410"); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("log:\n%s", s.log)
		}
	}
	s.HandleEvent(t.Context(), approvedEvent("ch_2"))
	there.requireChallenges(t, "ch_2")
	if err := s.shutDown(t); err != nil || len(gone.received) != 0 {
		t.Errorf("%v; %d more events", err, len(gone.received))
	}
}

// An endpoint that never answers delays neither the engine nor other endpoints.
func TestDispatcherSlowEndpointDelaysNoOther(t *testing.T) {
	release := make(chan struct{})
	slow := newListener(t, func(http.ResponseWriter, int) { <-release })
	defer close(release)
	quick := newListener(t, acceptEvent)
	s := startDispatcher(t, webhook.DispatcherConfig{MaxPending: 50}, slow.endpoint(), quick.endpoint())
	var ids []string
	for i := range 40 {
		ids = append(ids, fmt.Sprint("ch_", i))
		s.HandleEvent(t.Context(), approvedEvent(ids[i]))
	}
	quick.requireChallenges(t, ids...)
	slow.requireChallenges(t, ids[0])
	if n := len(slow.received); n != 0 {
		t.Errorf("%d more reached the slow one", n)
	}
}

// If there are too many pending events, the oldest that is not being posted is dropped and logged.
func TestDispatcherDropsOldestPendingEvent(t *testing.T) {
	release := make(chan struct{})
	l := newListener(t, func(_ http.ResponseWriter, n int) {
		if n == 1 {
			<-release
		}
	})
	s := startDispatcher(t, webhook.DispatcherConfig{MaxPending: 3}, l.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_0"))
	l.requireChallenges(t, "ch_0")
	for i := 1; i <= 5; i++ {
		s.HandleEvent(t.Context(), approvedEvent(fmt.Sprint("ch_", i)))
	}
	close(release)
	l.requireChallenges(t, "ch_4", "ch_5")
	if log := s.log.String(); !strings.Contains(log, "dropped=1\n") || !strings.Contains(log, "dropped=2\n") || strings.Contains(log, "dropped=3") {
		t.Errorf("log:\n%s", log)
	}
}

func TestDispatcherGivesUpAfterThreeDays(t *testing.T) {
	var s *runningDispatcher
	l := newListener(t, func(w http.ResponseWriter, n int) {
		switch n {
		case 1: // the next try is still within three days
			s.clockOffset.Store(int64(71 * time.Hour))
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			s.clockOffset.Store(int64(72 * time.Hour))
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	oracle, err := standardwebhooks.NewWebhook(secretA)
	if err != nil {
		t.Fatal(err)
	}
	l.verify = oracle.VerifyIgnoringTimestamp // because its clock is not advanced
	s = startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	l.requireChallenges(t, "ch_1", "ch_1")
	s.HandleEvent(t.Context(), approvedEvent("ch_2"))
	l.requireChallenges(t, "ch_2")
	if !strings.Contains(s.log.String(), "event delivery given up") || !strings.Contains(s.log.String(), "tries=2") {
		t.Errorf("log:\n%s", s.log)
	}
}

// At shutdown each pending event is tried once more, and Run returns the number of lost events.
func TestDispatcherTriesPendingEventsOnceAtShutdown(t *testing.T) {
	l := newListener(t, func(w http.ResponseWriter, n int) {
		if n != 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	for _, recovers := range []bool{true, false} {
		s := startDispatcher(t, webhook.DispatcherConfig{Backoff: time.Hour}, l.endpoint())
		s.HandleEvent(t.Context(), approvedEvent("ch_1"))
		first := l.next(t)
		err := s.shutDown(t)
		if retry := l.next(t); retry.id != first.id {
			t.Errorf("ids %q and %q", first.id, retry.id)
		}
		if (err == nil) != recovers {
			t.Errorf("recovers %t: %v", recovers, err)
		}
		s.HandleEvent(t.Context(), approvedEvent("ch_2")) // it is ignored and does not block
	}
}

func TestDispatcherDrainEndsAfterItsTimeout(t *testing.T) {
	release := make(chan struct{})
	l := newListener(t, func(http.ResponseWriter, int) { <-release })
	t.Cleanup(func() { close(release) })
	s := startDispatcher(t, webhook.DispatcherConfig{DrainTimeout: 50 * time.Millisecond}, l.endpoint())
	s.HandleEvent(t.Context(), approvedEvent("ch_1"))
	s.HandleEvent(t.Context(), approvedEvent("ch_2"))
	l.requireChallenges(t, "ch_1")
	if err := s.shutDown(t); err == nil || !strings.Contains(err.Error(), "2 events") {
		t.Errorf("got %v", err)
	}
}

func TestDispatcherDeliversConcurrentEventsOnceToEachEndpoint(t *testing.T) {
	l := newListener(t, acceptEvent)
	s := startDispatcher(t, webhook.DispatcherConfig{}, l.endpoint(), l.endpoint("challenge.*"))
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for j := range 25 {
				s.HandleEvent(context.Background(), approvedEvent(fmt.Sprint("ch_", i, "_", j)))
			}
		})
	}
	senders.Wait()
	seen := map[string]int{}
	for range 400 {
		seen[l.next(t).id]++
	}
	for id, n := range seen {
		if n != 2 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if err := s.shutDown(t); err != nil || len(seen) != 200 {
		t.Errorf("%v; %d events", err, len(seen))
	}
}

func ExampleDispatcher() {
	received := make(chan string)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		verifier, _ := standardwebhooks.NewWebhook(secretB)
		if verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		received <- string(body)
	}))
	defer receiver.Close()

	dispatcher, err := webhook.NewDispatcher(webhook.DispatcherConfig{
		Endpoints:   []webhook.Endpoint{{URL: watchword.NewCode(receiver.URL + "/?secret=" + secretB), Types: []string{"challenge.*"}}},
		Environment: delivery.Environment{Development: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- dispatcher.Run(ctx) }()

	// An engine calls this: watchword.Config{Events: dispatcher.HandleEvent, ...}
	dispatcher.HandleEvent(ctx, watchword.Event{Type: watchword.EventApproved, At: time.Unix(1785578400, 0), App: "shop", ChallengeID: "ch_1"})
	fmt.Println(<-received)
	stop()
	fmt.Println(<-ended)
	// Output:
	// {"type":"challenge.approved","timestamp":"2026-08-01T10:00:00Z","data":{"app":"shop","challenge_id":"ch_1"}}
	// <nil>
}
