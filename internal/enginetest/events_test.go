package enginetest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/store/memory"
)

// An eventStore is a store that is an outbox of messages and events too. It records what is queued.
type eventStore struct {
	watchword.Store
	watchword.Outbox
	mu  sync.Mutex
	all []watchword.Outgoing
}

func (s *eventStore) Events() watchword.Outbox { return s.Outbox }

func (s *eventStore) record(err error, out []watchword.Outgoing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.all = append(s.all, out...)
	}
	return err
}

func (s *eventStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	return s.record(s.Store.Create(ctx, e), out)
}

func (s *eventStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	return s.record(s.Store.Update(ctx, e), out)
}

func (s *eventStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	e, err := s.Store.Attempt(ctx, id, g, b)
	if (err == nil || errors.Is(err, watchword.ErrMismatch)) && e.State != watchword.StatePending {
		_ = s.record(nil, b.Ended)
	}
	return e, err
}

func (s *eventStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	return s.record(s.Store.Close(ctx, id, c), c.Ended)
}

// taken returns what was queued since the last call.
func (s *eventStore) taken() []watchword.Outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// newEventKit returns an engine whose store queues events, all of which somebody gets.
func newEventKit(t *testing.T, change ...func(*watchword.Config)) (*kit, *eventStore) {
	t.Helper()
	s := &eventStore{}
	k := newKit(t, func(c *watchword.Config) {
		links, err := magiclink.New(magiclink.Config{})
		if err != nil {
			t.Fatal(err)
		}
		s.Store = c.Store
		c.Strategies = append(c.Strategies, links)
		c.Store, c.Outbox, c.Subscribed = s, nil, func(string) bool { return true }
		for _, edit := range change {
			edit(c)
		}
	})
	return k, s
}

// startQueued starts a challenge, and returns its message and what was queued about it.
func startQueued(k *kit, s *eventStore, req watchword.StartRequest) (started *watchword.Started, m watchword.Message, happened map[watchword.OutgoingKind]watchword.Outgoing) {
	k.t.Helper()
	started, happened = k.start(req), map[watchword.OutgoingKind]watchword.Outgoing{}
	for _, o := range s.taken() {
		if happened[o.Kind] = o; o.Kind == watchword.KindMessage {
			var err error
			if m, err = k.ComposeMessage(context.Background(), o); err != nil {
				k.t.Fatal(err)
			}
		}
	}
	return started, m, happened
}

// requireEvents composes the events of something that happened, from the store, and checks their types.
func requireEvents(k *kit, o watchword.Outgoing, want ...string) []watchword.Event {
	k.t.Helper()
	events, err := k.ComposeEvents(context.Background(), o.IDs())
	if err != nil {
		k.t.Fatal(err)
	}
	var types []string
	for _, ev := range events {
		types = append(types, ev.Type)
		if !strings.HasPrefix(ev.ID, "evt_") || len(ev.ID) != 30 || ev.Subject != subject || ev.App != "shop" {
			k.t.Errorf("event %+v", ev)
		}
	}
	if strings.Join(types, " ") != strings.Join(want, " ") {
		k.t.Fatalf("events %q, want %q", types, want)
	}
	return events
}

func (s *eventStore) onlyOne(t *testing.T, kind watchword.OutgoingKind) watchword.Outgoing {
	t.Helper()
	taken := s.taken()
	if len(taken) != 1 || taken[0].Kind != kind {
		t.Fatalf("queued %v, want one %s", taken, kind)
	}
	return taken[0]
}

// The events of a challenge have the times and ids of what happened, whenever they are composed.
func TestComposeEventsReturnsTheSameEventLater(t *testing.T) {
	k, s := newEventKit(t)
	began := k.clock.Now()
	started, m, happened := startQueued(k, s, startByEmail())
	k.clock.advance(time.Minute)
	first := requireEvents(k, happened[watchword.KindStarted], watchword.EventStarted)
	if !first[0].At.Equal(began) {
		t.Errorf("started at %s", first[0].At)
	}
	_ = s.taken()
	for _, status := range []string{watchword.DeliverySent, watchword.DeliveryDelivered} {
		if err := k.RecordDelivery(t.Context(), watchword.Outgoing{ChallengeID: started.ID, Send: 1}, watchword.Delivery{Status: status, Provider: "smtp", Channel: "email"}); err != nil {
			t.Fatal(err)
		}
		k.clock.advance(time.Minute)
	}
	deliveries := s.taken()
	sent := requireEvents(k, deliveries[0], watchword.EventMessageSent) // although it was delivered meanwhile
	if !sent[0].At.Equal(began.Add(time.Minute)) || sent[0].Provider != "smtp" {
		t.Errorf("sent %+v", sent[0])
	}
	requireEvents(k, deliveries[1], watchword.EventMessageDelivered)
	if _, err := k.check(started.ID, m.Code.Reveal()); err != nil {
		t.Fatal(err)
	}
	ended := s.onlyOne(t, watchword.KindEnded)
	approved := requireEvents(k, ended, watchword.EventApproved)
	k.clock.advance(15 * time.Minute)
	later := requireEvents(k, ended, watchword.EventApproved)
	if later[0].ID != approved[0].ID || !later[0].At.Equal(approved[0].At) || approved[0].ID <= sent[0].ID || sent[0].ID <= first[0].ID {
		t.Errorf("ids %s, %s, %s, later %s", first[0].ID, sent[0].ID, approved[0].ID, later[0].ID)
	}
}

func TestComposeEventsOfLockedCanceledReportedAndExpired(t *testing.T) {
	k, s := newEventKit(t)
	started, m, _ := startQueued(k, s, startByEmail())
	for range 5 {
		_, _ = k.check(started.ID, wrongCode(m.Code.Reveal()))
	}
	requireEvents(k, s.onlyOne(t, watchword.KindEnded), watchword.EventLocked)
	started, _, _ = startQueued(k, s, startByEmail())
	_ = s.taken()
	if _, err := k.Cancel(t.Context(), started.ID); err != nil {
		t.Fatal(err)
	}
	requireEvents(k, s.onlyOne(t, watchword.KindEnded), watchword.EventCanceled)
	link := startByEmail()
	link.Strategy = "magiclink"
	started, m, _ = startQueued(k, s, link)
	_, token, _ := strings.Cut(m.Link.Reveal(), "#")
	_ = s.taken()
	if err := k.ReportLink(t.Context(), started.ID, token); err != nil {
		t.Fatal(err)
	}
	requireEvents(k, s.onlyOne(t, watchword.KindEnded), watchword.EventCanceled, watchword.EventReported)
	started, _, happened := startQueued(k, s, startByEmail())
	expiry := happened[watchword.KindExpiry]
	var early *watchword.ClaimedError
	if _, err := k.ComposeEvents(t.Context(), expiry); !errors.As(err, &early) || early.Until.After(expiry.Due) {
		t.Errorf("before the expiry: %v", err)
	}
	k.clock.advance(10*time.Minute + time.Second)
	if expired := requireEvents(k, expiry, watchword.EventExpired); !expired[0].At.Equal(started.ExpiresAt) {
		t.Errorf("expired %+v", expired[0])
	}
}

// A link that lives long is canceled when it is read after its subject was removed. That is an ending like others.
func TestComposeEventsOfLinkWhoseSubjectWasRemoved(t *testing.T) {
	k, s := newEventKit(t, func(c *watchword.Config) { c.Lifetimes = map[string]time.Duration{"invite": 24 * time.Hour} })
	link := startByEmail()
	link.Strategy, link.Purpose, link.ReturnURL = "magiclink", "invite", "https://app.example.com/done"
	started, _, _ := startQueued(k, s, link)
	k.clock.advance(time.Second)
	if err := k.RemoveSubject(t.Context(), subject, watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Second)
	_ = s.taken()
	if v, err := k.Status(t.Context(), started.ID); err != nil || v.Status != watchword.Canceled {
		t.Fatalf("%+v, %v", v, err)
	}
	requireEvents(k, s.onlyOne(t, watchword.KindEnded), watchword.EventCanceled)
}

// An attacker who can write to the store queues what did not happen, and changes the entry to fit it. There is no such event.
func TestComposeEventsBelievesOnlyWhatIsAuthenticated(t *testing.T) {
	k, s := newEventKit(t)
	store := s.Store.(*controlledStore)
	var seen []watchword.Guess
	store.onAttempt = func(_ string, g []watchword.Guess) { seen = g }
	canceledID, canceled := k.entryIDOf(s, startByEmail())
	if _, err := k.Cancel(t.Context(), canceled.ID); err != nil {
		t.Fatal(err)
	}
	canceledEntry, err := store.Store.Get(t.Context(), canceledID)
	if err != nil {
		t.Fatal(err)
	}
	entryID, started := k.entryIDOf(s, startByEmail())
	_, _ = k.check(started.ID, "000000") // the attacker sees the mark that an approval would have had
	ended := watchword.Outgoing{Kind: watchword.KindEnded, ChallengeID: started.ID}
	for name, forge := range map[string]func(*watchword.Entry){
		"pending":               func(*watchword.Entry) {},
		"approved without mark": func(e *watchword.Entry) { e.State = watchword.StateApproved },
		"approved with a mark of a wrong answer": func(e *watchword.Entry) {
			e.State, e.Mark, e.Digests = watchword.StateApproved, seen[0].Mark, append(e.Digests, seen[0].Digest)
		},
		"approved with the mark of a cancellation": func(e *watchword.Entry) { e.State, e.Mark = watchword.StateApproved, canceledEntry.Mark },
		"canceled without mark":                    func(e *watchword.Entry) { e.State = watchword.StateCanceled },
		"canceled with the mark of another":        func(e *watchword.Entry) { e.State, e.Mark = watchword.StateCanceled, canceledEntry.Mark },
		"canceled with a mark of approval":         func(e *watchword.Entry) { e.State, e.Mark = watchword.StateCanceled, seen[0].Mark },
		"reported with a changed mark of another": func(e *watchword.Entry) {
			e.State, e.Mark = watchword.StateCanceled, append([]byte("r"), canceledEntry.Mark[1:]...)
		},
		"content of another challenge in the entry": func(e *watchword.Entry) { e.State, e.Sealed = watchword.StateCanceled, canceledEntry.Sealed },
	} {
		store.replaceEntry(entryID, func(e watchword.Entry) watchword.Entry {
			forge(&e)
			return e
		})
		events, err := k.ComposeEvents(t.Context(), ended)
		for _, ev := range events {
			if ev.Type != watchword.EventLocked { // what has no valid approval reads as locked
				t.Errorf("%s: %+v, %v", name, ev, err)
			}
		}
	}
	store.replaceEntry(entryID, nil)
	for _, o := range []watchword.Outgoing{
		{Kind: watchword.KindDelivery, Send: 1, ChallengeID: started.ID}, {Kind: watchword.KindExpiry, ChallengeID: started.ID},
		{Kind: watchword.KindStarted, ChallengeID: "ch_x"}, {Kind: "invented", ChallengeID: started.ID}, {Kind: watchword.KindMessage, ChallengeID: started.ID},
	} {
		if events, err := k.ComposeEvents(t.Context(), o); err == nil || len(events) > 0 {
			t.Errorf("%+v: %v", o, events)
		}
	}
}

// entryIDOf starts a challenge, and returns the store's id of it.
func (k *kit) entryIDOf(s *eventStore, req watchword.StartRequest) (string, *watchword.Started) {
	k.t.Helper()
	outer := s.Store
	r := &recordingStore{Store: outer}
	s.Store = r
	defer func() { s.Store = outer }()
	started := k.start(req)
	return r.created[len(r.created)-1].ID, started
}

// Somebody who gets only some types is not sent the others, and nothing is queued for them.
func TestComposeEventsLeavesOutWhatNobodyGets(t *testing.T) {
	k, s := newEventKit(t)
	e := k.newNode(func(c *watchword.Config) {
		c.Subscribed = func(eventType string) bool { return eventType == watchword.EventReported }
	})
	started, err := e.Start(t.Context(), startByEmail())
	if err != nil {
		t.Fatal(err)
	}
	if taken := s.taken(); len(taken) != 1 || taken[0].Kind != watchword.KindMessage {
		t.Errorf("queued %v", taken)
	}
	if _, err := e.Cancel(t.Context(), started.ID); err != nil {
		t.Fatal(err)
	}
	if events, err := e.ComposeEvents(t.Context(), s.onlyOne(t, watchword.KindEnded)); err != nil || len(events) > 0 {
		t.Errorf("%v, %v", events, err)
	}
}

// With a store in this process, a timer notices the expiry of challenges that nobody reads.
func TestExpiryIsSentByTimer(t *testing.T) {
	expired := make(chan watchword.Event, 10)
	k := newKit(t, func(c *watchword.Config) {
		c.Clock, c.Lifetime, c.Store = time.Now, 3*time.Second, memory.New(memory.Config{})
		c.Subscribed = func(eventType string) bool { return eventType == watchword.EventExpired }
		c.Events = func(_ context.Context, ev watchword.Event) {
			if ev.Type == watchword.EventExpired {
				expired <- ev
			}
		}
	})
	if _, err := k.Cancel(t.Context(), k.start(startByEmail()).ID); err != nil { // it would expire first
		t.Fatal(err)
	}
	ids := map[string]bool{k.start(startByEmail()).ID: true, k.start(startByEmail()).ID: true}
	for len(ids) > 0 {
		select {
		case ev := <-expired:
			if !ids[ev.ChallengeID] {
				t.Errorf("expired %s", ev.ChallengeID)
			}
			delete(ids, ev.ChallengeID)
		case <-time.After(20 * time.Second):
			t.Fatal("no event")
		}
	}
}
