package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A process writes what happens and dies before it publishes anything. Another one publishes all of it. The events have what the
// challenge knows, and ids that sort by time.
func TestQueuePublishesWhatDeadProcessHasWritten(t *testing.T) {
	redis, l := redistest.Start(t), newListener(t, acceptEvent)
	dead := startProcess(t, redis)
	approved, locked, canceled := dead.start(), dead.start(), dead.start()
	for range 5 {
		_ = dead.check(locked, "654321")
	}
	if err := dead.check(approved, "123456"); err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Cancel(t.Context(), canceled); err != nil {
		t.Fatal(err)
	}
	err := dead.RecordDelivery(t.Context(), watchword.Outgoing{ChallengeID: approved, Send: 1}, watchword.Delivery{Status: watchword.DeliverySent, Provider: "smtp", Channel: "email"})
	if err != nil {
		t.Fatal(err)
	}
	startProcess(t, redis).startDispatcher(l.endpoint())
	want := map[string]string{}
	for _, id := range []string{approved, locked, canceled} {
		want[watchword.EventStarted+" "+id] = "email"
	}
	want[watchword.EventApproved+" "+approved], want[watchword.EventLocked+" "+locked], want[watchword.EventCanceled+" "+canceled] = "email", "email", "email"
	want[watchword.EventMessageSent+" "+approved] = "email"
	var ids []string
	for len(want) > 0 {
		h := l.next(t)
		key := fmt.Sprint(h.doc.Type, " ", h.doc.Data["challenge_id"])
		if want[key] == "" {
			t.Fatalf("got %s once more or without cause", h.body)
		}
		delete(want, key)
		if h.doc.Data["subject"] != "user_42" || fmt.Sprint(h.doc.Data["metadata"]) != "map[order:17]" || h.doc.Data["channel"] != "email" {
			t.Errorf("got %s", h.body)
		}
		if h.doc.Type == watchword.EventStarted && h.doc.Data["challenge_id"] == approved || h.doc.Type == watchword.EventApproved {
			ids = append(ids, h.doc.Type+" "+h.id)
		}
	}
	if len(ids) != 2 || (strings.Fields(ids[0])[1] < strings.Fields(ids[1])[1]) != strings.HasPrefix(ids[0], watchword.EventStarted) {
		t.Errorf("ids do not sort by time: %q", ids)
	}
}

// What is published twice, because the process died after it had published, has the same id and the same body.
func TestQueueRepeatsEventWithItsID(t *testing.T) {
	redis, l := redistest.Start(t), newListener(t, acceptEvent)
	p := startProcess(t, redis)
	p.startDispatcher(l.endpoint(watchword.EventApproved))
	id := p.start()
	if err := p.check(id, "123456"); err != nil {
		t.Fatal(err)
	}
	first := l.nextOf(t, watchword.EventApproved)
	if err := p.store.Events().Put(t.Context(), watchword.Outgoing{Kind: watchword.KindEnded, ChallengeID: id}); err != nil {
		t.Fatal(err)
	}
	if second := l.nextOf(t, watchword.EventApproved); second.id != first.id || second.body != first.body {
		t.Errorf("first %+v\nthen %+v", first, second)
	}
}

// An attacker who can write to Redis queues what did not happen, what another endpoint got, and garbage. No endpoint gets an event of
// that, and the events that happen afterwards arrive.
func TestQueueRefusesForgedEvents(t *testing.T) {
	redis, l, other := redistest.Start(t), newListener(t, acceptEvent), newListener(t, acceptEvent)
	p := startProcess(t, redis)
	id := p.start()
	for _, kind := range []watchword.OutgoingKind{watchword.KindEnded, watchword.KindExpiry, watchword.KindDelivery, "invented"} {
		if err := p.store.Events().Put(t.Context(), watchword.Outgoing{Kind: kind, Send: 1, ChallengeID: id}, watchword.Outgoing{Kind: kind, Send: 1, ChallengeID: "ch_unknown"}); err != nil {
			t.Fatal(err)
		}
	}
	s := p.startDispatcher(l.endpoint(), other.endpoint(watchword.EventLocked))
	started := l.next(t)
	if started.doc.Type != watchword.EventStarted || started.doc.Data["challenge_id"] != id {
		t.Fatalf("got %s", started.body)
	}
	infos := s.Endpoints()
	sealed, err := p.sealer.Seal(infos[0].ID, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, garbage := range [][]byte{sealed, []byte("garbage"), bytes.Repeat([]byte("x"), 30_000)} {
		if err := p.events.Put(t.Context(), infos[1].ID, garbage); err != nil {
			t.Fatal(err)
		}
	}
	client := redis.Client(t)
	for _, key := range client.Keys(t.Context(), "*:p?:shop:*").Val() {
		kept, err := client.Dump(t.Context(), key).Result()
		if err == nil {
			client.Set(t.Context(), key, "a string in place of a queue", 0)
			_ = kept
		}
	}
	if err := p.check(id, "123456"); err != nil {
		t.Fatal(err)
	}
	if h := l.next(t); h.doc.Type != watchword.EventApproved {
		t.Errorf("got %s", h.body)
	}
	other.requireNothing(t)
	l.requireNothing(t)
}

// A sealed event of one endpoint is not posted to another.
func TestQueueKeepsEventsOfEndpointsApart(t *testing.T) {
	redis := redistest.Start(t)
	var available atomic.Bool
	l := newListener(t, func(w http.ResponseWriter, _ int) {
		if !available.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	other := newListener(t, acceptEvent)
	p := startProcess(t, redis)
	s := startDispatcher(t, webhook.DispatcherConfig{Queue: p.queue(), Backoff: time.Hour}, l.endpoint(watchword.EventStarted), other.endpoint(watchword.EventLocked))
	p.start()
	l.next(t)
	infos := s.Endpoints()
	var waiting []watchword.QueuedEvent
	await(t, func() bool {
		waiting, _ = p.events.Waiting(t.Context(), infos[0].ID, 10)
		return len(waiting) == 1 && waiting[0].Attempt == 1
	})
	if err := p.events.Put(t.Context(), infos[1].ID, waiting[0].Sealed); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.Contains(s.log.String(), "foreign value in the event queue removed") })
	other.requireNothing(t)
}

func await(t *testing.T, f func() bool) {
	t.Helper()
	for until := time.Now().Add(waitLimit); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("it does not happen")
}

// An endpoint that has answered 410 gets nothing more, in other processes and after a restart too, until its URL changes.
func TestQueueKeepsGoneEndpointOffUntilItsConfigurationChanges(t *testing.T) {
	redis := redistest.Start(t)
	var gone atomic.Bool
	gone.Store(true)
	l := newListener(t, func(w http.ResponseWriter, _ int) {
		if gone.Load() {
			w.WriteHeader(http.StatusGone)
		}
	})
	p := startProcess(t, redis)
	s := p.startDispatcher(l.endpoint())
	p.start()
	l.next(t)
	await(t, func() bool {
		return strings.Contains(s.log.String(), "endpoint answered 410, no more events until its configuration changes")
	})
	if err := s.shutDown(t); err != nil {
		t.Error(err)
	}
	for len(l.received) > 0 { // posted at the same time
		<-l.received
	}
	gone.Store(false)
	restarted := startProcess(t, redis)
	again := restarted.startDispatcher(l.endpoint())
	await(t, func() bool { return strings.Contains(again.log.String(), "endpoint has answered 410") })
	restarted.start()
	again.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventFailed, ChallengeID: "ch_1"})
	again.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventFactorRemoved, Factor: "fa_1"})
	l.requireNothing(t)
	if err := again.shutDown(t); err != nil { // it drops what it takes from the outbox, as long as it has the old configuration
		t.Error(err)
	}
	changed := startProcess(t, redis)
	changed.startDispatcher(webhook.Endpoint{URL: watchword.NewCode(l.URL + "/events?secret=" + secretB + "&secret=" + secretA)})
	id := changed.start()
	for l.nextOf(t, watchword.EventStarted).doc.Data["challenge_id"] != id {
	}
}

// A note that an attacker has written, or that was made for another configuration, turns nothing off.
func TestQueueIgnoresForgedNotes(t *testing.T) {
	redis, l := redistest.Start(t), newListener(t, acceptEvent)
	p := startProcess(t, redis)
	unused, err := webhook.NewDispatcher(webhook.DispatcherConfig{Queue: p.queue(), Endpoints: []webhook.Endpoint{l.endpoint()}, Environment: developmentEnvironment()})
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range []string{"off", strings.Repeat("x", 60)} {
		if err := p.events.TurnOff(t.Context(), unused.Endpoints()[0].ID, []byte(note)); err != nil {
			t.Fatal(err)
		}
		s := p.startDispatcher(l.endpoint(watchword.EventStarted))
		id := p.start()
		l.requireChallenges(t, id)
		_ = s.shutDown(t)
	}
}

// An event that an endpoint refuses becomes a dead letter, with its id and type for operators. Replay posts it again.
func TestQueueKeepsRefusedEventsAsDeadLetters(t *testing.T) {
	redis := redistest.Start(t)
	l := newListener(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	p := startProcess(t, redis)
	s := p.startDispatcher(l.endpoint(watchword.EventStarted))
	endpoint := s.Endpoints()[0].ID
	p.start()
	refused := l.next(t)
	var dead []watchword.QueuedEvent
	await(t, func() bool {
		dead, _ = p.events.DeadLetters(t.Context(), endpoint)
		return len(dead) == 1
	})
	info, err := webhook.DescribeQueued(p.sealer, endpoint, dead[0])
	if err != nil || info.ID != refused.id || info.Type != watchword.EventStarted || time.Since(info.At) > time.Minute {
		t.Errorf("%+v, %v", info, err)
	}
	if err := p.events.Replay(t.Context(), endpoint, dead[0]); err != nil {
		t.Fatal(err)
	}
	if h := l.next(t); h.id != refused.id || h.body != refused.body {
		t.Errorf("refused %+v, replayed %+v", refused, h)
	}
	if err := p.events.Replay(t.Context(), endpoint, dead[0]); err == nil {
		t.Error("replayed twice")
	}
	if waiting, dead, err := p.events.Counts(t.Context(), endpoint); err != nil || waiting+dead > 1 {
		t.Errorf("%d wait, %d dead, %v", waiting, dead, err)
	}
}

// An event that waited for three days becomes a dead letter.
func TestQueueGivesUpAfterThreeDays(t *testing.T) {
	redis := redistest.Start(t)
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(l.Close)
	p := startProcess(t, redis)
	s := startDispatcher(t, webhook.DispatcherConfig{Queue: p.queue(), Backoff: time.Second}, webhook.Endpoint{URL: watchword.NewCode(l.URL + "/?secret=" + secretA)})
	s.clockOffset.Store(int64(3*24*time.Hour - 400*time.Millisecond))
	p.start()
	await(t, func() bool {
		_, dead, _ := p.events.Counts(t.Context(), s.Endpoints()[0].ID)
		return dead == 1
	})
}

// A challenge that nobody reads any more expires, and an endpoint that subscribed to that gets the event.
func TestQueueSendsExpiryThoughNobodyLooks(t *testing.T) {
	redis, l := redistest.Start(t), newListener(t, acceptEvent)
	p := startProcess(t, redis, func(c *watchword.Config) { c.Lifetime = 3 * time.Second })
	p.startDispatcher(l.endpoint(watchword.EventExpired))
	p.types = func(eventType string) bool { return eventType == watchword.EventExpired }
	if err := p.check(p.start(), "123456"); err != nil {
		t.Fatal(err)
	}
	l.requireChallenges(t, p.start())
	l.requireNothing(t)
}

// Nothing is queued that nobody has subscribed to.
func TestQueueHoldsNothingWithoutSubscription(t *testing.T) {
	redis := redistest.Start(t)
	p := startProcess(t, redis)
	p.types = func(string) bool { return false }
	if err := p.check(p.start(), "123456"); err != nil {
		t.Fatal(err)
	}
	if keys := redis.Client(t).Keys(t.Context(), "*:e[odx]:*").Val(); len(keys) > 0 {
		t.Errorf("keys %v", keys)
	}
}

// Redis has no subject, no metadata and no type of an event that waits.
func TestQueueHoldsEncryptedEvents(t *testing.T) {
	redis := redistest.Start(t)
	l := newListener(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	p := startProcess(t, redis)
	s := startDispatcher(t, webhook.DispatcherConfig{Queue: p.queue(), Backoff: time.Hour}, l.endpoint(watchword.EventStarted))
	p.start()
	event := l.next(t)
	endpoint := s.Endpoints()[0].ID
	await(t, func() bool {
		waiting, _ := p.events.Waiting(context.Background(), endpoint, 10)
		return len(waiting) == 1 && waiting[0].Attempt == 1
	})
	client := redis.Client(t)
	keys := client.Keys(t.Context(), "*").Val()
	all := strings.Join(keys, " ")
	for _, key := range keys {
		all += client.Dump(t.Context(), key).Val()
	}
	for _, secret := range []string{"user_42", "order", watchword.EventStarted, event.id, "/events", strings.TrimPrefix(l.URL, "http://")} {
		if strings.Contains(all, secret) {
			t.Errorf("Redis holds %q", secret)
		}
	}
	for _, key := range keys {
		if strings.Contains(key, ":p") && client.PTTL(t.Context(), key).Val() <= 0 {
			t.Errorf("%s does not expire", key)
		}
	}
}

// After a reload with another secret, an event that waits is posted with it, with the id that it had. New types apply at once.
func TestQueueSurvivesReloadWithAnotherSecret(t *testing.T) {
	redis := redistest.Start(t)
	down := newListener(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	p := startProcess(t, redis)
	s := startDispatcher(t, webhook.DispatcherConfig{Queue: p.queue(), Backoff: 4 * time.Second}, down.endpoint(watchword.EventStarted))
	id := p.start()
	waiting := down.next(t)
	up := newListenerAt(t, down, secretB)
	next, err := webhook.NewDispatcher(webhook.DispatcherConfig{Queue: p.queue(), Environment: developmentEnvironment(),
		Endpoints: []webhook.Endpoint{{URL: watchword.NewCode(up.URL + "/events?secret=" + secretB), Types: []string{watchword.EventCanceled, watchword.EventStarted}}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Adopt(next)
	if h := up.next(t); h.id != waiting.id || h.body != waiting.body {
		t.Errorf("before %+v, with the new secret %+v", waiting, h)
	}
	if _, err := p.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if h := up.next(t); h.doc.Type != watchword.EventCanceled {
		t.Errorf("got %s", h.body)
	}
}

// Events of factors wait in the queue too. Those that an attacker can cause in any number do not.
func TestQueueHoldsEventsOfFactorsAndNoBestEffortOnes(t *testing.T) {
	redis := redistest.Start(t)
	l := newListener(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	p := startProcess(t, redis)
	s := startDispatcher(t, webhook.DispatcherConfig{Queue: p.queue(), Backoff: time.Hour, DrainTimeout: time.Millisecond}, l.endpoint())
	s.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventFactorRemoved, Factor: "fa_1"})
	s.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventFailed, ChallengeID: "ch_1"})
	s.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventApproved, ChallengeID: "ch_1"}) // comes by the store
	types := map[string]bool{l.next(t).doc.Type: true, l.next(t).doc.Type: true}
	if !types[watchword.EventFactorRemoved] || !types[watchword.EventFailed] {
		t.Errorf("got %v", types)
	}
	await(t, func() bool {
		waiting, _ := p.events.Waiting(context.Background(), s.Endpoints()[0].ID, 10)
		return len(waiting) == 1 && waiting[0].Attempt == 1
	})
	waiting, _ := p.events.Waiting(t.Context(), s.Endpoints()[0].ID, 10)
	if info, err := webhook.DescribeQueued(p.sealer, s.Endpoints()[0].ID, waiting[0]); err != nil || info.Type != watchword.EventFactorRemoved {
		t.Errorf("%+v, %v", info, err)
	}
}
