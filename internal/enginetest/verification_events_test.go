package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// newVerificationEventKit returns a verificationKit whose store queues events, all of which somebody gets.
func newVerificationEventKit(t *testing.T) (*verificationKit, *eventStore) {
	t.Helper()
	s := &eventStore{}
	k := newVerificationKit(t, func(c *watchword.Config) {
		s.Store = c.Store
		c.Store, c.Outbox, c.Subscribed = s, nil, func(string) bool { return true }
	})
	_ = s.taken()
	return k, s
}

// takenOf returns what was queued about a verification itself since the last call.
func (s *eventStore) takenOf(id string) (out []watchword.Outgoing) {
	for _, o := range s.taken() {
		if o.Kind.IsEvent() && o.ChallengeID == id {
			out = append(out, o)
		}
	}
	return out
}

// startQueued starts a verification that is answered by a recovery code, and returns what was queued: its start and its expiry.
func (k *verificationKit) startQueued(s *eventStore) (v *watchword.StartedVerification, start, expiry watchword.Outgoing) {
	k.t.Helper()
	req := verificationOf(recoveryMethod)
	req.Metadata = map[string]string{"order": "17"}
	v = k.startVerification(req)
	queued := s.takenOf(v.ID)
	if len(queued) != 2 || queued[0].Kind != watchword.KindStarted || queued[1].Kind != watchword.KindExpiry || !queued[1].Due.After(v.ExpiresAt) {
		k.t.Fatalf("queued %v", queued)
	}
	return v, queued[0], queued[1]
}

func requireEndQueued(t *testing.T, queued []watchword.Outgoing) watchword.Outgoing {
	t.Helper()
	if len(queued) != 1 || queued[0].Kind != watchword.KindEnded {
		t.Fatalf("queued %v, want one %s", queued, watchword.KindEnded)
	}
	return queued[0]
}

// requireNoEvent fails if something that was queued makes an event.
func requireNoEvent(t *testing.T, e *watchword.Engine, o watchword.Outgoing) {
	t.Helper()
	if events, err := e.ComposeEvents(t.Context(), o.IDs()); !errors.Is(err, watchword.ErrClosed) || len(events) > 0 {
		t.Errorf("%s: %v, %v", o.Kind, events, err)
	}
}

// The events of a verification have the times and ids of what happened, whenever and by whichever node they are composed.
func TestComposeEventsOfVerificationReturnsTheSameEventLater(t *testing.T) {
	k, s := newVerificationEventKit(t)
	began := k.clock.Now()
	v, start, expiry := k.startQueued(s)
	inStep, err := k.ComposeEvents(t.Context(), start) // without reading the store
	if err != nil {
		t.Fatal(err)
	}
	_, startOfAnother, _ := k.startQueued(s)
	k.clock.advance(time.Minute)
	started := requireEvents(k.kit, start, watchword.EventVerificationStarted)
	if another := requireEvents(k.kit, startOfAnother, watchword.EventVerificationStarted); another[0].ID == started[0].ID {
		t.Error("two verifications of the same time have one id")
	}
	if !started[0].At.Equal(began) || started[0].Verification != v.ID || started[0].ChallengeID != "" || started[0].Metadata["order"] != "17" || inStep[0].ID != started[0].ID {
		t.Errorf("started %+v", started[0])
	}
	if _, err := k.checkMethod(v.ID, "", k.codes[0]); err != nil {
		t.Fatal(err)
	}
	ended := requireEndQueued(t, s.takenOf(v.ID))
	approved := requireEvents(k.kit, ended, watchword.EventVerificationApproved)
	if ev := approved[0]; !ev.At.Equal(began.Add(time.Minute)) || ev.Verification != v.ID || ev.ChallengeID != v.Challenge.ID || ev.Strategy != "recovery" || ev.Purpose != "sign_in" {
		t.Errorf("approved %+v", ev)
	}
	k.clock.advance(20 * time.Minute)
	other := k.newNode()
	later, err := other.ComposeEvents(t.Context(), ended.IDs())
	if err != nil || len(later) != 1 || later[0].ID != approved[0].ID || !later[0].At.Equal(approved[0].At) || approved[0].ID <= started[0].ID {
		t.Errorf("ids %s, %s, later %v, %v", started[0].ID, approved[0].ID, later, err)
	}
	requireNoEvent(t, other, expiry)
}

// The challenge that was answered has no event of its own approval: that of the verification comes instead. Those that are canceled
// after it have theirs.
func TestComposeEventsOfPartsOfVerification(t *testing.T) {
	k, s := newVerificationEventKit(t)
	v := k.startVerification(verificationOf(recoveryMethod, mailMethod))
	other := k.open(v.ID, "m2")
	if _, err := k.checkMethod(v.ID, "m1", k.codes[0]); err != nil {
		t.Fatal(err)
	}
	k.awaitChallenge(other, watchword.Canceled)
	requireNoEvent(t, k.Engine, watchword.Outgoing{Kind: watchword.KindEnded, ChallengeID: v.Challenge.ID})
	canceled := requireEvents(k.kit, requireEndQueued(t, slices.DeleteFunc(s.takenOf(other), func(o watchword.Outgoing) bool { return o.Kind != watchword.KindEnded })), watchword.EventCanceled)
	if canceled[0].Verification != v.ID {
		t.Errorf("%+v", canceled[0])
	}
}

// Collecting the receipt of an answer on the page and canceling are endings too. Neither an answer alone nor a repetition is one.
func TestComposeEventsOfVerificationThatIsRedeemedOrCanceled(t *testing.T) {
	k, s := newVerificationEventKit(t)
	v, _, expiry := k.startQueued(s)
	if err := k.AnswerVerification(t.Context(), v.ID, "", watchword.Answer{Text: k.codes[0]}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	if queued := s.takenOf(v.ID); len(queued) > 0 {
		t.Errorf("an answer has queued %v", queued)
	}
	requireNoEvent(t, k.Engine, watchword.Outgoing{Kind: watchword.KindEnded, ChallengeID: v.ID})
	seeded := func(r *watchword.RedeemRequest) { r.Seed = []byte("the same request") }
	for range 2 {
		if _, err := k.redeem(v, seeded); err != nil {
			t.Fatal(err)
		}
	}
	requireEvents(k.kit, requireEndQueued(t, s.takenOf(v.ID)), watchword.EventVerificationApproved)
	canceled, _, canceledExpiry := k.startQueued(s)
	k.clock.advance(time.Minute)
	at := k.clock.Now()
	for range 2 {
		if _, err := k.CancelVerification(t.Context(), canceled.ID); err != nil {
			t.Fatal(err)
		}
		k.clock.advance(time.Second)
	}
	if ev := requireEvents(k.kit, requireEndQueued(t, s.takenOf(canceled.ID)), watchword.EventVerificationCanceled); !ev[0].At.Equal(at) {
		t.Errorf("canceled %+v", ev[0])
	}
	k.clock.advance(20 * time.Minute)
	requireNoEvent(t, k.newNode(), expiry)
	requireNoEvent(t, k.newNode(), canceledExpiry)
}

// A verification that nobody looks at expires with one event, also one whose methods were locked. Before that the question waits.
func TestComposeEventsOfVerificationThatExpires(t *testing.T) {
	k, s := newVerificationEventKit(t)
	v, _, expiry := k.startQueued(s)
	locked, _, lockedExpiry := k.startQueued(s)
	for range 6 {
		_, _ = k.checkMethod(locked.ID, "", "2222-2222-2222-2222")
	}
	if status := k.view(locked.ID).Status; status != watchword.Locked {
		t.Fatalf("status %s", status)
	}
	var early *watchword.ClaimedError
	for _, o := range []watchword.Outgoing{expiry, lockedExpiry} {
		if _, err := k.ComposeEvents(t.Context(), o); !errors.As(err, &early) || early.Until.After(o.Due) {
			t.Errorf("before the expiry: %v", err)
		}
	}
	k.clock.advance(15*time.Minute + time.Second)
	first := requireEvents(k.kit, expiry, watchword.EventVerificationExpired)
	if !first[0].At.Equal(v.ExpiresAt) {
		t.Errorf("expired %+v", first[0])
	}
	requireEvents(k.kit, lockedExpiry, watchword.EventVerificationExpired)
	again, err := k.newNode().ComposeEvents(t.Context(), expiry.IDs())
	if err != nil || len(again) != 1 || again[0].ID != first[0].ID {
		t.Errorf("again %v, %v", again, err)
	}
	_ = k.view(v.ID)
	if n := len(k.events.ofType(watchword.EventVerificationExpired)); n != 2 {
		t.Errorf("%d expiries were counted in these processes, want one of each verification", n)
	}
}

// An answer or a cancellation that is on its way while the expiry is sent does not end the verification any more: it has one ending.
func TestVerificationWhoseExpiryWasSentIsNotApprovedOrCanceled(t *testing.T) {
	k, s := newVerificationEventKit(t)
	inner := s.Store
	for name, end := range map[string]func(v *watchword.StartedVerification) error{
		"approved": func(v *watchword.StartedVerification) error {
			_, err := k.checkMethod(v.ID, "", k.codes[0])
			return err
		},
		"canceled": func(v *watchword.StartedVerification) error {
			_, err := k.CancelVerification(t.Context(), v.ID)
			return err
		},
	} {
		v, _, expiry := k.startQueued(s)
		other := k.newNode() // its clock is ahead of the answering node's
		var sent []watchword.Event
		s.Store = &updateHookStore{inner, func() {
			ahead := k.newNode(func(c *watchword.Config) { c.Clock = func() time.Time { return expiry.Due } })
			var err error
			if sent, err = ahead.ComposeEvents(t.Context(), expiry.IDs()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}}
		err := end(v)
		k.requireCode(err, watchword.ErrChallengeExpired)
		if len(sent) != 1 || sent[0].Type != watchword.EventVerificationExpired {
			t.Errorf("%s: sent %v", name, sent)
		}
		if queued := s.takenOf(v.ID); len(queued) > 0 {
			t.Errorf("%s after the expiry: queued %v", name, queued)
		}
		if view, err := other.VerificationStatus(t.Context(), v.ID); err != nil || view.Status != watchword.Expired {
			t.Errorf("%s: %s, %v", name, view.Status, err)
		}
		s.Store = inner
	}
}

// Of several processes whose store queues no events, and that notice an expiry, one sends the event.
func TestExpiryOfVerificationIsSentByOneProcess(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	k.clock.advance(15 * time.Minute)
	nodes := []*watchword.Engine{k.Engine, k.newNode(), k.newNode(), k.newNode()}
	runConcurrently(len(nodes), func(i int) error {
		_, err := nodes[i].VerificationStatus(t.Context(), v.ID)
		return err
	})
	if n := len(k.events.ofType(watchword.EventVerificationExpired)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// An attacker who can write to the store queues what did not happen, and changes the entry to fit it. There is no such event.
func TestComposeEventsOfVerificationBelievesOnlyWhatIsAuthenticated(t *testing.T) {
	k, s := newVerificationEventKit(t)
	created := &recordingStore{Store: s.Store}
	s.Store = created
	store := created.Store.(*controlledStore)
	canceled, _, _ := k.startQueued(s)
	canceledEntry := created.created[len(created.created)-2].ID // its challenge comes after it
	if _, err := k.CancelVerification(t.Context(), canceled.ID); err != nil {
		t.Fatal(err)
	}
	ending, err := store.Store.Get(t.Context(), canceledEntry)
	if err != nil {
		t.Fatal(err)
	}
	v, _, expiry := k.startQueued(s)
	entryID := created.created[len(created.created)-2].ID
	ended := watchword.Outgoing{Kind: watchword.KindEnded, ChallengeID: v.ID}
	for name, forge := range map[string]func(*watchword.Entry){
		"pending":                     func(*watchword.Entry) {},
		"approved in the state":       func(e *watchword.Entry) { e.State = watchword.StateApproved },
		"canceled in the state":       func(e *watchword.Entry) { e.State, e.Mark = watchword.StateCanceled, ending.Mark },
		"content of another one":      func(e *watchword.Entry) { e.Sealed, e.Version = ending.Sealed, ending.Version },
		"expired by the entry's time": func(e *watchword.Entry) { e.ExpiresAt = v.CreatedAt },
	} {
		store.replaceEntry(entryID, func(e watchword.Entry) watchword.Entry {
			forge(&e)
			return e
		})
		for _, o := range []watchword.Outgoing{ended, expiry.IDs()} {
			if events, err := k.ComposeEvents(t.Context(), o); err == nil || len(events) > 0 {
				t.Errorf("%s: %s: %v", name, o.Kind, events)
			}
		}
	}
	store.replaceEntry(entryID, nil)
	other := k.newNode(func(c *watchword.Config) { c.App, c.Factors = "bank", &memory.Factors{} })
	for _, o := range []watchword.Outgoing{
		{Kind: watchword.KindStarted, ChallengeID: "vf_x"}, {Kind: watchword.KindDelivery, Send: 1, ChallengeID: v.ID}, {Kind: "invented", ChallengeID: v.ID},
		{Kind: watchword.KindMessage, ChallengeID: v.ID}, {Kind: watchword.KindStarted, ChallengeID: "ch_" + v.ID[3:]}, {Kind: watchword.KindStarted, ChallengeID: "vf_" + v.Challenge.ID[3:]},
	} {
		if events, err := k.ComposeEvents(t.Context(), o); err == nil || len(events) > 0 {
			t.Errorf("%+v: %v", o, events)
		}
	}
	if events, err := other.ComposeEvents(t.Context(), watchword.Outgoing{Kind: watchword.KindStarted, ChallengeID: v.ID}); err == nil {
		t.Errorf("another app: %v", events)
	}
}

// Nothing is queued about a verification for somebody who gets other types only.
func TestComposeEventsOfVerificationLeavesOutWhatNobodyGets(t *testing.T) {
	k, s := newVerificationEventKit(t)
	for _, gets := range []string{watchword.EventApproved, watchword.EventVerificationCanceled, watchword.EventVerificationExpired} {
		e := k.newNode(func(c *watchword.Config) { c.Subscribed = func(eventType string) bool { return eventType == gets } })
		v, err := e.StartVerification(t.Context(), verificationOf(recoveryMethod))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := checkMethod(e, v.ID, "", k.codes[0]); err != nil {
			t.Fatal(err)
		}
		k.codes = k.codes[1:]
		var kinds []watchword.OutgoingKind
		for _, o := range s.takenOf(v.ID) {
			kinds = append(kinds, o.Kind)
			if events, err := e.ComposeEvents(t.Context(), o); len(events) > 0 {
				t.Errorf("%s: %v, %v", gets, events, err)
			}
		}
		want := map[string][]watchword.OutgoingKind{watchword.EventVerificationCanceled: {watchword.KindEnded}, watchword.EventVerificationExpired: {watchword.KindExpiry}}[gets]
		if !slices.Equal(kinds, want) {
			t.Errorf("%s: queued %v, want %v", gets, kinds, want)
		}
	}
}

// A jumpingClock is the time of the system, moved ahead by jump.
type jumpingClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *jumpingClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *jumpingClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// With a store in this process, a timer notices the expiry of verifications that nobody reads, and of no other.
func TestExpiryOfVerificationIsSentByTimer(t *testing.T) {
	t.Parallel()
	clock, left := &jumpingClock{}, 5*time.Second
	expired := make(chan watchword.Event, 10)
	k := newKit(t, func(c *watchword.Config) {
		c.Clock, c.Store = clock.now, memory.New(memory.Config{Clock: clock.now})
		c.Subscribed = func(eventType string) bool { return eventType == watchword.EventVerificationExpired }
		c.Events = func(_ context.Context, ev watchword.Event) {
			switch ev.Type {
			case watchword.EventVerificationStarted:
				clock.jump(15*time.Minute - left) // before its timer is set
			case watchword.EventVerificationExpired:
				expired <- ev
			}
		}
	})
	start := func() *watchword.StartedVerification {
		v, err := k.StartVerification(t.Context(), verificationOf(mailMethod, smsMethod))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	canceled := start()
	if _, err := k.CancelVerification(t.Context(), canceled.ID); err != nil {
		t.Fatal(err)
	}
	left = time.Second
	v := start()
	select {
	case ev := <-expired:
		if ev.Verification != v.ID {
			t.Errorf("expired %+v", ev)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
	}
	select {
	case ev := <-expired:
		t.Errorf("also expired %+v", ev)
	default:
	}
}
