package enginetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// An outboxStore is a store that is the outbox too. It keeps what was queued, so that a test can return it as often as an attacker
// with write access to the store.
type outboxStore struct {
	watchword.Store
	*outbox
}

func (s outboxStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	err := s.Store.Create(ctx, e)
	if err == nil && len(out) > 0 {
		err = s.outbox.Put(ctx, out...)
	}
	return err
}

func (s outboxStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	err := s.Store.Update(ctx, e)
	if err == nil && len(out) > 0 {
		err = s.outbox.Put(ctx, out...)
	}
	return err
}

// withStoreAsOutbox makes the store the outbox. The engine has no other.
func withStoreAsOutbox(c *watchword.Config) {
	c.Store, c.Outbox = outboxStore{c.Store, c.Outbox.(*outbox)}, nil
}

// A directStore is an outboxStore whose worker takes every message in the step that queues it. It keeps the claims of messages that
// are done.
type directStore struct {
	outboxStore
	done *[]string
}

func (directStore) Reserve() bool { return true }
func (directStore) Unreserve()    {}

func (s directStore) UpdateAndFinish(ctx context.Context, e watchword.Entry, finished watchword.Outgoing, out ...watchword.Outgoing) error {
	_ = s.Done(ctx, finished)
	return s.Update(ctx, e, out...)
}

func (s directStore) Done(_ context.Context, o watchword.Outgoing) error {
	*s.done = append(*s.done, o.Claim)
	return nil
}

func newDirectStore(c *watchword.Config) directStore {
	return directStore{outboxStore{c.Store, c.Outbox.(*outbox)}, new([]string)}
}

func withDirectOutbox(c *watchword.Config) {
	c.Store, c.Outbox = newDirectStore(c), nil
}

// A message that this process takes in the step that queues it is claimed in that step: composing it writes nothing, and its id
// is worth nothing to others before the lease ends.
func TestDirectMessageIsClaimedWhenItIsQueued(t *testing.T) {
	k := newKit(t, withDirectOutbox)
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	if _, err := k.Resend(t.Context(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	out := k.outbox.last(s.ID)
	if !out.Direct || out.Send != 2 {
		t.Fatalf("queued %+v", out)
	}
	stored := out.IDs()
	stored.Direct = false
	if got := composeAll(100, stored, k.Engine, k.newNode()); got.composed != 0 || got.waits != 100 {
		t.Fatalf("before it is sent: %+v", got)
	}
	k.store.failure = errors.New("the store is down")
	m, err := k.ComposeMessage(t.Context(), out)
	k.store.failure = nil
	if err != nil {
		t.Fatal(err)
	}
	if err := k.AllowRetry(t.Context(), out.Composed(m), k.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if got := composeAll(100, stored, k.Engine, k.newNode()); got.composed != 1 || got.waits != 99 {
		t.Fatalf("after it has failed: %+v", got)
	}
	k.clock.advance(watchword.SendLease)
	if got := composeAll(100, stored, k.Engine, k.newNode()); got.composed != 1 || got.waits != 99 {
		t.Fatalf("after the lease: %+v", got)
	}
	k.clock.advance(watchword.SendLease)
	if got := composeAll(100, stored, k.Engine, k.newNode()); got.composed != 0 || got.waits != 0 {
		t.Fatalf("after two leases: %+v", got)
	}
}

// A worker that begins late renews its claim. It does not begin if another worker has claimed the send meanwhile.
func TestLateDirectMessageIsClaimedAnew(t *testing.T) {
	k := newKit(t, withDirectOutbox)
	s := k.start(startByEmail())
	out := k.outbox.last(s.ID)
	stored := out.IDs()
	stored.Direct = false
	k.clock.advance(20 * time.Second)
	if got := composeAll(20, out, k.Engine, k.Engine); got.composed != 1 {
		t.Fatalf("composed by its worker: %+v", got)
	}
	k.clock.advance(20 * time.Second) // the first lease would have ended
	var claimed *watchword.ClaimedError
	if _, err := k.newNode().ComposeMessage(t.Context(), stored); !errors.As(err, &claimed) {
		t.Errorf("the claim was not renewed: %v", err)
	}
	k.clock.advance(15 * time.Second)
	if _, err := k.newNode().ComposeMessage(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(t.Context(), out); !errors.As(err, &claimed) {
		t.Errorf("its worker sends beside another: %v", err)
	}
}

// If the reply to the step that queues a message is lost, nobody of this process sends it. It is queued once more, to be sent by
// anybody.
func TestDirectMessageWithLostReplyIsQueuedOnceMore(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) {
		c.Store = losingStore{newDirectStore(c)}
		c.Outbox = nil
	})
	req := startByEmail()
	req.Seed = []byte("seed")
	_, err := k.Start(t.Context(), req)
	if unavailable := k.requireCode(err, watchword.ErrUnavailable); !unavailable.Unknown {
		t.Fatal("the outcome is known")
	}
	id := k.outbox.list()[0].ChallengeID
	for until := time.Now().Add(10 * time.Second); len(k.outbox.ofChallenge(id)) < 2 && time.Now().Before(until); time.Sleep(time.Millisecond) {
	}
	again := k.outbox.last(id)
	if again.Direct {
		t.Fatalf("queued %+v", again)
	}
	if got := composeAll(50, again, k.Engine, k.newNode()); got.composed != 1 || got.waits != 49 {
		t.Errorf("%+v", got)
	}
}

// A losingStore loses the replies to Create.
type losingStore struct{ directStore }

func (s losingStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if err := s.directStore.Create(ctx, e, out...); err != nil {
		return err
	}
	return watchword.ErrOutcomeUnknown
}

// A sendAttempt is the result of composing one message.
type sendAttempt struct {
	composed, waits int // how many were composed, and how many wait for a claim
	others          []error
	last            watchword.Message
}

// composeAll composes a message n times at two nodes concurrently.
func composeAll(n int, o watchword.Outgoing, nodes ...*watchword.Engine) (sum sendAttempt) {
	results := make(chan error, n)
	messages := make(chan watchword.Message, n)
	gate := make(chan struct{})
	for i := range n {
		go func() {
			<-gate
			m, err := nodes[i%len(nodes)].ComposeMessage(context.Background(), o)
			if err == nil {
				messages <- m
			}
			results <- err
		}()
	}
	close(gate)
	for range n {
		err := <-results
		var claimed *watchword.ClaimedError
		switch {
		case err == nil:
			sum.composed++
			sum.last = <-messages
		case errors.As(err, &claimed):
			sum.waits++
		default:
			sum.others = append(sum.others, err)
		}
	}
	return sum
}

func (k *kit) deliveryStatus(id string) string {
	k.t.Helper()
	v, err := k.Status(context.Background(), id)
	if err != nil {
		k.t.Fatal(err)
	}
	return v.Delivery.Status
}

// Whoever can write to the outbox repeats the id of a message a thousand times. At most two tries begin, the second only after the
// process that began the first counts as dead. Then the message has failed.
func TestSendIsTriedTwiceAtMostHoweverOftenItsIDIsRepeated(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	out := k.outbox.last(s.ID)
	for _, o := range []watchword.Outgoing{out, out.IDs()} {
		got := composeAll(500, o, nodes...)
		if got.composed != map[bool]int{true: 1, false: 0}[o != o.IDs()] || got.composed+got.waits != 500 {
			t.Fatalf("%d composed, %d wait, others: %v", got.composed, got.waits, got.others)
		}
	}
	k.clock.advance(watchword.SendLease - time.Second)
	if got := composeAll(10, out, nodes...); got.composed != 0 {
		t.Fatalf("%d composed before the lease has ended", got.composed)
	}
	k.clock.advance(time.Second)
	if got := composeAll(500, out, nodes...); got.composed != 1 || got.waits != 499 {
		t.Fatalf("%d composed after the lease, %d wait, others: %v", got.composed, got.waits, got.others)
	}
	k.clock.advance(watchword.SendLease)
	for range 20 {
		if _, err := k.ComposeMessage(t.Context(), out); !errors.Is(err, watchword.ErrClosed) {
			t.Fatalf("a third try: %v", err)
		}
	}
	if got := k.deliveryStatus(s.ID); got != watchword.DeliveryFailed {
		t.Errorf("delivery is %s", got)
	}
}

func TestSentMessageIsNotComposedAgain(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	out := k.outbox.last(s.ID)
	m, err := k.ComposeMessage(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.RecordDelivery(t.Context(), out.Composed(m), watchword.Delivery{Status: watchword.DeliverySent, Provider: "p", Channel: "email"}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(5 * watchword.SendLease)
	if _, err := k.ComposeMessage(t.Context(), out.IDs()); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("composed again: %v", err)
	}
	if got := k.deliveryStatus(s.ID); got != watchword.DeliverySent {
		t.Errorf("delivery is %s", got)
	}
}

// A failed try allows the next one at its time and not before, as often as the code lives.
func TestFailedTryAllowsNextOneAtItsTime(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	out := k.outbox.last(s.ID)
	for range 10 {
		got := composeAll(20, out, k.Engine, k.newNode())
		if got.composed != 1 {
			t.Fatalf("%d composed, others: %v", got.composed, got.others)
		}
		at := k.clock.Now().Add(20 * time.Second)
		for range 3 { // once is enough
			if err := k.AllowRetry(t.Context(), out.Composed(got.last), at); err != nil {
				t.Fatal(err)
			}
		}
		k.clock.advance(10 * time.Second)
		var claimed *watchword.ClaimedError
		if _, err := k.ComposeMessage(t.Context(), out.IDs()); !errors.As(err, &claimed) || !claimed.Until.Equal(at.Truncate(time.Millisecond)) {
			t.Fatalf("before its time: %v", err)
		}
		k.clock.advance(10 * time.Second)
	}
}

// A worker that was taken for dead reports that its try has failed. That does not end the try of another worker.
func TestAllowRetryDoesNotEndTryOfAnotherWorker(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	out := k.outbox.last(s.ID)
	late, err := k.ComposeMessage(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(watchword.SendLease)
	if _, err := k.newNode().ComposeMessage(t.Context(), out.IDs()); err != nil {
		t.Fatal(err)
	}
	for _, o := range []watchword.Outgoing{out.Composed(late), out.IDs()} {
		if err := k.AllowRetry(t.Context(), o, k.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var claimed *watchword.ClaimedError
	if _, err := k.ComposeMessage(t.Context(), out.IDs()); !errors.As(err, &claimed) {
		t.Errorf("the other try does not count: %v", err)
	}
}

// Nothing is composed for a challenge that another node has ended, or that has expired, although this process has just written it.
func TestEndedChallengeIsNotComposedFromMemory(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[string]func(k *kit, s *watchword.Started) error{
		"canceled": func(k *kit, s *watchword.Started) error { _, err := k.newNode().Cancel(ctx, s.ID); return err },
		"approved": func(k *kit, s *watchword.Started) error {
			_, err := check(k.newNode(), s.ID, "000000")
			return err
		},
		"expired": func(k *kit, _ *watchword.Started) error { k.clock.advance(10 * time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, withStoreAsOutbox, func(c *watchword.Config) { c.ProviderName = func(string) string { return "" } })
			if name == "approved" {
				k = newKit(t, withStoreAsOutbox, withFixedCode(t))
			}
			s := k.start(startByEmail())
			if err := end(k, s); err != nil {
				t.Fatal(err)
			}
			for _, o := range []watchword.Outgoing{k.outbox.last(s.ID), k.outbox.last(s.ID).IDs()} {
				if m, err := k.ComposeMessage(ctx, o); !errors.Is(err, watchword.ErrClosed) && !errors.Is(err, watchword.ErrExpired) {
					t.Errorf("composed %s: %v", m.ID, err)
				}
			}
		})
	}
}

// A resend makes the message of the first send unwanted, and can be tried as often as that.
func TestResendIsClaimedAnew(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	first := k.outbox.last(s.ID)
	if _, err := k.ComposeMessage(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(30 * time.Second)
	if _, err := k.Resend(t.Context(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(t.Context(), first.IDs()); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("the first send: %v", err)
	}
	if got := composeAll(20, k.outbox.last(s.ID), k.Engine, k.newNode()); got.composed != 1 || got.waits != 19 {
		t.Errorf("the second send: %+v", got)
	}
	if n := len(k.outbox.ofChallenge(s.ID)); n != 2 {
		t.Errorf("%d messages were queued", n)
	}
}

// A repeated start or resend queues nothing again: the store has written challenge and message in one step.
func TestRepeatedRequestsQueueNothingAgain(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	req := startByEmail()
	req.Seed, req.Unanswered = []byte("seed"), true
	s := k.start(req)
	k.start(req)
	k.clock.advance(time.Minute)
	for range 2 {
		if _, err := k.Resend(t.Context(), s.ID, watchword.ResendRequest{Seed: []byte("resend")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.outbox.ofChallenge(s.ID)); n != 2 {
		t.Errorf("%d messages were queued", n)
	}
}

// An unknown kind, an id of another app and an invented id are not wanted.
func TestComposeMessageRefusesWhatNobodyQueued(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	other := k.newNode(func(c *watchword.Config) { c.App = "other" })
	for _, o := range []watchword.Outgoing{{Kind: "unknown", ChallengeID: s.ID, Send: 1}, {ChallengeID: s.ID, Send: 2}, {ChallengeID: s.ID},
		{ChallengeID: s.ID, Send: -1}, {ChallengeID: "ch_"}, {}} {
		if _, err := k.ComposeMessage(t.Context(), o); !errors.Is(err, watchword.ErrNotFound) && !errors.Is(err, watchword.ErrClosed) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := other.ComposeMessage(t.Context(), k.outbox.last(s.ID).IDs()); !errors.Is(err, watchword.ErrNotFound) {
		t.Errorf("another app: %v", err)
	}
}

// The outcome of a message that was answered at once is recorded in one step, although the challenge has ended meanwhile.
func TestOutcomeOfAnsweredMessageIsRecordedInOneStep(t *testing.T) {
	k := newKit(t, withStoreAsOutbox)
	s := k.start(startByEmail())
	out := k.outbox.last(s.ID)
	m, err := k.ComposeMessage(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.check(s.ID, m.Code.Reveal()); err != nil {
		t.Fatal(err)
	}
	reads := 0
	k.store.Store = &countingStore{k.store.Store, &reads}
	if err := k.RecordDelivery(t.Context(), out.Composed(m), watchword.Delivery{Status: watchword.DeliverySent, Provider: "p", Channel: "email"}); err != nil {
		t.Fatal(err)
	}
	if reads != 0 {
		t.Errorf("the store was read %d times", reads)
	}
	if got := k.deliveryStatus(s.ID); got != watchword.DeliverySent {
		t.Errorf("delivery is %s", got)
	}
}

// A countingStore counts the reads.
type countingStore struct {
	watchword.Store
	reads *int
}

func (s *countingStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	*s.reads++
	return s.Store.Get(ctx, id)
}
